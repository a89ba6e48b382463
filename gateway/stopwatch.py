"""The time of a processor that pieces of work take, for less than asking for it each time. Pure.

A processor's clock is a call of the system, which takes half a microsecond, and more than one on a
busy machine; the wall's takes a tenth. Most pieces of work take some microseconds.
"""

from __future__ import annotations

import math
from typing import Final

from broker.timing.readings import Monotonic

#: Seconds up to which the wall's clock says enough of work, and a reading of the processor's clock
#: serves for what begins after it: whoever is interrupted by others is charged for no more of it.
NEAR: Final = 0.000_1

#: The beginning of work: on the wall's clock, and the last reading of the processor's before it.
Begun = tuple[float, float]


class Stopwatch:
    """A stopwatch for work in one thread, of which each piece may have others within.

    ``cpu`` is the time that the thread has had of a processor.
    """

    __slots__ = ("_clock", "_cpu", "_had", "_read_at")

    def __init__(self, *, clock: Monotonic, cpu: Monotonic) -> None:
        self._clock = clock
        self._cpu = cpu
        self._had = 0.0
        self._read_at = -math.inf

    def begin(self) -> Begun:
        """Work begins; for :meth:`since`."""
        now = self._clock()
        if now - self._read_at > NEAR:
            self._had, self._read_at = self._cpu(), now
        return now, self._had

    def since(self, begun: Begun) -> float:
        """The seconds that the work has had of a processor: no less, and if others had
        it meanwhile, more by :data:`NEAR` at most."""
        at, had = begun
        now = self._clock()
        taken = now - at
        if taken <= NEAR:
            return taken
        self._had, self._read_at = self._cpu(), now
        return min(taken, self._had - had)
