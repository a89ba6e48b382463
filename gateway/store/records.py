"""Values that the store returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.message import Message


@dataclass(frozen=True, slots=True)
class Appended:
    """A draft that is stored in the history.

    ``repeated``: its id was stored before, and ``message`` is the one stored then. ``published``:
    it has left the outbox, i.e. the broker has confirmed it (never true for a new one).
    ``waits``: what was said, if it had to wait for approval; ``message`` is its place then.
    """

    message: Message
    repeated: bool
    published: bool = False
    waits: Message | None = None

    @property
    def said(self) -> Message:
        """The message as its author sent it."""
        return self.waits or self.message


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive messages of a stream.

    ``head`` is the last seq of the stream (0: none yet), ``first`` the lowest that is still kept
    (``head + 1``: none is). A reader that has everything up to ``after`` misses nothing if ``after
    + 1 >= first``. ``cut``: there are fewer messages than asked for, because they are large.
    ``size``: bytes of their bodies, where they were counted.
    """

    messages: list[Message]
    head: int
    first: int
    cut: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True)
class JsonPage:
    """A :class:`Page` whose messages are encoded already; ``last`` is the seq of the last one."""

    messages: list[bytes]
    last: int | None
    head: int
    first: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class StatePage:
    """Entries of a stream's kept state, as the messages that wrote them, in the order of seq.

    ``head`` is the last seq of the stream. ``whole``: it begins from nothing, because the asked seq
    is 0, or beyond the stream's end, or too old to know what was cleared since; cleared entries are
    left out then. ``complete``: these are all that there are.
    """

    messages: list[Message]
    head: int
    whole: bool
    complete: bool

    @property
    def seq(self) -> int:
        """The seq that this reaches: the next page, or later what has changed, comes after it."""
        last = self.messages[-1].seq if self.messages and not self.complete else None
        return self.head if last is None else last


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Messages of the outbox, in order. ``more``: others follow these."""

    messages: list[Message]
    more: bool


@dataclass(frozen=True, slots=True)
class Account:
    """A local login and its system roles. ``display_name``: what is shown beside the user's
    name."""

    user: str
    password_hash: str = field(repr=False)
    roles: frozenset[str]
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxSize:
    """The number of messages in the outbox, and the bytes of their bodies."""

    messages: int = 0
    bytes: int = 0


class QueueDue(StrEnum):
    """The work that is due on a room's private queue: to delete that of a closed room, or to
    replace one that was made while a node did not answer."""

    DELETION = "delete"
    RENEWAL = "renew"


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """A room's private queue. ``identity`` is the room's own, and random; ``number`` grows with
    every replacement of the queue, and is 0 for one that was declared before there were numbers.
    """

    identity: str
    number: int
    is_open: bool
    due: QueueDue | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another gateway that lives. ``hears``: it hears itself over the broker. ``ahead``: the
    seconds by which its clock is ahead of the database's; None: it has not said."""

    name: str
    hears: bool
    ahead: float | None


@dataclass(frozen=True, slots=True)
class Meeting:
    """The other gateways as they have written of themselves. ``ahead``: the seconds by which this
    gateway's clock is ahead of the database's."""

    ahead: float
    others: tuple[Neighbour, ...]
