"""The server's half of the WebSocket opening handshake (RFC 6455, section 4.2). It is stricter than
Tornado's: everything that the RFC refuses is refused."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from tornado.httputil import HTTPServerRequest

from broker.protocol.websocket import accept_key
from gateway.errors import Invalid, UpgradeNeeded

#: Best first: RabbitMQ, too, takes the highest version that is offered, whatever the order.
SUBPROTOCOLS: Final = ("v12.stomp", "v11.stomp", "v10.stomp")
VERSION: Final = "13"


def accept(request: HTTPServerRequest) -> bytes:
    """The response head that switches protocols. Raises :class:`UpgradeNeeded`,
    :class:`Invalid`."""
    headers = request.headers
    if request.version != "HTTP/1.1" or not (
        _names(headers.get("Upgrade", ""), "websocket")
        and _names(headers.get("Connection", ""), "upgrade")
    ):
        raise UpgradeNeeded("this is a WebSocket: connect with ws:// or wss://")
    if headers.get("Sec-WebSocket-Version") != VERSION:
        raise UpgradeNeeded(
            f"only version {VERSION} of the WebSocket protocol is supported (RFC 6455)"
        )
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(_key(headers.get('Sec-WebSocket-Key', '')))}",
    ]
    offered = headers.get_list("Sec-WebSocket-Protocol")
    if offered:
        lines.append(f"Sec-WebSocket-Protocol: {_choose(','.join(offered))}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _names(header: str, token: str) -> bool:
    return token in (part.strip().lower() for part in header.split(","))


def _key(key: str) -> str:
    try:
        if len(base64.b64decode(key, validate=True)) == 16:
            return key
    except (binascii.Error, ValueError):
        pass
    raise Invalid("Sec-WebSocket-Key: must be the base64 of 16 bytes (RFC 6455, section 4.1)")


def _choose(offered: str) -> str:
    names = {name.strip() for name in offered.split(",")}
    for ours in SUBPROTOCOLS:
        if ours in names:
            return ours
    raise Invalid(f"Sec-WebSocket-Protocol: offer one of {', '.join(SUBPROTOCOLS)}, or none")
