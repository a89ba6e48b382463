"""The way of log lines out of the process: those of one turn of the event loop in one write."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, TextIO

#: Lines that wait at most.
_MOST: Final = 256


class TurnHandler(logging.StreamHandler[TextIO]):
    """What the code of an event loop logs leaves when its turn is over; errors, and what is logged
    outside of a loop, at once.

    Lines keep their order. A process that is killed loses its last turn's, one that ends none.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []
        #: The loop that will flush at the end of its turn.
        self._flushes: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.append(self.format(record) + self.terminator)
            if record.levelno >= logging.ERROR or not self._turn_ends_soon():
                self.flush()
        except Exception:
            # As logging wants it: a line that cannot be written stops nothing.
            self.handleError(record)

    def flush(self) -> None:
        self.acquire()
        try:
            self._flushes = None
            if self._waiting:
                lines = "".join(self._waiting)
                self._waiting.clear()
                self.stream.write(lines)
            super().flush()
        finally:
            self.release()

    def _turn_ends_soon(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._flushes is not loop:
            self._flushes = loop
            loop.call_soon(self.flush)
        return len(self._waiting) < _MOST
