"""The rates at which one user may cost RabbitMQ work, and the queues that stay behind."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.budget.budgets import Budgets
from gateway.budget.table import BROKER_SUBSCRIPTIONS, DIALS
from gateway.live.relay.declared_queues import DeclaredQueues

#: Seconds that a client waits, unread, for what its user may do again only then; beyond them it is
#: refused. All connections of a user at once are within it.
PATIENCE: Final = 15.0


class Charges:
    """The budgets of users' relays."""

    def __init__(self, budgets: Budgets) -> None:
        self._dials = budgets.rate(DIALS)
        self._subscriptions = budgets.rate(BROKER_SUBSCRIPTIONS)
        #: The durable queues that users have named.
        self.queues = DeclaredQueues(budgets)

    async def dial(self, user: str) -> None:
        """Wait until the user may open another relay. Raises :class:`TooManyDials`."""
        await _wait(self._dials.reserve(user, within=PATIENCE))

    def dial_now(self, user: str) -> bool:
        """Whether the user may open another relay at once; then it is charged."""
        return self._dials.take_if_there(user)

    async def subscription(self, user: str) -> None:
        """Wait until the user may subscribe at the broker again. Raises
        :class:`TooManySubscriptions`."""
        await _wait(self._subscriptions.reserve(user, within=PATIENCE))


async def _wait(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)
