"""How long something takes that is awaited: the median of several times."""

import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Final

TIMES: Final = 15


async def milliseconds(do: Callable[[], Awaitable[object]], *, times: int = TIMES) -> float:
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        await do()
        took.append(1000 * (time.perf_counter() - begun))
    return median(took)
