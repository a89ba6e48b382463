"""The readings of a :class:`broker.timing.clock.Clock`, as functions. Pure.

A part takes the one reading that it needs, as an argument ``clock``; the type says which. Only a
part that needs two of them takes the Clock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

#: Seconds since the epoch; they may go back when the machine's clock is set.
UnixTime: TypeAlias = Callable[[], float]
#: Seconds since some moment; they never go back.
Monotonic: TypeAlias = Callable[[], float]
#: The time of day, aware, in UTC.
UtcTime: TypeAlias = Callable[[], datetime]
