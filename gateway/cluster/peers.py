"""The other gateways that are alive, judged by their heart-beats and one's own. Pure, without a
clock.

Every gateway beats, and hears its own beats as all others do. A gateway is gone if it says nothing
while :data:`PATIENCE` of our own beats come back. So a gateway that hears nothing, not even itself,
draws no conclusion: while the broker is away the list of gateways stays as it was.
"""

from __future__ import annotations

from typing import Final

#: Seconds between two beats.
BEAT: Final = 2.5
#: The number of own beats without a word of the other gateway: ten seconds.
PATIENCE: Final = 4


#: The number of own beats for which a name that has said goodbye stays gone: longer than a message
#: on its way may take (:data:`gateway.cluster.envelope.FRESH`).
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
        """Whether the gateway has said goodbye: a message that comes from it now was sent
        before."""
        return name in self._parted

    def heard(self, name: str) -> bool:
        """Note a message of the gateway. Returns whether it is new; never so for one that has
        :meth:`parted`."""
        new = name not in self._silence
        self._silence[name] = 0
        return new

    def beat(self) -> list[str]:
        """Note that an own beat has come back. Returns the gateways that are gone by that."""
        gone = [name for name, silence in self._silence.items() if silence >= PATIENCE]
        for name in gone:
            del self._silence[name]
        for name in self._silence:
            self._silence[name] += 1
        self._parted = {name: left - 1 for name, left in self._parted.items() if left > 1}
        return gone

    def left(self, name: str) -> None:
        """Note a gateway's goodbye."""
        self._silence.pop(name, None)
        self._parted[name] = PARTED
