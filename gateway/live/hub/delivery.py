"""A message as the hub delivers it: the whole MESSAGE frame except the subscription's id.

A message from a feed and the same one from the history give the same bytes, so that no client can
tell which way it took.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from broker.protocol.amqp_deliveries import Delivery as FeedDelivery
from broker.protocol.numerals import natural
from broker.protocol.stomp import Frame, escape
from broker.protocol.websocket import build, data_opcode
from broker.topology import Stream
from gateway.domain.message import Message, opening
from gateway.domain.order import HIDES

#: Headers that RabbitMQ sets about its own subscription; they mean nothing to the client.
_OF_THE_FEED: Final = frozenset(
    {"subscription", "destination", "message-id", "redelivered", "ack", "content-length"}
)
#: Headers that say which message of a room this is. They are the gateway's alone: a subscriber
#: resumes by what they say, so no other producer's may look like them.
_OF_A_ROOM: Final = frozenset({"seq", "room", "audience", "sender", "state"})
#: The blanks that old clients trim from the names of headers (STOMP 1.0).
_BLANKS: Final = re.compile(r"[\s\ufeff]+")

_SENT_AT: Final = b'"sent_at":"'
#: In the text of a message's JSON, before its body: the key by which a host hides another message.
_HIDES: Final = f'"keep":"{HIDES}:'.encode()
_BODY: Final = b',"body":'
#: Where the JSON has the id, a UUID: see :func:`gateway.domain.message.opening`.
_BEGINNING: Final = b'{"id":"'
_ID: Final = slice(len(_BEGINNING), len(_BEGINNING) + 36)
_END_OF_HEADERS: Final = b"\n\n"

#: A seq has 18 digits at most, see :func:`natural`; a comma follows.
_MOST_DIGITS: Final = 19
#: The header ``seq`` in AMQP: a name, and a long string of fewer than 256 bytes (sections 4.2.5.5
#: and 4.2.5.3).
_SEQ_HEADER: Final = b"\x03seqS\0\0\0%b%b"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, ready for all subscribers.

    ``seq`` is None for an unnumbered message; an ``instant`` one may be dropped for a slow reader.
    """

    seq: int | None
    instant: bool
    opcode: int
    tail: bytes
    #: What others than hosts get in the place of a hidden message; None: the same.
    veiled: Delivery | None = None

    def frame(self, head: bytes) -> bytes:
        """The WebSocket frame for the subscription whose :func:`head` this is."""
        return build(self.opcode, head + self.tail)

    @property
    def body(self) -> bytes:
        """The message's body, for a form that is not STOMP's."""
        return self.tail[self.tail.index(_END_OF_HEADERS) + len(_END_OF_HEADERS) : -1]

    @property
    def id(self) -> str:
        """The id of a numbered message, which its JSON begins with."""
        return self.body[_ID].decode(errors="replace")

    @property
    def hides(self) -> bool:
        """Whether it is a host's word that hides an earlier message, or shows it again."""
        # Quotes in what a member chose before the body (names, the type) are escaped.
        return self.tail.find(_HIDES, 0, self.tail.find(_BODY) + 1) >= 0

    @property
    def is_of_member(self) -> bool:
        """Whether a member of the room sent it, by the gateway; if so, the body is its JSON."""
        # Of foreign headers none looks like this one.
        return self.tail.find(b"\nsender:", 0, self.tail.index(_END_OF_HEADERS)) >= 0


class Form(Protocol):
    """The form in which subscribers get deliveries. What was built is shared by all whose forms are
    equal."""

    def __hash__(self) -> int: ...

    def encode(self, delivery: Delivery) -> bytes:
        """The bytes for the client."""


class Head(bytes):
    """The beginning that every MESSAGE of a subscription has: the form of a WebSocket's subscriber.

    Bytes, because looking them up costs nothing for each of thousands of subscribers.
    """

    __slots__ = ()

    def encode(self, delivery: Delivery) -> bytes:
        return delivery.frame(self)


def head(subscription: str) -> Head:
    """The form for the subscription with this id."""
    return Head(f"MESSAGE\nsubscription:{escape(subscription)}\n".encode())


def number_of(frame: Frame, stream: Stream) -> int | None:
    """The ``seq`` that the pipeline gave the message in a feed's MESSAGE; None for messages of
    other producers, even with a header of that name: headers and JSON must agree."""
    headers = _first_ones(frame)
    seq = natural(headers.get("seq", ""))
    return seq if seq and _is_ours(headers, frame.body, stream, seq) else None


