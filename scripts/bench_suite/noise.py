"""How disturbed the machine is: a small piece of work, done again and again while nothing runs."""

import time
from statistics import fmean
from typing import Final

_SECONDS: Final = 0.5
#: Iterations of a piece: about a tenth of a millisecond.
_PIECE: Final = 2_000


def probe() -> float:
    """By how many per cent the pieces of half a second took longer than the quickest of them, on
    average. Below about 10 nobody else asks for the processors."""
    took, end = [], time.monotonic() + _SECONDS
    while time.monotonic() < end:
        begun = time.perf_counter_ns()
        for _ in range(_PIECE):
            pass
        took.append(time.perf_counter_ns() - begun)
    return 100 * (fmean(took) / min(took) - 1)
