"""Recent events and their reasons: for the dashboard's list, and counted for Prometheus."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final

from broker.timing.readings import UnixTime
from gateway.domain.journal import Visit

#: Events of one kind that are kept. One kind does not push out another: a school that goes home
#: does not hide the failure of a node.
KEPT: Final = 200
#: Seconds in which refusals of the same client for the same reason are one event.
_ALIKE: Final = 60.0
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
    close code. ``user``: whom it concerns; ``by``: who gave the order. ``budget``: the limit
    that was met (:mod:`gateway.budget`), e.g. ``posts/user``.

    An event that has come several times in a minute is one, with the latest number, time and
    detail; ``times``: how often, ``first``: its first number.
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
    budget: str | None = None
    by: str | None = None
    room: int | None = None
    times: int | None = None
    first: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


#: Is told of each new event, and of a connection that ends with it what is to be remembered.
Noted = Callable[[Event, Visit | None], None]


class Events:
    """The latest events of each kind, and counts of all events."""

    def __init__(self, *, clock: UnixTime, kept: int = KEPT) -> None:
        self.counts: Counter[tuple[Kind, str, int | None]] = Counter()
        self._clock = clock
        self._most = kept
        #: By what makes events alike, the latest last.
        self._kept: dict[Kind, OrderedDict[Hashable, Event]] = {
            kind: OrderedDict() for kind in Kind
        }
        self._last = 0
        self._observers: list[Noted] = []

    def observe(self, noted: Noted) -> None:
        self._observers.append(noted)

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
        budget: str | None = None,
        by: str | None = None,
        room: int | None = None,
        visit: Visit | None = None,
    ) -> bool:
        """Keep an event and count it. ``code`` and ``status`` must come from tables in this code,
        never from a client: each pair is a series in the metrics.

        What one client may repeat at will (refusals, ends of connections of nobody known or beyond
        a budget) is one event a minute, and counted. False: it was such a repetition, so that a log
        need not have it either.
        """
        self._last += 1
        self.counts[kind, code, status] += 1
        now = self._clock()
        alike: Hashable = self._last
        if budget is not None or (
            address is not None and (kind is Kind.REFUSAL or (kind is Kind.CLOSE and user is None))
        ):
            alike = code, status, user, address, budget, now // _ALIKE
        kept = self._kept[kind]
        before = kept.pop(alike, None)
        event = kept[alike] = Event(
            self._last,
            now,
            kind,
            code,
            detail if len(detail) <= _DETAIL else detail[: _DETAIL - 1] + "…",
            status,
            user,
            address,
            node,
            connection,
            budget,
            by,
            room,
            None if before is None else (before.times or 1) + 1,
            None if before is None else before.first or before.number,
        )
        if len(kept) > self._most:
            kept.popitem(last=False)
        if before is None:
            for noted in self._observers:
                noted(event, visit)
        return before is None

    def after(self, number: int, *, limit: int) -> list[Event]:
        """The newest ``limit`` events that came after that number, oldest first."""
        found = [
            event
            for kept in self._kept.values()
            for event in takewhile(lambda event: event.number > number, reversed(kept.values()))
        ]
        return sorted(found, key=lambda event: event.number)[-limit:]
