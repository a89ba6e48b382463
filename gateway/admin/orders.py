"""An admin's orders to the gateways: ending connections, draining and resuming."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, Self

from gateway.drain import Drain
from gateway.errors import GatewayError, Kicked
from gateway.observe.events import Events, Kind

logger = logging.getLogger(__name__)


class AdminAction(StrEnum):
    """The action on an order's target, which is a connection's id, a user, a node or a gateway."""

    END_CONNECTION = "end_connection"
    END_USER = "end_user"
    DRAIN_NODE = "drain_node"
    RESUME_NODE = "resume_node"
    DRAIN_GATEWAY = "drain_gateway"


_SAID: Final[Mapping[AdminAction, str]] = {
    AdminAction.END_CONNECTION: "end connection {target}",
    AdminAction.END_USER: "end all connections of {target}",
    AdminAction.DRAIN_NODE: "drain the broker node {target}",
    AdminAction.RESUME_NODE: "resume the broker node {target}",
    AdminAction.DRAIN_GATEWAY: "drain the gateway {target}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An admin's order to the gateways. ``by``: the admin's user name. ``gateway``: the only one
    that is meant; None: each."""

    action: AdminAction
    target: str
    by: str
    gateway: str | None = None

    def __str__(self) -> str:
        return _SAID[self.action].format(target=self.target)

    def as_json(self) -> dict[str, Any]:
        return {"deed": self.action, "target": self.target, "by": self.by, "gateway": self.gateway}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Self:
        return cls(
            action=AdminAction(json["deed"]),
            target=json["target"],
            by=json["by"],
            gateway=json["gateway"],
        )


class LiveConnections(Protocol):
    """This gateway's connections. Both methods return how many they ended."""

    def end_connection(self, id: str, error: GatewayError) -> int: ...

    def end_user(self, user: str, error: GatewayError) -> int: ...


class Nodes(Protocol):
    """The broker nodes. Both methods raise :class:`broker.nodes.balancer.UnknownNode`."""

    def drain(self, name: str) -> None: ...

    def resume(self, name: str) -> None: ...


class Orders:
    """The executor of orders at this gateway."""

    def __init__(
        self, *, connections: LiveConnections, nodes: Nodes, drain: Drain, events: Events
    ) -> None:
        self._connections = connections
        self._nodes = nodes
        self._drain = drain
        self._events = events

    def carry_out(self, order: Order) -> int:
        """Carry out an order. Returns the number of ended connections; 1 for a node or gateway.

        Raises :class:`broker.nodes.balancer.UnknownNode`.
        """
        target = order.target
        logger.info("admin %s orders: %s", order.by, order)
        match order.action:
            case AdminAction.END_CONNECTION:
                return self._connections.end_connection(target, _kicked())
            case AdminAction.END_USER:
                return self._connections.end_user(target, _kicked())
            case AdminAction.DRAIN_NODE:
                self._nodes.drain(target)
                self._events.note(Kind.NODE, "draining", f"asked by {order.by}", node=target)
            case AdminAction.RESUME_NODE:
                self._nodes.resume(target)
                self._events.note(Kind.NODE, "resumed", f"asked by {order.by}", node=target)
            case AdminAction.DRAIN_GATEWAY:
                self._drain.begin(f"asked by {order.by}")
        return 1


def _kicked() -> Kicked:
    return Kicked("an admin has ended this connection")
