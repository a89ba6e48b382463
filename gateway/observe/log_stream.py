"""Standard error for a process that must not wait for the reader of its log."""

from __future__ import annotations

import io
import logging
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_log = logging.getLogger(__name__)

#: The most bytes of lines that wait: some 8,000 lines.
_WAITING_BYTES: Final = 1024 * 1024
#: Seconds over which lines are gathered into one write. A process that is killed loses as many.
_GATHER: Final = 0.02
#: Seconds that the process waits at its end until the log has been read.
_LAST_WORDS: Final = 1.0
#: Seconds between two attempts to write to a descriptor that takes nothing without blocking.
_RETRY: Final = 1.0


class LogStream(io.TextIOBase):
    """A text stream whose writers never wait: a thread of its own writes to ``descriptor``.

    A pipe that nobody reads would stop the event loop, and every client with it. Lines beyond
    ``waiting_bytes`` are dropped and counted; as soon as the reader is back, a warning tells their
    number.
    """

    def __init__(self, descriptor: int, *, waiting_bytes: int = _WAITING_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._room = waiting_bytes
        self._chunks: deque[bytes] = deque()
        self._dropped = 0
        self._closing = False
        # Reentrant: the garbage collector may run anywhere, and objects that it destroys may log.
        self._changed = threading.Condition(threading.RLock())
        self._waits = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        data = text.encode(errors="backslashreplace")
        with self._changed:
            if self._closing or len(data) > self._room:
                self._dropped += max(1, text.count("\n"))
            else:
                self._room -= len(data)
                self._chunks.append(data)
                if self._waits:
                    self._waits = False
                    self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: a caller of flush must not wait either."""

    def end(self, *, within: float = _LAST_WORDS) -> None:
        """Take no more lines; wait at most ``within`` seconds until everything has been written."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(within)

    def _run(self) -> None:
        while (data := self._next()) is not None:
            written = self._write_out(data)
            with self._changed:
                self._room += len(data)
                if not written:
                    self._dropped += data.count(b"\n")
                    continue
                dropped, self._dropped = self._dropped, 0
            if dropped:
                _log.warning(
                    "%d log lines were dropped, because standard error was not read fast enough",
                    dropped,
                )

    def _next(self) -> bytes | None:
        """All waiting lines, once there are some; None at the end."""
        with self._changed:
            while not self._chunks:
                if self._closing:
                    return None
                self._waits = True
                self._changed.wait()
            if not self._closing:
                self._changed.wait(_GATHER)
            data = b"".join(self._chunks)
            self._chunks.clear()
            return data

    def _write_out(self, data: bytes) -> bool:
        """Wait for the reader, however long it takes. False: there is none, or a full disk."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Another process that shares the descriptor has made it non-blocking.
                select.select([], [self._descriptor], [], _RETRY)
            except OSError:
                return False
        return True


@contextmanager
def off_the_loop() -> Iterator[None]:
    """Keep everything in this process from waiting for the reader of standard error: the log, and
    also what Python itself writes there."""
    before = sys.stderr
    try:
        stream = LogStream(before.fileno())
    except (AttributeError, io.UnsupportedOperation):
        # None, or memory: nothing that could make a writer wait.
        yield
        return
    sys.stderr = stream
    try:
        yield
    finally:
        sys.stderr = before
        stream.end()
