"""A clock that the test turns."""

from __future__ import annotations

from broker.timing.clock import Clock


class FakeClock(Clock):
    """A clock that stands still until the test sets ``now``.

    Called, it gives the time too, for objects that need one function of a clock only.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def unix(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def __call__(self) -> float:
        return self.now
