"""AsyncAPI 3.0 of ``/ws``: the destinations, the frames both ways, the errors and close codes.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from broker.protocol.websocket import CloseCode
from broker.topology import Topology
from gateway.config import LARGEST_TOKEN
from gateway.domain.message import Importance
from gateway.http.contract import problems
from gateway.http.contract.shapes import SaidMessage
from gateway.http.handshake import SUBPROTOCOLS
from gateway.live.client.requests import LONGEST_KEY
from gateway.live.destinations import PING, RENEWAL

Json = dict[str, Any]

#: The statuses of problems that only a call by HTTP has.
_BY_HTTP_ALONE: Final = frozenset({405, 426, 431})
#: What a client does after a close code.
CLOSE_CODES: Final[Mapping[CloseCode, str]] = {
    CloseCode.NORMAL: "As asked, after DISCONNECT.",
    CloseCode.PROTOCOL_ERROR: "A frame was broken, or made no sense: mend the client.",
    CloseCode.INVALID_DATA: "Text was not UTF-8: mend the client.",
    CloseCode.POLICY_VIOLATION: "Something was too slow, or came at the wrong time.",
    CloseCode.TOO_LARGE: "A frame or message was too large: send less at once.",
    CloseCode.INTERNAL_ERROR: "The gateway failed: connect again, and resume.",
    CloseCode.SERVICE_RESTART: "The gateway leaves, or its way to RabbitMQ is lost: connect again"
    " after the `retry-after` milliseconds of the ERROR frame, and resume.",
    CloseCode.TRY_AGAIN_LATER: "No room now: the same.",
    CloseCode.NOT_AUTHENTICATED: "Not authenticated, or the token has ended: get a new one first.",
    CloseCode.REFUSED: "Refused, or removed: do not connect again by yourself.",
    CloseCode.TOO_SLOW: "Too slow a reader, or fallen silent: connect again, and resume.",
}
_TEXT: Final[Json] = {"type": "string"}
_DIGITS: Final[Json] = {"type": "string", "pattern": "^(0|[1-9][0-9]*)$"}
_KEY: Final[Json] = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}
_TRUE: Final[Json] = {"const": "true"}


def _said(schema: Json, what: str) -> Json:
    return {**schema, "description": what}


_RECEIPT: Final = {
    "receipt": _said(
        _TEXT, "Any text: a RECEIPT with this as `receipt-id` answers when it is done."
    )
}
_CONNECT: Final[Json] = {
    "accept-version": _said(_TEXT, "Of 1.0, 1.1 and 1.2 those that the client speaks."),
    "heart-beat": _said(_TEXT, "Milliseconds between those that it sends, and wants."),
    "host": _said(_TEXT, "The virtual host, where access rules have opened others."),
    "login": _said(_TEXT, "A user of RabbitMQ's own, where `auth.rabbitmq` lets them in."),
    "passcode": _said(_TEXT, "A token; or the password of `login`."),
    "Authorization": _said(_TEXT, "`Bearer` and a token, in place of passcode."),
    "authorization": _said(_TEXT, "The same: people write it as in HTTP."),
    "interact-user": _said(_TEXT, "The user that the page believes to be."),
}
_POST: Final[Json] = {
    "destination": _TEXT,
    "content-type": _said(_TEXT, "application/json: the body is JSON. Otherwise it is text."),
    "id": _said(
        {"type": "string", "format": "uuid"}, "The message's id: the same again is stored once."
    ),
    "type": _said(_TEXT, "By default `message`."),
    "importance": {"enum": [each.value for each in Importance], "default": "guaranteed"},
    "keep": _said(_TEXT, "The key of the room's kept state under which it is kept."),
    "of": _said(_TEXT, "Whose entry it is, if a host writes that of somebody else."),
    "while": _said(_TEXT, "It is stored only while something stands under this key."),
    "transaction": _said({"not": {}}, "None: a message to a room takes part in no transaction."),
    **_RECEIPT,
}
_SUBSCRIBE: Final[Json] = {
    "destination": _TEXT,
    "id": _said(_KEY, "Names the subscription; optional in STOMP 1.0 alone."),
    "ack": _said({"enum": ["auto", "client", "client-individual"]}, "For topics: auto, or none."),
    "resume-after": _said(_DIGITS, "Everything after this seq comes first, then what is live."),
    "state": _said(_TRUE, "The room's kept state comes first; not together with resume-after."),
    "room-identity": _said(
        _TEXT, "The room's `identity` as the client knows it: another one is refused."
    ),
    **_RECEIPT,
}
_MESSAGE: Final[Json] = {
    "subscription": _TEXT,
    "destination": _TEXT,
    "message-id": _TEXT,
    "content-type": _TEXT,
    "seq": _said(_DIGITS, "The message's number; none: an instant one."),
    "room": _DIGITS,
    "audience": {"enum": ["public", "private"]},
    "sender": _TEXT,
    "state": _said(_TRUE, "An entry of the kept state, and no new message."),
    "ack": _said(_TEXT, "Of the private queue, by STOMP 1.2: what ACK names as `id`."),
    "redelivered": _said(_TEXT, "Of the private queue: it may have come before."),
}
#: The headers that the gateway reads of a client's frames; others are for RabbitMQ.
READ: Final = frozenset({*_CONNECT, *_POST, *_SUBSCRIBE})


def asyncapi(
    topology: Topology, *, version: str, base: str = "", paths: Iterable[str] = ()
) -> Json:
    """The document. ``base``: what all paths begin with; ``paths``: further ones at which the
    WebSocket is."""
    schema = TypeAdapter(SaidMessage).json_schema(
        ref_template="#/components/schemas/{model}", mode="serialization"
    )
    schemas = schema.pop("$defs", {})
    others = "".join(f", `{base}{path}`" for path in paths)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "interact gateway: STOMP over WebSocket",
            "version": version,
            "description": "Any client of STOMP 1.0, 1.1 or 1.2 works, with one of the"
            f" subprotocols {', '.join(SUBPROTOCOLS)} or none, at `{base}/ws`{others}.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "{host}",
                "pathname": f"{base}/ws",
                "protocol": "wss",
                "protocolVersion": "13",
                "variables": {"host": {"default": "localhost:8080"}},
                "security": [{"$ref": "#/components/securitySchemes/bearer"}],
            }
        },
        "channels": _channels(topology),
        "operations": _operations(),
        "components": {
            "schemas": {**schemas, "SaidMessage": schema},
            "messages": _messages(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "At the handshake; or the session's cookie; or in CONNECT.",
                }
            },
        },
        "x-close-codes": {str(int(code)): text for code, text in CLOSE_CODES.items()},
        "x-errors": {
            kind.code: {
                "close-code": kind.close_code,
                "meaning": kind.meaning,
                "advice": kind.advice,
            }
            for kind in errors()
        },
    }


def errors() -> list[problems.Kind]:
    """The problems that an ERROR frame may have."""
    return [kind for kind in problems.kinds() if kind.status not in _BY_HTTP_ALONE]


def _channels(topology: Topology) -> Json:
    prefix = topology.prefix
    room = {"parameters": {"room": {"description": "The room's number."}}}
    return {
        "session": _channel(
            None,
            "Beginning, leaving, receipts and errors, whatever the destination.",
            *("connect", "connected", "disconnect", "receipt", "error"),
        ),
        "public": _channel(
            f"/topic/{prefix}.public.{{room}}",
            "Messages to everyone in the room, for its members.",
            *("post", "subscribe", "unsubscribe", "message"),
        )
        | room,
        "private": _channel(
            f"/topic/{prefix}.private.{{room}}",
            "Messages to the hosts alone: members send, hosts subscribe.",
            *("post", "subscribe", "unsubscribe", "message"),
        )
        | room,
        "queue": _channel(
            f"/queue/{prefix}.private.{{room}}",
            "For hosts, one at a time, with acknowledgements; kept while the host is away.",
            *("subscribe", "unsubscribe", "message", "acknowledge"),
        )
        | room,
        "token": _channel(
            RENEWAL,
            "A fresh token of the same user: the connection then lasts as long as this one.",
            "renew",
        ),
        "ping": _channel(
            PING, "The RECEIPT proves that the connection is alive, e.g. after sleep.", "ping"
        ),
        "elsewhere": _channel(
            "{destination}",
            "Anything else: refused, unless an access rule opens it; then all of STOMP and its"
            " headers pass to RabbitMQ, transactions included.",
            "foreign",
        )
        | {"parameters": {"destination": {"description": "A destination of RabbitMQ's STOMP."}}},
    }


def _channel(address: str | None, description: str, *messages: str) -> Json:
    return {
        "address": address,
        "description": description,
        "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in messages},
    }


def _operations() -> Json:
    """The frames that the gateway receives and sends, by channel."""
    told: Json = {}
    for channel, messages in {
        "session": (("connect", "disconnect"), ("connected", "receipt", "error")),
        "public": (("post", "subscribe", "unsubscribe"), ("message",)),
        "private": (("post", "subscribe", "unsubscribe"), ("message",)),
        "queue": (("subscribe", "unsubscribe", "acknowledge"), ("message",)),
        "token": (("renew",), ()),
        "ping": (("ping",), ()),
        "elsewhere": (("foreign",), ("foreign",)),
    }.items():
        for action, named in zip(("receive", "send"), messages, strict=True):
            if named:
                told[f"{action}{channel.capitalize()}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{channel}"},
                    "messages": [
                        {"$ref": f"#/channels/{channel}/messages/{each}"} for each in named
                    ],
                }
    return told


def _messages() -> Json:
    said = {"$ref": "#/components/schemas/SaidMessage"}
    return {
        "connect": _frame("CONNECT", "Introduces the client.", _CONNECT),
        "connected": _frame(
            "CONNECTED",
            "The client is known.",
            dict.fromkeys(("version", "heart-beat", "server", "session"), _TEXT),
            needed=("version", "heart-beat", "server", "session"),
        ),
        "post": _frame(
            "SEND",
            "Posts a message. Its RECEIPT means what 201 and 202 mean by HTTP.",
            _POST,
            needed=("destination",),
            payload={"description": "Any JSON, or text."},
        ),
        "subscribe": _frame("SUBSCRIBE", "Follows it.", _SUBSCRIBE, needed=("destination",)),
        "unsubscribe": _frame("UNSUBSCRIBE", "Ends that.", {"id": _KEY, **_RECEIPT}),
        "message": _frame(
            "MESSAGE",
            "What was said. Other producers' messages come as they were published.",
            _MESSAGE,
            needed=("subscription", "destination", "message-id"),
            payload=said,
        ),
        "acknowledge": _frame(
            "ACK, NACK",
            "Of the private queue, as STOMP has it.",
            {"id": _TEXT, "message-id": _TEXT, "subscription": _TEXT, **_RECEIPT},
        ),
        "renew": _frame(
            "SEND",
            "Extends the connection.",
            {"destination": {"const": RENEWAL}, **_RECEIPT},
            needed=("destination",),
            payload={"type": "string", "maxLength": LARGEST_TOKEN, "description": "The token."},
        ),
        "ping": _frame(
            "SEND",
            "Asks for a sign of life.",
            {"destination": {"const": PING}, **_RECEIPT},
            needed=("destination", "receipt"),
        ),
        "foreign": _frame("any", "Passes byte for byte.", {}),
        "disconnect": _frame("DISCONNECT", "Leaves.", _RECEIPT),
        "receipt": _frame(
            "RECEIPT",
            "It is done; for a SUBSCRIBE: from here on everything comes.",
            {
                "receipt-id": _TEXT,
                "seq": _said(_DIGITS, "Of a room's topic: everything after this seq comes."),
            },
            needed=("receipt-id",),
        ),
        "error": _frame(
            "ERROR",
            "Why the connection ends; a close code follows.",
            {
                "message": _said(
                    _TEXT, f"One of: {', '.join(kind.code for kind in errors())}; or RabbitMQ's."
                ),
                "content-type": _TEXT,
                "version": _TEXT,
                "receipt-id": _said(_TEXT, "Of the frame that was refused."),
                "retry-after": _said(_DIGITS, "Milliseconds after which to connect again."),
            },
            needed=("message",),
            payload={"type": "string", "description": "For people: what is wrong."},
        ),
    }


def _frame(
    name: str,
    summary: str,
    headers: Json,
    *,
    needed: Iterable[str] = (),
    payload: Json | None = None,
) -> Json:
    told: Json = {
        "name": name,
        "summary": summary,
        "headers": {"type": "object", "properties": headers, "required": list(needed)},
    }
    if payload is not None:
        told["payload"] = payload
    return told
