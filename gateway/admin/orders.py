"""An admin's orders to the gateways: ending connections, draining and resuming."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, Self

from gateway.drain import Drain
from gateway.errors import GatewayError, Kicked
from gateway.observe.events import Events, Kind

logger = logging.getLogger(__name__)


class AdminAction(StrEnum):
    """The action on an order's target, which is a connection's id, a user, the claim of tokens, a
    node or a gateway."""

    END_CONNECTION = "end_connection"
    END_USER = "end_user"
    END_TOKENS = "end_tokens"
    DRAIN_NODE = "drain_node"
    RESUME_NODE = "resume_node"
    DRAIN_GATEWAY = "drain_gateway"


_SAID: Final[Mapping[AdminAction, str]] = {
    AdminAction.END_CONNECTION: "end connection {target}",
    AdminAction.END_USER: "end all connections of {target}",
    AdminAction.END_TOKENS: "revoke tokens: {target}",
    AdminAction.DRAIN_NODE: "drain the broker node {target}",
    AdminAction.RESUME_NODE: "resume the broker node {target}",
    AdminAction.DRAIN_GATEWAY: "drain the gateway {target}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An admin's order to the gateways. ``by``: the admin's user name. ``gateway``: the only one
    that is meant; None: each. ``terms``: what else was ordered, for events and logs."""

    action: AdminAction
    target: str
    by: str
    gateway: str | None = None
    terms: str = ""

    def __str__(self) -> str:
        return _SAID[self.action].format(target=self.target) + self.terms

    def as_json(self) -> dict[str, Any]:
        return {
            "deed": self.action,
            "target": self.target,
            "by": self.by,
            "gateway": self.gateway,
            "terms": self.terms,
        }

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Self:
        return cls(
            action=AdminAction(json["deed"]),
            target=json["target"],
            by=json["by"],
            gateway=json["gateway"],
            # A gateway of the version before sends none.
            terms=json.get("terms", ""),
        )


class LiveConnections(Protocol):
    """This gateway's connections. The methods that end some return how many."""

    def end_connection(self, id: str, error: GatewayError) -> int: ...

    def end_user(self, user: str, error: GatewayError) -> int: ...

    def count_user(self, user: str) -> int:
        """The number of the user's connections."""


class Nodes(Protocol):
    """The broker nodes. Both methods raise :class:`broker.nodes.balancer.UnknownNode`."""

    def drain(self, name: str) -> None: ...

    def resume(self, name: str) -> None: ...


class Orders:
    """The executor of orders at this gateway. ``learn`` reads from the database whose access has
    ended, and ends it here; it returns the number of connections that it has ended."""

    def __init__(
        self,
        *,
        connections: LiveConnections,
        learn: Callable[[], Awaitable[int]],
        nodes: Nodes,
        drain: Drain,
        events: Events,
    ) -> None:
        self._connections = connections
        self._learn = learn
        self._nodes = nodes
        self._drain = drain
        self._events = events

    async def carry_out(self, order: Order) -> int:
        """Carry out an order. Returns the number of ended connections; 1 for a node or gateway.

        Raises :class:`broker.nodes.balancer.UnknownNode`, and :class:`StoreUnavailable` if this
        gateway cannot know yet whose access has ended: it does as soon as it can.
        """
        target = order.target
        logger.info("admin %s orders: %s", order.by, order)
        match order.action:
            case AdminAction.END_CONNECTION:
                return self._connections.end_connection(target, _kicked())
            case AdminAction.END_USER:
                open_before = self._connections.count_user(target)
                # Before this is done: nobody comes back by what has ended.
                await self._learn()
                self._connections.end_user(target, _kicked())
                return open_before
            case AdminAction.END_TOKENS:
                return await self._learn()
            case AdminAction.DRAIN_NODE:
                self._nodes.drain(target)
                self._events.note(Kind.NODE, "draining", f"asked by {order.by}", node=target)
            case AdminAction.RESUME_NODE:
                self._nodes.resume(target)
                self._events.note(Kind.NODE, "resumed", f"asked by {order.by}", node=target)
            case AdminAction.DRAIN_GATEWAY:
                self._drain.announce(f"asked by {order.by}")
        return 1


def _kicked() -> Kicked:
    return Kicked("an admin has ended this connection")
