"""A limit for repeated tracebacks: each is logged once a minute, and counted in between."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from broker.timing.readings import Monotonic

#: Seconds for which the same error at the same place is counted instead of logged.
_MINUTE: Final = 60.0
#: Places that are remembered; beyond that the oldest is logged again.
_PLACES: Final = 256

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """The time and the repetitions of an error at one place."""

    until: float
    what: str
    more: int = 0


class Repetitions(logging.Filter):
    """A filter that lets one traceback a minute pass for the same error at the same place.

    "The same": the logger, the error's class, and the line that raised it. The number of dropped
    lines is logged once the minute is over and anything is logged.
    """

    def __init__(self, *, clock: Monotonic) -> None:
        super().__init__()
        self._clock = clock
        #: In the order in which their minutes end.
        self._places: OrderedDict[tuple[object, ...], _Place] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        self._tell(now)
        if not record.exc_info or record.exc_info[0] is None:
            return True
        kind, _, trace = record.exc_info
        where = _raised_at(trace) or (record.pathname, record.lineno)
        key = record.name, kind, where
        if (known := self._places.get(key)) is not None:
            known.more += 1
            return False
        if len(self._places) >= _PLACES:
            self._places.popitem(last=False)
        self._places[key] = _Place(
            now + _MINUTE, f"{kind.__name__} at {where[0]}, line {where[1]} ({record.name})"
        )
        return True

    def tell_all(self) -> None:
        """Say now what was counted, at the end of the process: nothing comes after it."""
        for place in self._places.values():
            place.until = -math.inf
        self._tell(0.0)

    def _tell(self, now: float) -> None:
        while self._places:
            key, place = next(iter(self._places.items()))
            if place.until > now:
                return
            # First, because logging calls this method again.
            del self._places[key]
            if place.more:
                _log.error("repeated %d more times within a minute: %s", place.more, place.what)


def _raised_at(trace: TracebackType | None) -> tuple[str, int] | None:
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno
