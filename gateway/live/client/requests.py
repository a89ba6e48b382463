"""The requests of a client, as plain data, and how they are read from its frames."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from broker.protocol.stomp import Frame, MalformedFrame, negotiate_version, parse_heart_beat
from broker.topology import Stream, Topology
from gateway.config import LARGEST_TOKEN
from gateway.domain.message import Importance
from gateway.errors import BadFrame, Invalid, TooLarge
from gateway.live.destinations import Destination, RoomTopic, SignOfLife, TokenRenewal, parse
from gateway.messages.keeping import NOT_KEPT, Keeping

#: Characters of a subscription's id, or of the destination in its place. Every message repeats it;
#: RabbitMQ cannot make a consumer for one that is longer than 253 bytes.
LONGEST_KEY: Final = 500


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT: the client introduces itself.

    ``heart_beat``: the intervals that it sends and wants, in milliseconds, 0 for none. ``token`` is
    a token, or the passcode of ``login``. ``user``: the user that it believes to be; ``host``: the
    virtual host that it wants; None if not said.
    """

    version: str
    heart_beat: tuple[int, int]
    token: str | None = field(repr=False)
    user: str | None = None
    host: str | None = None
    login: str | None = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A subscription. ``key`` names it: its id, or in STOMP 1.0 without an id its destination."""

    key: str
    destination: Destination
    frame: Frame


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The end of a subscription, named by the same ``key``."""

    key: str
    destination: Destination | None
    frame: Frame


@dataclass(frozen=True, slots=True)
class Send:
    """A message to another destination than a room; it may pass to the broker unchanged."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Post:
    """A message to a room, for the pipeline. ``frame`` is kept for an access rule's direct way."""

    stream: Stream
    id: UUID | None
    type: str
    importance: Importance
    body: Any
    frame: Frame
    kept: Keeping = NOT_KEPT


@dataclass(frozen=True, slots=True)
class Renew:
    """A fresh token, which extends the connection."""

    token: str = field(repr=False)
    frame: Frame


@dataclass(frozen=True, slots=True)
class Ping:
    """A request for a sign of life: after a device has slept, no browser says whether its socket is
    dead."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An ACK or NACK of a relay's message."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Transact:
    """A BEGIN, COMMIT or ABORT."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The client's wish to leave; a receipt answers it."""

    frame: Frame


Request = (
    Connect
    | Subscribe
    | Unsubscribe
    | Send
    | Post
    | Renew
    | Ping
    | Acknowledge
    | Transact
    | Disconnect
)


def read(frame: Frame, *, version: str, topology: Topology | None, largest_body: int) -> Request:
    """The request in a client's frame, in the STOMP version agreed on. ``topology`` None: in a
    virtual host without rooms. ``largest_body``: bytes of a message to a room, beyond which it is
    not even parsed.

    Raises :class:`BadFrame` for a header that STOMP demands, :class:`Invalid` for one of ours, and
    :class:`TooLarge`.
    """
    match frame.command:
        case "CONNECT" | "STOMP":
            return _connect(frame)
        case "SUBSCRIBE":
            destination = _required(frame, "destination")
            return Subscribe(_key(frame, version), parse(destination, topology), frame)
        case "UNSUBSCRIBE":
            return Unsubscribe(_key(frame, version), None, frame)
        case "SEND":
            return _send(frame, topology, largest_body)
        case "ACK" | "NACK":
            return Acknowledge(frame)
        case "DISCONNECT":
            return Disconnect(frame)
        case _:
            return Transact(frame)


def _connect(frame: Frame) -> Connect:
    version = negotiate_version(frame.get("accept-version"))
    if version is None:
        raise BadFrame("accept-version names none of 1.0, 1.1 and 1.2")
    try:
        heart_beat = parse_heart_beat(frame.get("heart-beat"))
    except MalformedFrame as error:
        raise BadFrame(str(error)) from error
    bearer = _bearer(frame)
    return Connect(
        version,
        heart_beat,
        bearer or frame.get("passcode"),
        frame.get("interact-user"),
        frame.get("host"),
        None if bearer else frame.get("login"),
    )


def _send(frame: Frame, topology: Topology | None, largest_body: int) -> Send | Post | Renew | Ping:
    match parse(_required(frame, "destination"), topology):
        case RoomTopic(stream):
            _check_size(frame, largest_body)
            return _post(frame, stream)
        case TokenRenewal():
            _check_size(frame, LARGEST_TOKEN)
            return Renew(_text(frame).strip(), frame)
        case SignOfLife():
            return Ping(frame)
    return Send(frame)


def _key(frame: Frame, version: str) -> str:
    """The name of a subscription, here and at the broker: only STOMP 1.0 does without an id, and an
    empty one would be no name here and one there."""
    if version == "1.0" and frame.get("id") is None:
        key = _required(frame, "destination")
    else:
        key = _required(frame, "id")
    if len(key) > LONGEST_KEY:
        raise BadFrame(f"{frame.command}: an id has at most {LONGEST_KEY} characters")
    return key


def _required(frame: Frame, name: str) -> str:
    value = frame.get(name)
    if not value:
        raise BadFrame(f"{frame.command} needs the header {name}")
    return value


def _bearer(frame: Frame) -> str | None:
    """The token of an ``Authorization: Bearer`` header; header names are case-sensitive in STOMP,
    but people write this one as in HTTP."""
    value = frame.get("Authorization") or frame.get("authorization") or ""
    scheme, _, token = value.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _check_size(frame: Frame, most: int) -> None:
    """Before it is read: that takes the more time, the larger it is."""
    if len(frame.body) > most:
        where = frame.get("destination")
        raise TooLarge(f"a body of {len(frame.body)} bytes, {where} takes at most {most}")


def _post(frame: Frame, stream: Stream) -> Post:
    if frame.get("transaction"):
        raise Invalid("a message to a room takes part in no transaction; leave the header out")
    importance = frame.get("importance") or Importance.GUARANTEED
    if importance not in tuple(Importance):
        raise Invalid(f"importance {importance!r}: must be one of {', '.join(Importance)}")
    return Post(
        stream=stream,
        id=_uuid(frame.get("id")),
        type=frame.get("type") or "message",
        importance=Importance(importance),
        body=_body(frame),
        frame=frame,
        kept=Keeping(frame.get("keep"), frame.get("of"), frame.get("while")),
    )


def _uuid(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(f"id {text!r}: must be a UUID") from error


def _body(frame: Frame) -> Any:
    """A JSON body where the content type says so, else the text itself."""
    media_type, _, _ = (frame.get("content-type") or "").partition(";")
    if media_type.strip().lower() != "application/json":
        return _text(frame)
    try:
        return json.loads(frame.body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON as its content-type says: {error}") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text(frame: Frame) -> str:
    try:
        return frame.body.decode()
    except UnicodeDecodeError as error:
        raise Invalid("the body of a message to the gateway must be UTF-8 text") from error
