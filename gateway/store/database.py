"""How a transaction is run: the seam between the queries and the two back ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """Runs functions of a plain :class:`sqlalchemy.Connection`, each in one transaction.

    A function may be run again after a conflict with another writer, so it does nothing but SQL.
    What it raises rolls back and comes out as it is; a database that is away, or does not answer in
    time, is :class:`gateway.errors.StoreUnavailable`. A write that failed so may still have been
    committed.
    """

    async def read(self, query: Callable[[Connection], T]) -> T:
        """For one statement, which sees what was committed before."""

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Durable when this returns."""

    async def migrate(self) -> None:
        """Bring the tables up to date, or find them newer than this code."""

    async def close(self) -> None: ...
