"""A gateway on a clock that can be put forward and back while it runs.

`python -m tests.chaos.wrong_clock FILE …`: the command `gateway …`, whose time of day is ahead of
the machine's by the seconds in FILE, as a :class:`WrongClock` has it there. Everything in a gateway
takes its time from one class, whose reading this replaces; the log's times stay the machine's.
"""

import mmap
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from broker.timing.clock import Clock
from gateway.cli import arguments

_SECONDS = struct.Struct("d")


class WrongClock:
    """The setting of a gateway's clock, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0.0)

    @property
    def program(self) -> tuple[str, ...]:
        """What runs a gateway on it."""
        return sys.executable, "-m", __name__, str(self._file)

    def set(self, ahead: float) -> None:
        """Seconds by which it is ahead of the machine's from now on."""
        # In place: a gateway has this file mapped.
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(_SECONDS.pack(ahead))


def shifted(setting: mmap.mmap) -> Callable[[Clock], float]:
    """The reading of a clock with this setting, which others change."""

    def unix(_: Clock) -> float:
        return time.time() + float(_SECONDS.unpack_from(setting)[0])

    return unix


if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    Clock.unix = shifted(mapped)  # type: ignore[method-assign, assignment]
    sys.exit(arguments.main(sys.argv[2:]))
