"""The interface that runs a transaction: the seam between the queries and the two back ends."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
R = TypeVar("R")

#: The connections to a server for everything but pages, unless the configuration says otherwise.
CONNECTIONS: Final = 8


class Readers(StrEnum):
    """The readers that carry out a :meth:`Database.scan`; those of one kind never wait for those of
    another."""

    HISTORY = "history"
    #: Of the kept state: everybody who comes into a room needs it, however many read the history.
    STATE = "state"


class Database(Protocol):
    """A database that runs functions of a plain :class:`sqlalchemy.Connection`, each in one
    transaction.

    A function may be run again after a conflict with another writer, so it must do nothing but SQL.
    An exception that it raises rolls the transaction back and is passed on unchanged. A database
    that is away or does not answer in time raises :class:`gateway.errors.StoreUnavailable`; a write
    that failed this way may still have been committed.
    """

    @property
    def name(self) -> str:
        """The database's file or server, without credentials."""

    @property
    def log_bytes(self) -> int:
        """The bytes of the write-ahead log beside a file; 0 for a server, which bounds its own."""

    @property
    def free_bytes(self) -> int | None:
        """The bytes that were free beside a file when it was last verified; None for a server."""

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run one small statement. It sees everything that was committed before."""

    async def scan(
        self,
        query: Callable[[Connection], R],
        make: Callable[[R], T],
        *,
        readers: Readers = Readers.HISTORY,
    ) -> T:
        """Read a page of the history, or of what ``readers`` names. However many pages are being
        read, :meth:`read` and :meth:`write` do not wait for them. ``make`` turns the rows into the
        result, off the event loop.
        """

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Run a transaction that writes. It is durable when this returns."""

    async def open(self, *, migrate: bool) -> str:
        """Begin to use the database. Returns what was found, or done, in words.

        ``migrate``: bring the tables up to date first. Without it nothing is changed, and tables
        that this code cannot use are refused by :class:`gateway.errors.StoreUnavailable`.
        """

    async def hear(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` whenever another program has stored a message, until the connection is
        lost, and once at the beginning: earlier ones may not have been heard.

        Where nothing can be heard, this waits until it is cancelled.
        """

    async def verify(self) -> None:
        """Check that this is still the database that was opened."""

    async def close(self) -> None: ...
