"""Which other gateways live, judged by their beats against one's own. Pure, without a clock.

Every gateway beats, and hears its own beats as all others do. Who has said nothing while
:data:`PATIENCE` beats of our own went round is gone. So a gateway that hears nothing, itself
included, draws no conclusion: while the broker is away everybody stays who was there.
"""

from __future__ import annotations

from typing import Final

#: Seconds between two beats.
BEAT: Final = 2.5
#: Beats of our own without a word of the other: ten seconds.
PATIENCE: Final = 4


#: Beats of our own for which a name that has said goodbye stays gone: longer than a message that
#: was on its way may take (:data:`gateway.cluster.envelope.FRESH`).
PARTED: Final = 24


class Peers:
    """The other gateways, by name. No two processes ever have the same name."""

    def __init__(self) -> None:
        self._silence: dict[str, int] = {}
        self._parted: dict[str, int] = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._silence)

    def parted(self, name: str) -> bool:
        """Whether it has said goodbye: what comes from it now was overtaken by that."""
        return name in self._parted

    def heard(self, name: str) -> bool:
        """Whether it is new. Not for a name that has :meth:`parted`."""
        new = name not in self._silence
        self._silence[name] = 0
        return new

    def beat(self) -> list[str]:
        """One of our own beats has come back; who is gone by that."""
        gone = [name for name, silence in self._silence.items() if silence >= PATIENCE]
        for name in gone:
            del self._silence[name]
        for name in self._silence:
            self._silence[name] += 1
        self._parted = {name: left - 1 for name, left in self._parted.items() if left > 1}
        return gone

    def left(self, name: str) -> None:
        """It has said goodbye."""
        self._silence.pop(name, None)
        self._parted[name] = PARTED
