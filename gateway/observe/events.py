"""Recent events and their reasons: for the dashboard's list, and counted for Prometheus."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final

from broker.timing.readings import UnixTime

#: Events of one kind that are kept. One kind does not push out another: a school that goes home
#: does not hide the failure of a node.
KEPT: Final = 200
#: The longest detail, in characters; it may quote something that a client sent.
_DETAIL: Final = 300


class Kind(StrEnum):
    """The kinds of event.

    ``close``: a client's connection ended. ``refusal``: a request was turned away. ``failover``: a
    feed, a relay or the publisher lost its node or found another one. ``node``: a broker node went
    out, came back, was drained or resumed. ``action``: an admin did something.
    """

    CLOSE = "close"
    REFUSAL = "refusal"
    FAILOVER = "failover"
    NODE = "node"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``number`` counts up from 1 for each gateway; ``at`` is Unix time. ``code`` is a
    stable word for machines, ``detail`` for people; ``status`` is the HTTP status or WebSocket
    close code.
    """

    number: int
    at: float
    kind: Kind
    code: str
    detail: str
    status: int | None = None
    user: str | None = None
    address: str | None = None
    node: str | None = None
    connection: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class Events:
    """The latest events of each kind, and counts of all events."""

    def __init__(self, *, clock: UnixTime, kept: int = KEPT) -> None:
        self.counts: Counter[tuple[Kind, str, int | None]] = Counter()
        self._clock = clock
        self._kept = {kind: deque[Event](maxlen=kept) for kind in Kind}
        self._last = 0

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self._last

    def note(  # noqa: PLR0913 - what an event has, each by its name
        self,
        kind: Kind,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        user: str | None = None,
        address: str | None = None,
        node: str | None = None,
        connection: str | None = None,
    ) -> None:
        """Keep an event and count it. ``code`` and ``status`` must come from tables in this code,
        never from a client: each pair is a series in the metrics."""
        self._last += 1
        self.counts[kind, code, status] += 1
        self._kept[kind].append(
            Event(
                self._last,
                self._clock(),
                kind,
                code,
                detail if len(detail) <= _DETAIL else detail[: _DETAIL - 1] + "…",
                status,
                user,
                address,
                node,
                connection,
            )
        )

    def after(self, number: int, *, limit: int) -> list[Event]:
        """The newest ``limit`` events that came after that number, oldest first."""
        found = [
            event
            for kept in self._kept.values()
            for event in takewhile(lambda event: event.number > number, reversed(kept))
        ]
        return sorted(found, key=lambda event: event.number)[-limit:]
