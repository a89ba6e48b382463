"""The detector of nodes whose messages no longer reach the other nodes. Pure.

A node that has lost the others and does not know it takes logins, publications and subscriptions as
before, and routes by what it last knew: RabbitMQ 3.10 was seen to miss its own minority after a
hang, though ``cluster_partition_handling`` is ``pause_minority``.

So in every round an echo goes out through every node. A feed that hears most of the cluster is
right about the rest; while no feed does, nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

#: Rounds without an echo after which a node is partitioned.
MISSED: Final = 4


class PartitionDetector:
    """The echoes that came back, by the node that sent each and the feed that brought it."""

    def __init__(self) -> None:
        self._round = 0
        #: The first of the rounds in a row that went out through a node, by the node's name.
        self._through: dict[str, int] = {}
        #: The round from which on a feed stands, by the feed's number.
        self._since: dict[int, int] = {}
        #: The last round that a feed has brought from a node.
        self._heard: dict[tuple[int, str], int] = {}

    def begin(self) -> int:
        """Begin a round; its number."""
        self._round += 1
        return self._round

    def sent(self, through: Iterable[str]) -> None:
        """This round's echoes went out through these nodes."""
        self._through = {node: self._through.get(node, self._round) for node in through}

    def stands(self, feed: int) -> None:
        """A feed brings echoes from now on."""
        self._since[feed] = self._round

    def gone(self, feed: int) -> None:
        """A feed brings no echoes any more."""
        self._since.pop(feed, None)
        self._heard = {key: last for key, last in self._heard.items() if key[0] != feed}

    def heard(self, feed: int, node: str, round: int) -> None:
        """A feed has brought the echo of a round; in any order, any number of times. An echo that
        was not sent is ignored."""
        if feed in self._since and node in self._through and 0 < round <= self._round:
            self._heard[feed, node] = max(round, self._heard.get((feed, node), round))

    def partitioned(self, nodes: int) -> frozenset[str]:
        """The nodes that do not reach the cluster, which has ``nodes`` nodes.

        A feed that has just begun to stand does not judge, and a node that has just begun to be
        sent through is not judged.
        """
        judges = [feed for feed in self._since if self._hears(feed) * 2 > nodes]
        if not judges:
            return frozenset()
        return frozenset(
            node for node in self._through if all(self._misses(feed, node) for feed in judges)
        )

    def _hears(self, feed: int) -> int:
        return sum(self._age(feed, node) < MISSED for node in self._through)

    def _misses(self, feed: int, node: str) -> bool:
        began = max(self._since[feed], self._through[node])
        return self._age(feed, node) >= MISSED and self._round - began >= MISSED

    def _age(self, feed: int, node: str) -> float:
        """Rounds since the feed last brought an echo from the node."""
        return self._round - self._heard.get((feed, node), -math.inf)
