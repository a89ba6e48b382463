"""A limit on the time for which RabbitMQ may owe a client a RECEIPT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.live.relay.state import RelayState

#: Seconds, and twice that at most, for which a receipt may be due. RabbitMQ never answers a message
#: that a queue has nacked, and a queue without a majority says nothing.
LONGEST: Final = 60.0


class ReceiptWatch:
    """The watch over one uplink's receipts; one timer, however many are due.

    ``overdue`` is called with the id of a receipt that has been the oldest one for
    :data:`LONGEST` seconds.
    """

    __slots__ = (
        "_loop",
        "_overdue",
        "_state",
        "_timer",
    )

    def __init__(self, state: RelayState, *, overdue: Callable[[str], None]) -> None:
        self._state = state
        self._overdue = overdue
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Watch the receipts that are due, if there are any; to be called after each frame."""
        if self._timer is None and self._state.unanswered:
            self._timer = self._loop.call_later(LONGEST, self._check, self._state.oldest)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _check(self, due: tuple[str, int, int] | None) -> None:
        self._timer = None
        if due is not None and self._state.oldest == due:
            self._overdue(due[0])
        else:
            self.begin()
