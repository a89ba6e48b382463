"""Messages that a private queue has dropped, or never got, given to its consumer from the history.

A private queue is bounded: beyond its length RabbitMQ drops the oldest messages. A stream's numbers
have no hole, so a session sees where one is. What is missing there is given to the client as
MESSAGE frames of the gateway's own, in order, before the message that shows the hole. They are
marked as redelivered, and are acknowledged like any other; RabbitMQ knows nothing of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, Protocol

from broker.protocol.numerals import natural
from broker.protocol.stomp import Frame, serialise
from broker.topology import PRIVATE_QUEUE_MESSAGES, Audience, Stream
from gateway.domain.message import Message

#: Between the parts of the message ids of RabbitMQ's STOMP adapter:
#: ``T_<subscription>@@<session>@@<delivery tag>``.
MARK: Final = "@@"
#: Messages that a client may have and not have acknowledged when it gets more from the history,
#: unless its SUBSCRIBE says fewer (``prefetch-count``): as many as a private queue holds, which
#: RabbitMQ would send to such a client without waiting for an acknowledgement.
WINDOW: Final = PRIVATE_QUEUE_MESSAGES
#: Messages that were given from the history, whose copies may still come by the queue.
COPIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where a session misses messages: before message ``seq`` of the stream.

    ``seen``: by stream of the room, the highest seq that the session has; a stream of which it has
    none is not in it. ``before``: what is before the tag in the ids of the subscription's messages.
    """

    stream: Stream
    seq: int
    seen: Mapping[Stream, int]
    before: bytes


class MissedMessages(Protocol):
    """The history, as far as a queue's consumers should have had it."""

    def before(self, gap: Gap) -> AsyncIterator[Message]:
        """The messages that should have come before the one that shows the gap, by their time.

        Raises :class:`gateway.errors.StoreUnavailable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Consumer:
    """A subscription to a private queue.

    ``before`` is what is before the tag in its messages' ids, ``queue`` the queue's name.
    ``cumulative``: whether an acknowledgement is for all messages up to it; None: nothing is to be
    acknowledged. ``window``: messages that it may have unacknowledged.
    """

    before: str
    queue: str
    cumulative: bool | None
    window: int

    @property
    def name(self) -> str:
        """RabbitMQ's name for the subscription, which is the same in every session."""
        return self.before.partition(MARK)[0]

    @classmethod
    def of(cls, before: bytes, frame: Frame, *, cumulative: bool | None) -> Consumer:
        """The subscription of a SUBSCRIBE as the broker gets it."""
        prefetch = natural(frame.get("prefetch-count") or "") or WINDOW
        queue = (frame.get("destination") or "").rpartition("/")[2]
        return cls(before.decode(), queue, cumulative, min(prefetch, WINDOW))


@dataclass(frozen=True, slots=True)
class _Given:
    """A message from the history that the client has. ``after``: the tag of the last message of
    RabbitMQ's that it had got before, ``own``: of the last one by this subscription. Others need
    no acknowledgement, perhaps, and RabbitMQ ends the session for one. ``copy``: the id of
    RabbitMQ's copy, which has come since."""

    stream: Stream
    seq: int
    after: int
    own: int
    consumer: Consumer
    copy: str | None = None


@dataclass(frozen=True, slots=True)
class Handled:
    """The messages from the history that an acknowledgement is for, the ids of RabbitMQ's copies of
    them, and the tag up to which it acknowledges RabbitMQ's own, too; 0: none."""

    messages: list[tuple[Stream, int]]
    copies: list[str]
    up_to: int = 0


