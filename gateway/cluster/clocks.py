"""The differences between the gateways' clocks and the database's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Seconds of difference from which operators are warned.
WARNED: Final = 5.0


class Clocks:
    """The clocks, as last compared: each gateway compares its own with the database's."""

    def __init__(self) -> None:
        #: Seconds by which this gateway's clock is ahead of the database's.
        self.own = 0.0
        self._others: dict[str, float] = {}

    def compared(self, own: float, others: Mapping[str, float]) -> None:
        """Take the seconds by which this gateway's clock, and those of the others by name, are
        ahead of the database's. Gateways that are gone are forgotten."""
        self.own = own
        self._others = dict(others)

    def ahead(self, gateway: str) -> float:
        """The seconds by which another gateway's clock is ahead of this one's; 0: nothing is
        known."""
        theirs = self._others.get(gateway)
        return 0.0 if theirs is None else theirs - self.own

    @property
    def problem(self) -> str | None:
        """The differences that are large, in a sentence; None: there are none."""
        found = [(self.own, "the database")]
        found += [(-self.ahead(name), f"gateway {name}") for name in sorted(self._others)]
        large = [
            f"{abs(by):.1f} s {'ahead of' if by > 0 else 'behind'} that of {whose}"
            for by, whose in found
            if abs(by) >= WARNED
        ]
        return f"the clock is {', '.join(large)}" if large else None
