"""All client connections of this gateway, and how they are ended from outside."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from broker.timing.tasks import Tasks
from gateway.domain.identity import Identity
from gateway.errors import GatewayError, NoCapacity, TooManyUnknown
from gateway.limits import LiveLimits

#: Where connections are counted that have not sent CONNECT yet.
Place = tuple[str, str]
_ANYWHERE: Final[Place] = ("anywhere", "")


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """The facts about one connection at one moment.

    Times are Unix seconds. Frames are STOMP's, without heart-beats; bytes are WebSocket's, as
    they go over TCP or TLS.

    ``user`` and ``expires_at`` are None until CONNECT is accepted, ``node`` while no relay is up.
    ``rooms`` are those that a subscription is for, in ascending order. ``backlog``: bytes that the
    client has not taken yet. ``heard_at``: when anything came last.
    """

    id: str
    user: str | None
    rooms: tuple[int, ...]
    address: str
    since: float
    node: str | None
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    backlog: int
    heard_at: float
    expires_at: float | None


class Member(Protocol):
    """A connection, as far as the registry knows it."""

    @property
    def id(self) -> str: ...

    @property
    def identity(self) -> Identity | None:
        """The user, once it is known."""

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close; at once and only once."""

    async def run(self) -> None:
        """Serve the client until it is gone."""

    def snapshot(self) -> ConnectionState:
        """The facts about it, now."""


class Registry:
    """All connections of this gateway, as many as the ``limits`` allow.

    Lowering a limit ends no connection that is there already. Retry times are in seconds.
    """

    def __init__(self, limits: LiveLimits, *, tasks: Tasks) -> None:
        self._limits = limits
        #: How many have not sent CONNECT: by user, by address, and in all.
        self._waiting: Counter[Place] = Counter()
        self._places: dict[Member, tuple[Place, ...]] = {}
        self._users: dict[Member, str | None] = {}
        self._by_user: defaultdict[str, set[Member]] = defaultdict(set)
        self._tasks = tasks
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._users))

    def check_capacity(self, *, address: str, user: str | None) -> None:
        """Return if one more connection may come. ``user`` is given if the handshake names one.
        Raises :class:`NoCapacity`, :class:`TooManyUnknown`."""
        limits = self._limits.now
        if len(self._users) >= limits.connections:
            raise NoCapacity(
                f"this gateway serves {limits.connections} connections", retry_after=5.0
            )
        if user is not None:
            self._check_user(self._waiting["user", user])
            return
        for place, most, where in (
            (_ANYWHERE, limits.unknown_connections, ""),
            (
                ("address", address),
                limits.unknown_connections_per_address,
                " from your address",
            ),
        ):
            if self._waiting[place] >= most:
                raise TooManyUnknown(
                    f"{most} connections{where} have not sent CONNECT yet", retry_after=2.0
                )

    def serve(self, connection: Member, *, address: str, user: str | None) -> None:
        """Run the connection, and know it until it is gone. Until CONNECT is accepted it counts
        among the unknown ones."""
        self._users[connection] = None
        places: tuple[Place, ...] = (
            (_ANYWHERE, ("address", address)) if user is None else (("user", user),)
        )
        self._places[connection] = places
        self._waiting.update(places)
        self._emptied.clear()
        self._tasks.spawn(self._run(connection), "a client's connection")

    def admit(self, connection: Member, user: str) -> None:
        """Note that the connection is this user's. Raises :class:`NoCapacity`."""
        own = self._by_user[user]
        self._check_user(len(own))
        own.add(connection)
        self._users[connection] = user
        self._now_known(connection)

    def end_user(self, user: str, error: GatewayError) -> int:
        """End all connections of the user. Returns how many there were."""
        own = tuple(self._by_user.get(user, ()))
        for connection in own:
            connection.end(error)
        return len(own)

    def end_connection(self, id: str, error: GatewayError) -> int:
        """End one connection; 0: there is none with this id."""
        found = [connection for connection in self if connection.id == id]
        for connection in found:
            connection.end(error)
        return len(found)

    async def close(self, error: GatewayError, *, within: float) -> None:
        """End all connections, and cut off those that are not gone ``within`` seconds."""
        for connection in self:
            connection.end(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._users:
                    await self._emptied.wait()
        await self._tasks.close()

    def _check_user(self, own: int) -> None:
        most = self._limits.now.connections_per_user
        if own >= most:
            raise NoCapacity(f"at most {most} connections per user", retry_after=5.0)

    def _now_known(self, connection: Member) -> None:
        """Or gone: it no longer counts among the unknown."""
        for place in self._places.pop(connection, ()):
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place]

    async def _run(self, connection: Member) -> None:
        try:
            await connection.run()
        finally:
            self._now_known(connection)
            user = self._users.pop(connection)
            if user is not None:
                self._by_user[user].discard(connection)
                if not self._by_user[user]:
                    del self._by_user[user]
            if not self._users:
                self._emptied.set()
