"""Entrances of lost feeds, which are to be deleted so that RabbitMQ confirms messages again.

A feed's queue is exclusive, so RabbitMQ deletes it with its connection; but where metadata are in
Khepri (always from 4.3 on), it deletes the queues of a node that died or hangs when the node is
back, and not before. Until then they stay bound, and every message that is routed to one of them
gets a nack. Nobody else may unbind or delete an exclusive queue. So a feed binds topics to an
exchange of its own, its entrance, and the queue to that: whoever deletes the entrance, on any
node, takes the lost queue out of the way of all messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

#: Entrances that are remembered; beyond that the oldest is forgotten. One lost gateway leaves two
#: thousand, if its feeds have a thousand patterns each.
CAPACITY: Final = 5_000


class Sweeper(Protocol):
    """A session that can delete an entrance."""

    def delete(self, entrance: str) -> None:
        """Ask the node to delete it; :meth:`Leftovers.deleted` follows."""


class Leftovers:
    """The entrances that are to be deleted, and the sessions that can do it.

    Every session is asked, because a node may hang that does not look like it; deleting what is
    not there is no error.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entrances: dict[str, None] = {}
        self._sweepers: list[Sweeper] = []

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entrances))

    def add(self, entrances: Iterable[str]) -> None:
        """Have these deleted, now or by the next session that there is."""
        for entrance in entrances:
            self._entrances[entrance] = None
            if len(self._entrances) > self._capacity:
                del self._entrances[next(iter(self._entrances))]
            for sweeper in tuple(self._sweepers):
                sweeper.delete(entrance)

    def deleted(self, entrance: str) -> None:
        """RabbitMQ has deleted it, or it was not there."""
        self._entrances.pop(entrance, None)

    @contextmanager
    def swept_by(self, sweeper: Sweeper) -> Iterator[None]:
        """A block in which this session deletes what there is and what comes."""
        for entrance in self:
            sweeper.delete(entrance)
        self._sweepers.append(sweeper)
        try:
            yield
        finally:
            self._sweepers.remove(sweeper)
