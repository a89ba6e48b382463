"""The wait before the next attempt, doubled from the first delay to the longest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Doublings at most: 2.0**1024 overflows.
_DOUBLINGS: Final = 60


@dataclass(frozen=True, slots=True)
class BackOff:
    """The bounds of the wait: ``first`` and ``longest``, in seconds."""

    first: float
    longest: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row (1 or more)."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, _DOUBLINGS))
