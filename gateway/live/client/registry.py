"""All client connections of this gateway, and how they are ended from outside."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from broker.timing.tasks import Tasks
from gateway.budget.budgets import Budgets
from gateway.budget.cap import Lease
from gateway.budget.rank import Rank
from gateway.budget.table import CONNECTIONS, UNKNOWN_CONNECTIONS
from gateway.domain.identity import Identity
from gateway.domain.user_name import name_in_orders
from gateway.errors import GatewayError

#: Connections that are judged in one turn of the event loop when access rules have changed.
_JUDGED: Final = 100


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

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet; if it has, it is only being closed."""

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close; at once and only once."""

    def judge_again(self) -> None:
        """End if the access rules no longer open something that they have opened for it."""

    async def run(self) -> None:
        """Serve the client until it is gone."""

    def snapshot(self) -> ConnectionState:
        """The facts about it, now."""


class Registry:
    """All connections of this gateway, as many as the ``budgets`` allow.

    Lowering a limit ends no connection that is there already.
    """

    def __init__(self, budgets: Budgets, *, tasks: Tasks) -> None:
        self._connections = budgets.cap(CONNECTIONS)
        self._unknown = budgets.cap(UNKNOWN_CONNECTIONS)
        self._places: dict[Member, Lease] = {}
        #: The second places of those whose user is not known.
        self._waiting: dict[Member, Lease] = {}
        self._users: dict[Member, str | None] = {}
        self._by_user: defaultdict[str, set[Member]] = defaultdict(set)
        self._tasks = tasks
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._users))

    def check_capacity(self, *, address: str, user: str | None, rank: Rank) -> None:
        """Return if one more connection may come. ``user`` is given if the handshake names one.
        Raises :class:`TooManyOfUser`, :class:`NoCapacity`, :class:`TooManyUnknown`."""
        self._connections.check(user, rank=rank)
        if user is None:
            self._unknown.check(address)

    def serve(self, connection: Member, *, address: str, user: str | None) -> None:
        """Run the connection, and know it until it is gone. It is the ``user``'s from now on; one
        whose user is not known counts among the unknown ones until CONNECT is accepted."""
        self._belongs_to(connection, user)
        self._places[connection] = self._connections.hold(user)
        if user is None:
            self._waiting[connection] = self._unknown.hold(address)
        self._emptied.clear()
        self._tasks.spawn(self._run(connection), "a client's connection")

    def admit(
        self,
        connection: Member,
        user: str,
        rank: Rank = Rank.PARTICIPANT,
        *,
        payer: str | None = None,
    ) -> None:
        """Note that the connection is this user's; ``payer`` is counted in the user's place. Raises
        :class:`TooManyOfUser`, and :class:`NoCapacity` if only the share of another rank is
        left."""
        self._places[connection].give_back()
        try:
            self._places[connection] = self._connections.take(payer or user, rank=rank)
        except GatewayError:
            self._places[connection] = self._connections.hold(None)
            raise
        self._belongs_to(connection, user)
        self._now_known(connection)

    def end_user(self, user: str, error: GatewayError) -> int:
        """End all connections of the user. Returns how many there were."""
        own = self._open_of(user)
        for connection in own:
            connection.end(error)
        return len(own)

    def count_user(self, user: str) -> int:
        """The number of the user's connections that have not ended."""
        return len(self._open_of(user))

    def _open_of(self, user: str) -> list[Member]:
        return [each for each in self._by_user.get(user, ()) if each.is_open]

    def end_connection(self, id: str, error: GatewayError) -> int:
        """End one connection; 0: there is none with this id that goes on."""
        found = [each for each in self if each.id == id and each.is_open]
        for connection in found:
            connection.end(error)
        return len(found)

    def rules_changed(self) -> None:
        """Judge everybody by the access rules that are in force now."""
        self._tasks.spawn(self._judge_all(), "access rules: all connections")

    async def close(self, error: GatewayError, *, within: float) -> None:
        """End all connections, and cut off those that are not gone ``within`` seconds."""
        for connection in self:
            connection.end(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._users:
                    await self._emptied.wait()
        await self._tasks.close()

    def _belongs_to(self, connection: Member, user: str | None) -> None:
        """Note whose it is, in place of whose it was: by the name that orders have."""
        if user is not None:
            user = name_in_orders(user)
        before = self._users.get(connection)
        if before is not None:
            self._by_user[before].discard(connection)
            if not self._by_user[before]:
                del self._by_user[before]
        self._users[connection] = user
        if user is not None:
            self._by_user[user].add(connection)

    async def _judge_all(self) -> None:
        # Those that come meanwhile are judged by the new rules from the beginning.
        for number, connection in enumerate(self, 1):
            connection.judge_again()
            if not number % _JUDGED:
                await asyncio.sleep(0)

    def _now_known(self, connection: Member) -> None:
        """Or gone: it no longer counts among the unknown."""
        if (waiting := self._waiting.pop(connection, None)) is not None:
            waiting.give_back()

    async def _run(self, connection: Member) -> None:
        try:
            await connection.run()
        finally:
            self._now_known(connection)
            self._places.pop(connection).give_back()
            self._belongs_to(connection, None)
            del self._users[connection]
            if not self._users:
                self._emptied.set()
