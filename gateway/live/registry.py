"""All the clients' connections of this gateway, and how they are ended from outside."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol

from gateway.errors import GatewayError, NoCapacity


class Member(Protocol):
    """What the registry needs to know of a connection."""

    def attends(self, room: int) -> bool:
        """Whether it is subscribed to a destination of the room."""

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close; at once and only once."""


class Registry:
    """``limit`` connections in all, ``per_user`` of one user. Retry times are seconds."""

    def __init__(self, *, limit: int, per_user: int) -> None:
        self._limit = limit
        self._per_user = per_user
        self._users: dict[Member, str | None] = {}
        self._by_user: defaultdict[str, set[Member]] = defaultdict(set)
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._users))

    def check_capacity(self) -> None:
        """Raises :class:`NoCapacity`."""
        if len(self._users) >= self._limit:
            raise NoCapacity(f"this gateway serves {self._limit} connections", retry_after=5.0)

    def add(self, connection: Member) -> None:
        self._users[connection] = None
        self._emptied.clear()

    def admit(self, connection: Member, user: str) -> None:
        """The connection is known to be this user's. Raises :class:`NoCapacity`."""
        own = self._by_user[user]
        if len(own) >= self._per_user:
            raise NoCapacity(f"at most {self._per_user} connections per user", retry_after=5.0)
        own.add(connection)
        self._users[connection] = user

    def forget(self, connection: Member) -> None:
        user = self._users.pop(connection, None)
        if user is not None:
            self._by_user[user].discard(connection)
            if not self._by_user[user]:
                del self._by_user[user]
        if not self._users:
            self._emptied.set()

    def end_room(self, room: int, error: GatewayError) -> None:
        """End every connection that is subscribed to something of the room."""
        for connection in self:
            if connection.attends(room):
                connection.end(error)

    def end_membership(self, room: int, user: str, error: GatewayError) -> None:
        """End the user's connections that are subscribed to something of the room."""
        for connection in tuple(self._by_user.get(user, ())):
            if connection.attends(room):
                connection.end(error)

    async def close(self, error: GatewayError, *, timeout: float) -> None:  # noqa: ASYNC109 - a bound on the whole, kept by the caller's clock
        """End all, and wait until they are gone or ``timeout`` seconds are over."""
        for connection in self:
            connection.end(error)
        if self._users:
            try:
                async with asyncio.timeout(timeout):
                    await self._emptied.wait()
            except TimeoutError:
                return
