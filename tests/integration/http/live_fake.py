"""A live connection as the registry knows it."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from gateway.assembly import Gateway
from gateway.auth.permissions import Action
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole
from gateway.errors import GatewayError, outcome
from gateway.live.attendance import Right
from gateway.live.client.registry import ConnectionState


class FakeLive:
    """Runs until it is ended; ``ended`` is the error's code then."""

    def __init__(
        self,
        *,
        rooms: set[int],
        id: str = "000000000001",
        user: str = "paul",
        session: str | None = None,
    ) -> None:
        self.id = id
        self.identity = Identity(user, frozenset(), math.inf, session)
        self._user = user
        self.ended: str | None = None
        self._rooms = rooms
        self._over = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return not self._over.is_set()

    def end(self, error: GatewayError | None) -> None:
        if self._over.is_set():
            return
        self.ended = None if error is None else outcome(error).code
        self._over.set()

    def judge_again(self) -> None:
        """No access rule has opened anything for it."""

    async def run(self) -> None:
        await self._over.wait()

    def snapshot(self) -> ConnectionState:
        return state(self.id, user=self._user, rooms=tuple(sorted(self._rooms)))


class FakeFollower(FakeLive):
    """Follows a room, by its membership, until it is ended."""

    def __init__(
        self, gateway: Gateway, user: str, room: int, action: Action = Action.SUBSCRIBE_PUBLIC
    ) -> None:
        super().__init__(rooms={room}, id=f"{user} in {room}", user=user)
        self._attendance = gateway.live.attendance
        self._right = Right(action, room, MemberRole.PARTICIPANT)
        gateway.live.registry.serve(self, address="", user=user)
        gateway.live.registry.admit(self, user)
        self._attendance.begin(self, self._right)

    def end(self, error: GatewayError | None) -> None:
        self._attendance.end(self, self._right)
        super().end(error)


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
