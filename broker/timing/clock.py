"""The clocks of the machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The time of day and the monotonic time. A test passes one of its own."""

    def unix(self) -> float:
        """Seconds since the epoch; may go back when the machine's clock is set."""
        return time.time()

    def utc(self) -> datetime:
        """The time of day, as :meth:`unix` has it."""
        return datetime.fromtimestamp(self.unix(), UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; they never go back."""
        return time.monotonic()
