"""The durable queues that clients' frames make RabbitMQ declare, and their number by user."""

from __future__ import annotations

from typing import Final

from broker.protocol.stomp import Frame
from gateway.budget.budgets import Budgets
from gateway.budget.table import BROKER_QUEUES
from gateway.domain.identity import Identity

#: RabbitMQ declares a durable queue for a SEND or SUBSCRIBE to it.
#: https://www.rabbitmq.com/docs/stomp#d.q
_QUEUE: Final = "/queue/"
#: The headers that make the queue of any other subscription durable.
#: https://www.rabbitmq.com/docs/stomp#d.dts
_DURABLE: Final = ("durable", "persistent")
#: Characters of a name that are told apart; RabbitMQ takes no longer one.
_LONGEST: Final = 255

#: A queue by its virtual host and name.
_Queue = tuple[str | None, str]


class DeclaredQueues:
    """The names of durable queues that each user's relays have given RabbitMQ since the start.

    Each was there once, and stays until somebody deletes it. Only RabbitMQ knows which ones there
    still are; its own limits (``max-queues``) are for a whole virtual host. Those of RabbitMQ's own
    users are not counted: RabbitMQ says which ones they may declare, with the gateway or without.
    """

    def __init__(self, budgets: Budgets) -> None:
        self._cap = budgets.cap(BROKER_QUEUES)
        self._by_payer: dict[str, set[_Queue]] = {}
        self._in_all = 0

    def count(self, who: Identity, frame: Frame) -> None:
        """Count the queue of a SEND or SUBSCRIBE, if it is a new one. Raises
        :class:`TooManyQueues`."""
        name = durable_queue(frame)
        if name is None or who.login is not None:
            return
        named = self._by_payer.get(who.payer)
        queue = who.vhost, name
        if named is not None and queue in named:
            return
        self._cap.check_counted(len(named or ()), self._in_all)
        self._by_payer.setdefault(who.payer, set()).add(queue)
        self._in_all += 1


def durable_queue(frame: Frame) -> str | None:
    """The name of the durable queue that RabbitMQ declares for a SEND or SUBSCRIBE; None: it
    declares none."""
    destination = frame.get("destination") or ""
    if destination.startswith(_QUEUE):
        return destination[len(_QUEUE) :][:_LONGEST]
    if destination and "/" not in destination:
        # RabbitMQ takes it for the name of a queue.
        return destination[:_LONGEST]
    if frame.command == "SUBSCRIBE" and any(frame.get(each) == "true" for each in _DURABLE):
        # RabbitMQ makes the name from both.
        return f"{frame.get('x-queue-name') or frame.get('id')} {destination}"[:_LONGEST]
    return None