class Claim:
    """The number that a message of one stream claims to have, read from its raw bytes.

    A copy of a message that was given already is known by it for a tenth of what :func:`number_of`
    takes. It is no proof: whatever has not been given must be read.
    """

    __slots__ = ("_after_id",)

    def __init__(self, stream: Stream) -> None:
        room, audience = stream.room, stream.audience
        self._after_id = f'","room":{room},"audience":"{audience}","seq":'.encode()

    def seq(self, message: FeedDelivery) -> int | None:
        """The seq, if JSON and headers have the same; None for a message of another producer."""
        body = message.body
        if not (body.startswith(_BEGINNING) and body.startswith(self._after_id, _ID.stop)):
            return None
        begin = _ID.stop + len(self._after_id)
        end = body.find(b",", begin, begin + _MOST_DIGITS)
        digits = body[begin:end]
        if end < 0 or not digits.isdigit() or digits.startswith(b"0"):
            return None
        header = _SEQ_HEADER % (bytes((len(digits),)), digits)
        return int(digits) if header in message.properties else None


def _first_ones(frame: Frame) -> dict[str, str]:
    """The headers that count: of repeated ones the first (STOMP 1.2, "Repeated Header Entries")."""
    return dict(reversed(frame.headers))


def _is_ours(headers: Mapping[str, str], body: bytes, stream: Stream, seq: int | None) -> bool:
    """Whether headers and body name the same message of the stream."""
    id, sender = headers.get("amqp-message-id"), headers.get("sender")
    return (
        id is not None
        and sender is not None
        and headers.get("room") == str(stream.room)
        and headers.get("audience") == stream.audience
        and body.startswith(opening(id=id, stream=stream, seq=seq, sender=sender))
    )


def sent_at(delivery: Delivery) -> float | None:
    """The time at which a numbered message was accepted (Unix time); None if it does not say.

    It is read from the text of the JSON, where nothing before it can look the same: quotes in a
    sender's name are escaped.
    """
    if delivery.seq is None:
        return None
    begin = delivery.tail.find(_SENT_AT)
    if begin < 0:
        return None
    begin += len(_SENT_AT)
    text = delivery.tail[begin : delivery.tail.find(b'"', begin)]
    try:
        return datetime.fromisoformat(text.decode()).timestamp()
    except ValueError:
        return None


def from_history(message: Message, destination: str) -> Delivery:
    """The delivery of a stored message, with the headers that it has when a feed brings it."""
    headers = _of_stored(message, destination)
    made = _delivery(message.seq, headers, message.encode(), instant=False)
    if not message.hidden:
        return made
    return replace(made, veiled=from_history(message.veiled(), destination))


def from_state(message: Message, destination: str) -> Delivery:
    """The delivery of an entry of the kept state. It is no new message: it has no place in the
    order of the stream."""
    headers = [("state", "true"), *_of_stored(message, destination)]
    return _delivery(None, headers, message.encode(), instant=False)


def from_broker(frame: Frame, stream: Stream, seq: int | None, destination: str) -> Delivery:
    """A feed's MESSAGE, with the ``seq`` that :func:`number_of` found.

    Without a ``seq`` it is an instant message of a member, or one of another producer, which keeps
    its own headers except those that only the gateway may set. It may be dropped for a slow reader
    unless it was published as persistent.
    """
    if seq is not None:
        lines = _headers_of_a_room(
            destination,
            id=frame.get("amqp-message-id") or "",
            seq=str(seq),
            room=str(stream.room),
            audience=stream.audience,
            sender=frame.get("sender") or "",
        )
        return _delivery(seq, lines, frame.body, instant=False)
    id = frame.get("amqp-message-id") or frame.get("message-id") or ""
    own = [("destination", destination), ("message-id", id)]
    headers = _first_ones(frame)
    if _is_ours(headers, frame.body, stream, None):
        own += [(name, headers[name]) for name in ("room", "audience", "sender")]
    own += [(name, value) for name, value in frame.headers if not _is_reserved(name)]
    return _delivery(None, own, frame.body, instant=frame.get("persistent") != "true")


def from_gateway(message: Message, destination: str) -> Delivery:
    """The delivery of an unnumbered message of the gateway's own, in the form that it has when a
    feed brings one."""
    headers = _headers_of_a_room(
        destination,
        id=str(message.id),
        room=str(message.stream.room),
        audience=message.stream.audience,
        sender=message.sender,
    )
    return _delivery(None, headers, message.encode(), instant=True)


def unnumbered(tail: bytes) -> Delivery:
    """The delivery of a MESSAGE that is passed on as it is, and never dropped. ``tail``: what
    follows the :func:`head`."""
    return Delivery(None, False, data_opcode(tail), tail)


def _is_reserved(name: str) -> bool:
    """Whether a client could mistake the header for one that only the gateway may set."""
    plain = _BLANKS.sub("", name).lower()
    return plain in _OF_THE_FEED or plain in _OF_A_ROOM


def _of_stored(message: Message, destination: str) -> list[tuple[str, str]]:
    return _headers_of_a_room(
        destination,
        id=str(message.id),
        seq=str(message.seq),
        room=str(message.stream.room),
        audience=message.stream.audience,
        sender=message.sender,
    )


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
    return Delivery(seq, instant, data_opcode(tail), tail)