class Given:
    """The messages from the history that one session has given to its client. Pure."""

    __slots__ = ("_copies", "_given", "_number_of", "_seen")

    def __init__(self) -> None:
        #: By id; in the order in which the client got them.
        self._given: dict[str, _Given] = {}
        #: By the name of the subscription: how many of them are its own.
        self._number_of: Counter[str] = Counter()
        #: The ids of messages whose copies may still come.
        self._copies: dict[tuple[Stream, int], str] = {}
        self._seen: dict[Stream, int] = {}

    def __bool__(self) -> bool:
        return bool(self._given)

    def number_of(self, consumer: Consumer) -> int:
        """The number of messages that a subscription has from the history."""
        return self._number_of[consumer.name]

    def moved(self) -> None:
        """Go on in another session, whose tags begin anew, and which brings the copies again."""
        for name, each in self._given.items():
            if each.copy is not None:
                self._copies[each.stream, each.seq] = name
            self._given[name] = replace(each, after=0, own=0, copy=None)

    @property
    def seen(self) -> dict[Stream, int]:
        """By stream: the highest seq that has come. It is a copy."""
        return dict(self._seen)

    def shows_gap(self, stream: Stream, seq: int) -> bool:
        """Whether a message may be missing before this one, which has just come."""
        # Before the first message of a session only the database knows what is missing.
        return seq > self._seen.get(stream, 0) + 1

    def came(self, stream: Stream, seq: int) -> None:
        """Note a message that has come, or is as good as come."""
        if seq > self._seen.get(stream, 0):
            self._seen[stream] = seq

    def forget(self, subscription: str, streams: Iterable[Stream]) -> None:
        """The subscription of this name has ended, and what the client has not acknowledged of it
        is missing again. ``streams``: those that no other subscription brings."""
        self._given = {
            name: given
            for name, given in self._given.items()
            if given.consumer.name != subscription
        }
        del self._number_of[subscription]
        for stream in streams:
            self._seen.pop(stream, None)

    def is_copy(self, stream: Stream, seq: int) -> bool:
        """Whether the client has this message from the history already."""
        return (stream, seq) in self._copies

    def leave_out(self, stream: Stream, seq: int, copy: str) -> bool:
        """Leave a copy out, whose id this is. True: the client has not acknowledged the message
        yet, and RabbitMQ is to keep it until then; see :attr:`Handled.copies`."""
        name = self._copies.pop((stream, seq))
        given = self._given.get(name)
        if given is None or given.consumer.cumulative:
            return False
        self._given[name] = replace(given, copy=copy)
        return True

    def give(
        self, message: Message, consumer: Consumer, *, version: str, after: int, own: int
    ) -> bytes:
        """The MESSAGE frame of a message. ``after``: the tag of RabbitMQ's last message, ``own``:
        of its last one by this subscription."""
        stream, seq = message.stream, message.seq or 0
        name = f"{consumer.before}{MARK}{stream.audience}-{seq}"
        if consumer.cumulative is not None:
            self._number_of[consumer.name] += name not in self._given
            self._given[name] = _Given(stream, seq, after, own, consumer)
        self._copies[stream, seq] = name
        if len(self._copies) > COPIES:
            del self._copies[next(iter(self._copies))]
        self.came(stream, seq)
        return _frame(message, name, consumer, version)

    def has(self, name: str) -> bool:
        """Whether this is the id of a message that the client has not acknowledged."""
        return name in self._given

    def handled(self, name: str, *, good: bool) -> Handled | None:
        """The consequence of an ACK (``good``) or NACK with this id; None: it is for no message
        from the history. A message that was refused comes again with the client's next session."""
        given = self._given.get(name)
        if given is None:
            return None
        names, up_to = [name], 0
        if given.consumer.cumulative:
            subscription, up_to = given.consumer.name, given.own
            mine = [each for each, its in self._given.items() if its.consumer.name == subscription]
            names = mine[: mine.index(name) + 1]
        done = [self._take(each) for each in names]
        if not good:
            # The client wants them again: also if RabbitMQ's come after all.
            for each in done:
                self._copies.pop((each.stream, each.seq), None)
        copies = [each.copy for each in done if each.copy is not None]
        return Handled([(each.stream, each.seq) for each in done] if good else [], copies, up_to)

    def handled_before(self, tag: int) -> Iterator[tuple[Stream, int]]:
        """The messages that a cumulative acknowledgement of RabbitMQ's message ``tag`` covers."""
        # Never for those of a subscription whose messages are acknowledged one by one.
        first = [
            (name, given)
            for name, given in takewhile(lambda each: each[1].after < tag, self._given.items())
            if given.consumer.cumulative
        ]
        for name, given in first:
            self._take(name)
            yield given.stream, given.seq

    def _take(self, name: str) -> _Given:
        given = self._given.pop(name)
        self._number_of[given.consumer.name] -= 1
        return given


def _frame(message: Message, name: str, consumer: Consumer, version: str) -> bytes:
    """The MESSAGE as RabbitMQ would write it."""
    stream = message.stream
    prefix = consumer.queue.removesuffix(f".{Audience.PRIVATE}.{stream.room}")
    headers = [
        ("subscription", consumer.name.removeprefix("T_")),
        ("destination", f"/topic/{prefix}.{stream}"),
        ("message-id", name),
        ("redelivered", "true"),
        *([("ack", name)] if version == "1.2" else []),
        ("persistent", "true"),
        ("content-type", "application/json"),
        ("seq", str(message.seq)),
        ("room", str(stream.room)),
        ("audience", str(stream.audience)),
        ("sender", message.sender),
        ("amqp-message-id", str(message.id)),
    ]
    return serialise("MESSAGE", headers, message.encode())
