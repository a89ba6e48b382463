"""A message as the hub delivers it: everything of the MESSAGE frame but the subscription's id.

What comes from a feed and what is read from the history gives the same bytes, so that nobody can
tell which way a message took.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.stomp import Frame, escape
from broker.topology import Stream
from broker.wsframes import Opcode, build
from gateway.domain.message import Message

#: What RabbitMQ says about its own subscription; not the client's business.
_OF_THE_FEED: Final = frozenset(
    {"subscription", "destination", "message-id", "redelivered", "ack", "content-length"}
)

_SENT_AT: Final = b'"sent_at":"'


@dataclass(frozen=True, slots=True)
class Delivery:
    """``seq`` is None for what is not numbered; ``instant`` may be dropped for a slow reader."""

    seq: int | None
    instant: bool
    opcode: int
    tail: bytes

    def frame(self, head: bytes) -> bytes:
        """The WebSocket frame for the subscription whose :func:`head` this is."""
        return build(self.opcode, head + self.tail)


def head(subscription: str) -> bytes:
    """The beginning of every MESSAGE of a subscription."""
    return f"MESSAGE\nsubscription:{escape(subscription)}\n".encode()


def number_of(frame: Frame, stream: Stream) -> int | None:
    """The ``seq`` that the pipeline gave a feed's MESSAGE; other producers' messages have none,
    whatever they call so."""
    text = frame.get("seq") or ""
    if (frame.get("room"), frame.get("audience")) != (str(stream.room), stream.audience):
        return None
    number = text.isascii() and text.isdigit() and len(text) < 19 and text[0] != "0"
    return int(text) if number else None


def sent_at(delivery: Delivery) -> float | None:
    """When a numbered message was accepted, in Unix seconds; None if it does not say.

    Read from the JSON's text, where nothing before it can look the same: quotes in a sender's name
    are escaped.
    """
    begin = delivery.tail.find(_SENT_AT)
    if delivery.seq is None or begin < 0:
        return None
    begin += len(_SENT_AT)
    text = delivery.tail[begin : delivery.tail.find(b'"', begin)]
    try:
        return datetime.fromisoformat(text.decode()).timestamp()
    except ValueError:
        return None


def from_history(message: Message, destination: str) -> Delivery:
    headers = _headers_of_a_room(
        destination,
        id=str(message.id),
        seq=str(message.seq),
        room=str(message.stream.room),
        audience=message.stream.audience,
        sender=message.sender,
    )
    return _delivery(message.seq, headers, message.encode(), instant=False)


def from_broker(frame: Frame, seq: int | None, destination: str) -> Delivery:
    """A feed's MESSAGE. Without a ``seq`` it keeps all headers that its producer gave it; it is
    instant unless it was published persistent."""
    if seq is None:
        id = frame.get("amqp-message-id") or frame.get("message-id") or ""
        own = [("destination", destination), ("message-id", id)]
        own += [(name, value) for name, value in frame.headers if name not in _OF_THE_FEED]
        return _delivery(None, own, frame.body, instant=frame.get("persistent") != "true")
    headers = _headers_of_a_room(
        destination,
        id=frame.get("amqp-message-id") or "",
        seq=str(seq),
        room=frame.get("room") or "",
        audience=frame.get("audience") or "",
        sender=frame.get("sender") or "",
    )
    return _delivery(seq, headers, frame.body, instant=False)


def _headers_of_a_room(destination: str, *, id: str, **rest: str) -> list[tuple[str, str]]:
    return [
        ("destination", destination),
        ("message-id", id),
        ("content-type", "application/json"),
        *rest.items(),
    ]


def _delivery(
    seq: int | None, headers: Iterable[tuple[str, str]], body: bytes, *, instant: bool
) -> Delivery:
    lines = [f"{escape(name)}:{escape(value)}" for name, value in headers]
    lines.append(f"content-length:{len(body)}")
    tail = "\n".join(lines).encode() + b"\n\n" + body + b"\0"
    return Delivery(seq, instant, _opcode(tail), tail)


def _opcode(tail: bytes) -> int:
    """Text where it is text: what browsers' tools show, and every client can read."""
    try:
        tail.decode()
    except UnicodeDecodeError:
        return Opcode.BINARY
    return Opcode.TEXT
