"""How a transaction is run: the seam between the queries and the two back ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
R = TypeVar("R")


class Database(Protocol):
    """Runs functions of a plain :class:`sqlalchemy.Connection`, each in one transaction.

    A function may be run again after a conflict with another writer, so it does nothing but SQL.
    What it raises rolls back and comes out as it is; a database that is away, or does not answer in
    time, is :class:`gateway.errors.StoreUnavailable`. A write that failed so may still have been
    committed.
    """

    @property
    def name(self) -> str:
        """Which database this is, without credentials."""

    async def read(self, query: Callable[[Connection], T]) -> T:
        """For one small statement, which sees what was committed before."""

    async def scan(self, query: Callable[[Connection], R], make: Callable[[R], T]) -> T:
        """For pages of the history: whatever their number, :meth:`read` and :meth:`write` do not
        wait for them. ``make`` makes the result of what the query found, beside the loop."""

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Durable when this returns."""

    async def migrate(self) -> None:
        """Bring the tables up to date, or find them newer than this code."""

    async def verify(self) -> None:
        """Whether this still is the database that was opened."""

    async def close(self) -> None: ...
