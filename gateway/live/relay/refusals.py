"""RabbitMQ's ERROR frames: what each means for the client, and what of it stays here. Pure."""

from __future__ import annotations

import re
from typing import Final

from broker.protocol.stomp import Frame, serialise
from gateway.errors import BadFrame, BrokerRefused, BrokerUnavailable, GatewayError

#: RabbitMQ cancels a subscription when its queue is gone, and leaves the connection open
#: (rabbitmq-server#2410): the client comes back, and looks at the history for what was in it.
_CANCELLED: Final = "server cancelled subscription"
#: Not the client's fault: it may come back.
_PASSING: Final = frozenset({_CANCELLED, "internal_error", "connection_forced"})
#: The client's frame is right, but not for it, or not here. All else is a wrong frame.
_REFUSED: Final = frozenset({"access_refused", "not_found", "resource_locked", "not_allowed"})
#: What a queue is to its consumer that is only away: not there, or another session's for a moment.
_AWAY_PERHAPS: Final = frozenset({"not_found", "resource_locked"})
#: A queue that comes back with its node (``rabbit_misc:home_node_down`` and its like).
_AWAY: Final = re.compile(
    r"is down or inaccessible|is stopped by supervisor|due to (timeout|no.majority)"
)
#: What an authentication back end has answered, and the names of the nodes.
_INSIDE: Final = (
    (re.compile(r",? *backend \S+ returned an error:.*", re.DOTALL), ""),
    (re.compile(r"\bnode '?[^\s'@]+@[^\s',]+'?"), "a node"),
    (re.compile(r"<\d+\.\d+\.\d+>|<[^<>\s@]+@[^<>\s]+>"), "…"),
)
_SHOWN: Final = 300


def meaning(error: Frame, *, returning: bool = False) -> GatewayError:
    """The error behind an ERROR frame; the client gets the frame as :func:`public` returns it.

    ``returning``: the session asks again for what RabbitMQ had given to the client before, so that
    a queue which is not there may come back.
    """
    message = (error.get("message") or "").strip()
    body = error.body.decode(errors="replace").strip()
    what = ": ".join(part for part in (message, _covered(body)[:_SHOWN]) if part)
    kind = message.lower()
    if kind in _PASSING or _AWAY.search(body):
        return BrokerUnavailable(
            "the broker cancelled a subscription" if kind == _CANCELLED else f"RabbitMQ: {what}"
        )
    if returning and kind in _AWAY_PERHAPS:
        return BrokerUnavailable(f"RabbitMQ does not give a queue again: {what}")
    if kind in _REFUSED:
        return BrokerRefused(f"RabbitMQ refused: {what}")
    return BadFrame(f"RabbitMQ refused: {what}")


def public(error: Frame) -> bytes | None:
    """The frame without what stays here; None: it may pass as it is."""
    headers = [(name, _covered(value)) for name, value in error.headers]
    text = error.body.decode(errors="replace")
    body = _covered(text)
    if body == text and headers == list(error.headers):
        return None
    return serialise(error.command, headers, body.encode())


def _covered(text: str) -> str:
    for pattern, instead in _INSIDE:
        text = pattern.sub(instead, text)
    return text
