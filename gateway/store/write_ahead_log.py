"""SQLite's write-ahead log, and its bound."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path
from typing import Final

from broker.timing.complaints import Complaints
from broker.timing.readings import Monotonic

#: Bytes of the log beyond which it is begun anew.
MOST: Final = 64 * 1024 * 1024
#: Bytes beyond which something is wrong.
FAR_TOO_MANY: Final = 4 * MOST
#: Seconds between two looks at the log.
INTERVAL: Final = 1.0
#: Seconds until the next attempt after one that a reader has prevented: posts wait for each.
PAUSE: Final = 15.0
#: Milliseconds that the writer waits for the readers that are reading the log. Those of the gateway
#: read for some hundredths of a second.
_PATIENCE: Final = 150

_log = logging.getLogger(__name__)


class WriteAheadLog:
    """The log beside a SQLite file.

    SQLite begins the log anew by itself at a moment in which nobody reads it. Readers that overlap,
    one after the other, leave no such moment, and the log would grow without an end. So above
    :data:`MOST` bytes the writer moves everything into the database and waits for the readers of
    the log: those that come meanwhile read the database alone.
    https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files
    """

    def __init__(self, database: Path, *, clock: Monotonic = time.monotonic) -> None:
        self._path = Path(f"{database}-wal")
        self._clock = clock
        self._next = clock()
        self._complaints = Complaints(("busy", "failed"), clock=clock)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def is_due(self) -> bool:
        """Whether it is time for :meth:`shorten`. It is cheap to ask after each write."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + INTERVAL
        return self.size > MOST

    def shorten(self, connection: sqlite3.Connection) -> None:
        """Begin the log anew, unless a reader goes on for too long. ``connection`` is the writer's,
        outside of a transaction."""
        (before,) = connection.execute("PRAGMA busy_timeout").fetchone()
        try:
            connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            if self._complaints.note("failed"):
                _log.warning(
                    "the log %s of SQLite could not be moved into the database: %s; the next"
                    " attempt is in a second, if there is more to write",
                    self._path,
                    error,
                )
            return
        finally:
            connection.execute(f"PRAGMA busy_timeout = {before}")
        if busy:
            self._next = self._clock() + PAUSE
        if busy and self.size > FAR_TOO_MANY and self._complaints.note("busy"):
            _log.warning(
                "the log %s of SQLite has %d MB and grows, because another program has been reading"
                " the database for long, e.g. a backup or a shell; end that program",
                self._path,
                self.size // 1024 // 1024,
            )
