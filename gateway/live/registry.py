"""All the clients' connections of this gateway, and how they are ended from outside."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol

from gateway.domain.identity import Identity
from gateway.errors import GatewayError, NoCapacity
from gateway.live.state import ConnectionState


class Member(Protocol):
    """What the registry needs to know of a connection."""

    @property
    def id(self) -> str: ...

    @property
    def identity(self) -> Identity | None:
        """Whose it is, once that is known."""

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close; at once and only once."""

    async def run(self) -> None:
        """Serve the client until it is gone."""

    def snapshot(self) -> ConnectionState:
        """How it stands now."""


class Registry:
    """``limit`` connections in all, ``per_user`` of one user, both replaceable; who is in
    stays in. Retry times are seconds."""

    def __init__(self, *, limit: int, per_user: int) -> None:
        self.limit = limit
        self.per_user = per_user
        self._users: dict[Member, str | None] = {}
        self._by_user: defaultdict[str, set[Member]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._users))

    def check_capacity(self) -> None:
        """Raises :class:`NoCapacity`."""
        if len(self._users) >= self.limit:
            raise NoCapacity(f"this gateway serves {self.limit} connections", retry_after=5.0)

    def serve(self, connection: Member) -> None:
        """Run the connection, and know it until it is gone."""
        self._users[connection] = None
        task = asyncio.get_running_loop().create_task(self._run(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def admit(self, connection: Member, user: str) -> None:
        """The connection is known to be this user's. Raises :class:`NoCapacity`."""
        own = self._by_user[user]
        if len(own) >= self.per_user:
            raise NoCapacity(f"at most {self.per_user} connections per user", retry_after=5.0)
        own.add(connection)
        self._users[connection] = user

    def end_user(self, user: str, error: GatewayError) -> int:
        """End all connections of the user; how many there were."""
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
        """End all; those that are not gone ``within`` seconds are cut off."""
        for connection in self:
            connection.end(error)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, connection: Member) -> None:
        try:
            await connection.run()
        finally:
            user = self._users.pop(connection)
            if user is not None:
                self._by_user[user].discard(connection)
                if not self._by_user[user]:
                    del self._by_user[user]
