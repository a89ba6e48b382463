"""What the store gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.domain.message import Message


@dataclass(frozen=True, slots=True)
class Appended:
    """A draft that is in the history now.

    ``repeated``: its id was there before; ``message`` is what was stored then. ``published``: it
    has left the outbox, i.e. the broker has confirmed it (never so for a new one).
    """

    message: Message
    repeated: bool
    published: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive messages of a stream.

    ``head`` is the last seq of the stream (0: none yet), ``first`` the lowest that is still kept
    (``head + 1``: none is). A reader who has everything up to ``after`` misses nothing if
    ``after + 1 >= first``.
    """

    messages: list[Message]
    head: int
    first: int


@dataclass(frozen=True, slots=True)
class Account:
    """A local login and its system roles."""

    user: str
    password_hash: str = field(repr=False)
    roles: frozenset[str]
