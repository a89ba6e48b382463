"""One line that shows that work goes on. Only the standard library is imported."""

import shutil
import sys
import time
from collections.abc import Callable

Progress = Callable[[str], None]

#: Seconds between two changes on a terminal.
TICK = 0.25
_CLEAR = "\r\x1b[K"


class MovingLine:
    """A line with the seconds since its start and a text about the work.

    On a terminal the line is rewritten in place. Elsewhere, in a log of CI, `progress` is given a
    line every `quiet` seconds.
    """

    def __init__(self, progress: Progress, *, quiet: float) -> None:
        self._progress = progress
        self._is_terminal = sys.stdout.isatty()
        self._interval = TICK if self._is_terminal else quiet
        self._started = time.monotonic()
        self._due = self._started + self._interval

    def is_due(self) -> bool:
        """Whether `show` would say something now."""
        return time.monotonic() >= self._due

    def show(self, text: str) -> None:
        """Say `text`, unless something was said a moment ago."""
        if not self.is_due():
            return
        now = time.monotonic()
        self._due = now + self._interval
        line = f"  … {now - self._started:.0f} s  {text}".rstrip()
        line = line[: shutil.get_terminal_size().columns - 3]
        if self._is_terminal:
            print(_CLEAR + line, end="", flush=True)
        else:
            self._progress(line.strip())

    def clear(self) -> None:
        """Take the line away, so that something lasting can be printed."""
        if self._is_terminal:
            print(_CLEAR, end="", flush=True)
