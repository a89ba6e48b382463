"""The state of each part that the gateway depends on: since when, why, and what follows from it.

This table is the only one: ``/readyz``, the metrics, the dashboard, ``gateway doctor`` and the log
are all told by it, so they cannot disagree.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from broker.timing.readings import UnixTime
from gateway.domain.journal import Entry, EntryKind
from gateway.observe.journal import Journal

#: Parts that are remembered at most. There are few: nodes, feeds, and names in the code.
_PARTS: Final = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a look at a part.

    ``reason``: why it fails, in its own words; None: it works. ``follows``: what users notice while
    it fails. ``needed``: the gateway is not ready without it. ``logged``: the part logs its
    failures itself.
    """

    part: str
    reason: str | None
    follows: str
    needed: bool = False
    logged: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The state of a part, as last found. ``since``: Unix time at which it began to work or to
    fail."""

    found: Found
    since: float

    @property
    def part(self) -> str:
        return self.found.part

    @property
    def works(self) -> bool:
        return self.found.reason is None

    def as_json(self) -> dict[str, Any]:
        found = self.found
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        shown = {"part": found.part, "works": self.works, "since": since.replace("+00:00", "Z")}
        if found.reason is not None:
            shown |= {"reason": found.reason, "follows": found.follows, "needed": found.needed}
        return shown

    def __str__(self) -> str:
        """The failure in a line, for people."""
        since = datetime.fromtimestamp(self.since, UTC)
        return f"{self.part}, since {since:%H:%M:%S} UTC: {self.found.reason}; {self.found.follows}"


class States:
    """The states of all parts. Their changes are entries of the ``journal``."""

    def __init__(self, *, clock: UnixTime, journal: Journal | None = None) -> None:
        self._clock = clock
        self._journal = journal
        self._states: dict[str, State] = {}

    def __iter__(self) -> Iterator[State]:
        return iter(tuple(self._states.values()))

    @property
    def failing(self) -> list[State]:
        return [state for state in self._states.values() if not state.works]

    @property
    def ready(self) -> bool:
        """Whether every part works that the gateway needs."""
        return not any(state.found.needed for state in self.failing)

    def take(self, looked: Iterable[Found]) -> None:
        """Take the result of a look at all parts; log what has changed. A part that is not in it
        any more fails no more, and is forgotten."""
        now, before = self._clock(), self._states
        self._states = {}
        for found in looked:
            if len(self._states) >= _PARTS:
                break
            state = before.pop(found.part, None)
            works = found.reason is None
            same = state is not None and state.works == works
            self._states[found.part] = State(found, state.since if state and same else now)
            if not same and not works:
                self._note(now, "fails", f"{found.part}: {found.reason}; {found.follows}")
                _log.log(
                    _level(found),
                    "%s fails: %s; %s",
                    found.part,
                    found.reason,
                    found.follows,
                )
            elif state is not None and not same:
                self._mended(state, now)
        for state in before.values():
            if not state.works:
                self._mended(state, now)

    def _mended(self, state: State, now: float) -> None:
        failed, reason = now - state.since, state.found.reason
        self._note(now, "works", f"{state.part} failed for {failed:.0f} s: {reason}")
        _log.log(
            _level(state.found),
            "%s fails no more; it did for %.0f s: %s",
            state.part,
            failed,
            reason,
        )

    def _note(self, at: float, code: str, detail: str) -> None:
        if self._journal is not None:
            self._journal.add(Entry(at=at, kind=EntryKind.STATE, code=code, detail=detail))


def _level(found: Found) -> int:
    return logging.INFO if found.logged else logging.WARNING
