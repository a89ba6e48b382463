"""A live connection as the registry knows it."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.errors import GatewayError, outcome
from gateway.live.state import ConnectionState


class LiveTwin:
    """Attends rooms until it is ended; ``ended`` is the error's code then."""

    def __init__(self, *, rooms: set[int], id: str = "000000000001", user: str = "paul") -> None:
        self.id = id
        self._user = user
        self.ended: str | None = None
        self._rooms = rooms
        self._over = asyncio.Event()

    def attends(self, room: int) -> bool:
        return room in self._rooms

    def end(self, error: GatewayError | None) -> None:
        self.ended = None if error is None else outcome(error).code
        self._over.set()

    async def run(self) -> None:
        await self._over.wait()

    def snapshot(self) -> ConnectionState:
        return state(self.id, user=self._user, rooms=tuple(sorted(self._rooms)))


def state(id: str, **known: Any) -> ConnectionState:
    """A connection that is as most are, but for what is ``known``."""
    usual: dict[str, Any] = {
        "user": "paul",
        "rooms": (),
        "address": "192.0.2.1",
        "since": 1_000.0,
        "node": None,
        "frames_in": 1,
        "frames_out": 2,
        "bytes_in": 10,
        "bytes_out": 20,
        "backlog": 0,
        "heard_at": 1_001.0,
        "expires_at": None,
    }
    return ConnectionState(id, **usual | known)
