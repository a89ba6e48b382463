"""Messages, with the same JSON in the history, the POST's answer, the MESSAGE frame and AMQP."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from broker.topology import Stream
from gateway.domain.approval import PENDING
from gateway.domain.kept import Entry
from gateway.domain.room import MemberRole

#: The type of the gateway's own messages about presence in a room; nobody else may send it.
PRESENCE: Final = "presence"

#: The type of what others than hosts see in the place of a hidden message.
HIDDEN: Final = "hidden"

#: Made once: ``json.dumps`` makes a new encoder at each call that has options.
_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Importance(StrEnum):
    """The two ways in which a message is delivered.

    ``guaranteed``: stored, numbered, delivered. ``instant``: never stored, and may be dropped.
    """

    GUARANTEED = "guaranteed"
    INSTANT = "instant"


def timestamp(moment: datetime) -> str:
    """A moment as RFC 3339 text: UTC, microseconds, ``Z``."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that was accepted but has no number yet. ``body`` is any JSON value.

    ``role`` is the sender's role in the room at the time of sending; ``sender_name`` is what was
    shown beside the sender's name then. ``keep``: the key under which it is kept as the room's
    state; ``of``: the user whose entry it is, if a host writes that of somebody else.
    ``only_while``: the key of the room's own public entry without which it is not to be stored.
    """

    id: UUID
    stream: Stream
    sender: str
    sent_at: datetime
    type: str
    body: Any
    role: MemberRole | None = None
    sender_name: str | None = None
    keep: str | None = None
    of: str | None = None
    only_while: str | None = None
    #: Seconds that must have passed since the sender's last message of the stream.
    apart: int = 0
    #: The seq of the message that waits for approval, about which this one decides.
    place: int | None = None

    @property
    def entry(self) -> Entry | None:
        """The entry of the room's state that it is; None: it has no key."""
        return _entry(self)

    def numbered(self, seq: int | None) -> Message:
        return Message(
            self.id,
            self.stream,
            seq,
            self.sender,
            self.sent_at,
            self.type,
            self.body,
            self.role,
            self.sender_name,
            self.keep,
            self.of,
            self.place,
        )


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a room, numbered if it is stored.

    ``seq`` is 1, 2, 3 … per stream; None for an instant message. ``role`` is the sender's role in
    the room at the time of sending, whatever it is now. None: the gateway itself sent the message,
    or it was stored before roles were. ``sender_name``: what was shown beside the sender's name
    then, in the JSON ``name``. ``keep``, ``of`` and ``place``: as in :class:`Draft`; the JSON has
    each only if it is there.
    """

    id: UUID
    stream: Stream
    seq: int | None
    sender: str
    sent_at: datetime
    type: str
    body: Any
    role: MemberRole | None = None
    sender_name: str | None = None
    keep: str | None = None
    of: str | None = None
    place: int | None = None
    #: A host has hidden it from everybody but hosts.
    hidden: bool = field(default=False, compare=False)
    #: What :meth:`encode` gives, once it was made.
    _encoded: bytes | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def entry(self) -> Entry | None:
        """The entry of the room's state that it is, or was; None: it has no key."""
        return _entry(self)

    def veiled(self) -> Message:
        """The message as others than hosts see it: itself, or if it is hidden, its place."""
        if not self.hidden:
            return self
        return Message(self.id, self.stream, self.seq, "", self.sent_at, HIDDEN, None)

    def without_content(self) -> Message:
        """The place that it has in the stream while it waits for approval, and ever after."""
        return Message(self.id, self.stream, self.seq, "", self.sent_at, PENDING, None)

    def encode(self) -> bytes:
        """The message's JSON as compact UTF-8. It begins with its :func:`opening`.

        A lone surrogate, which JSON can express and UTF-8 cannot, stays the escape that it came as.
        It is made once. Raises ValueError for NaN and infinities, which are not JSON (RFC 8259,
        section 6).
        """
        made = self._encoded
        if made is None:
            made = self.encode_with(_json(self.body))
            self.keep_encoded(made)
        return made

    def keep_encoded(self, json: bytes) -> Self:
        """Keep what :meth:`encode` would give, and give it from now on. What the message says does
        not change by that."""
        object.__setattr__(self, "_encoded", json)
        return self

    def encode_with(self, body: str) -> bytes:
        """As :meth:`encode`, with the body's JSON given."""
        # Written by hand, because every message needs it: half of the time that a dict takes.
        audience, seq = self.stream.audience, "null" if self.seq is None else self.seq
        role = "null" if self.role is None else f'"{self.role}"'
        name = "" if self.sender_name is None else f'"name":{_json(self.sender_name)},'
        kept = "" if self.keep is None else f'"keep":"{self.keep}",'
        if self.of is not None:
            kept += f'"of":{_json(self.of)},'
        if self.place is not None:
            kept += f'"place":{self.place},'
        text = (
            f'{{"id":"{self.id}","room":{self.stream.room},"audience":"{audience}","seq":{seq},'
            f'"sender":{_json(self.sender)},{name}"role":{role},"sent_at":"{timestamp(self.sent_at)}",'
            f'"type":{_json(self.type)},{kept}"body":{body}}}'
        )
        return text.encode(errors="backslashreplace")

    def says_the_same_as(self, draft: Draft) -> bool:
        """Whether a repeated id carries the same content; the time of sending may differ.

        Bodies are the same if their JSON is, whatever the order of the keys. Unlike in Python, 1,
        1.0 and true differ.
        """
        return (self.stream, self.sender, self.type, self.keep, self.of) == (
            draft.stream,
            draft.sender,
            draft.type,
            draft.keep,
            draft.of,
        ) and json.dumps(self.body, sort_keys=True) == json.dumps(draft.body, sort_keys=True)


def _entry(said: Draft | Message) -> Entry | None:
    """A host's word is the room's own, unless it says whose it is."""
    if said.keep is None:
        return None
    author = None if said.role is MemberRole.HOST else said.sender
    return Entry(said.stream, author if said.of is None else said.of, said.keep)


def opening(*, id: str, stream: Stream, seq: int | None, sender: str) -> bytes:
    """The beginning of such a message's JSON, which identifies the message and its sender."""
    text = (
        f'{{"id":{_json(id)},"room":{stream.room},"audience":"{stream.audience}",'
        f'"seq":{"null" if seq is None else seq},"sender":{_json(sender)},'
    )
    return text.encode(errors="backslashreplace")
