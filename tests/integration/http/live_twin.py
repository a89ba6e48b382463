"""A live connection as the registry knows it."""

from __future__ import annotations

import asyncio

from gateway.errors import GatewayError, outcome
from gateway.live.state import ConnectionState


class LiveTwin:
    """Attends rooms until it is ended; ``ended`` is the error's code then."""

    def __init__(self, *, rooms: set[int]) -> None:
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
        raise AssertionError("nobody asks here how it stands")
