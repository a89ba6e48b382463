"""The messages that a session has delivered, and those that may still be acknowledged. Pure.

RabbitMQ ends a whole session for one wrong acknowledgement (3.10 without a word), and what was not
acknowledged in it comes again elsewhere. So every ACK and NACK is checked here before it passes.

A consumer of a private queue sends one for each message, so most of what a client with a relay says
is this. Nothing of it is to be judged, and nothing to be rewritten: the client's own WebSocket
frames can go on as they are, mask and all. Whatever looks any different is parsed and judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, Protocol

from broker.protocol.stomp import Frame, serialise, unescape
from broker.protocol.websocket import mask
from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.errors import BadFrame
from gateway.live.relay.kept_queues import Streams
from gateway.live.relay.missed import MARK, Consumer, Gap, Given

#: A delivery tag as RabbitMQ writes it; 19 digits hold its 64 bits.
_TAG: Final = re.compile(rb"[0-9]{1,19}")
#: What RabbitMQ takes for one (``list_to_integer``).
_READ_AS_TAG: Final = re.compile(rb"[+-]?[0-9]+")
#: Acknowledged messages above one that is not, for each session.
KEPT: Final = 4_096
#: Acknowledgements that wait for a rejection, for each session; of what is behind them the messages
#: come again in the next session.
HELD: Final = 100
#: Subscriptions of a session that have ended, whose late acknowledgements are known as such.
ENDED: Final = 100
#: Subscriptions of a session with ``ack:auto`` that are remembered, those that have ended too.
AUTOMATIC: Final = 1_000
#: What the ids of answers begin with that come by a queue of RabbitMQ's own making
#: (``reply-to:/temp-queue/…``, ``rabbit_stomp_util:consumer_tag_reply_to``): it wants no
#: acknowledgements.
_ANSWERS: Final = b"T_/temp-queue/"

#: Whole, unfragmented text or binary frames.
_FIRST_BYTES: Final = frozenset({0x81, 0x82})
#: Length and mask bit of what is masked and needs no further length (RFC 6455, section 5.2).
_SHORTEST: Final = 0x80
_LONGEST: Final = 0x80 + 125
#: One frame of STOMP 1.2 (``id``) or of an older one: printable ASCII, no escapes, no header that
#: could mean anything else (a transaction, a receipt, a body's length), one header of each name.
_ID: Final = rb"([!-\[\]-~]+)@@([0-9]{1,19})"
_NEWER: Final = re.compile(rb"N?ACK\nid:" + _ID + rb"\n\n\0\n?")
_OLDER: Final = re.compile(
    rb"N?ACK\n"
    rb"(?:message-id:" + _ID + rb"\nsubscription:[ -\[\]-~]+"
    rb"|subscription:[ -\[\]-~]+\nmessage-id:" + _ID + rb")"
    rb"\n\n\0\n?"
)


_ACK: Final = b"A"[0]
#: A seq or a delivery tag; 18 digits hold all that may come.
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,17}")
#: What the id of a message from the history has in place of the tag.
_FROM_HISTORY: Final = re.compile(rf"({'|'.join(Audience)})-[0-9]+")
#: Messages of private queues that are not acknowledged yet and whose numbers are remembered.
NUMBERED: Final = 10_000

#: The header ``ack`` of a SUBSCRIBE: whether an acknowledgement is for all messages up to it. What
#: is not here is ``auto``, where nothing is to be acknowledged.
CUMULATIVE: Final = {"client": True, "client-individual": False}


@dataclass(frozen=True, slots=True)
class Settled:
    """An acknowledgement that RabbitMQ takes: of the message ``tag``, or all up to it."""

    tag: int
    cumulative: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A message of a private queue that the client does not get, because it has it already.

    ``tag``: RabbitMQ's, to be acknowledged by the gateway; 0: it is not to be acknowledged now.
    """

    tag: int
    id: str


@dataclass(frozen=True, slots=True)
class _TooLarge:
    """A message of a private queue that RabbitMQ is to move elsewhere. ``answered``: the client has
    acknowledged what it got in its place."""

    name: str
    cumulative: bool
    answered: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    """A cumulative ACK or NACK that waits until a message which it covers can be rejected.
    ``before``: what is before the tag in its message's id."""

    command: str
    before: str
    tag: int


class Noted(Protocol):
    """A witness of what becomes of the numbered messages of private queues."""

    def delivered(self, stream: Stream, seq: int) -> None:
        """A session has got a message that it has to acknowledge."""

    def acknowledged(self, stream: Stream, seq: int) -> None:
        """A session has acknowledged a message, or need not."""


def consumer(frame: Frame) -> str:
    """RabbitMQ's name for the subscription of a SUBSCRIBE or UNSUBSCRIBE
    (``rabbit_stomp_util:consumer_tag``)."""
    name = frame.get("id")
    return f"Q_{frame.get('destination')}" if name is None else f"T_{name}"


class Deliveries:
    """The deliveries of one session, whose name in CONNECTED is ``session``; ``version``: STOMP's.
    ``earlier``: the names of the client's sessions before it. ``given`` and ``streams`` go on
    through all of them.

    Delivery tags count a session's messages, whatever their subscription. So how many have come and
    what was acknowledged say all, without a look into every message: only where the count would
    make an acknowledgement wrong, the newest message is asked. In a session that is :attr:`mixed`
    each message is asked for its subscription: those of ``ack:auto`` count as acknowledged. Above
    :data:`KEPT` acknowledged messages the oldest ones are forgotten: of those nothing is known, see
    :meth:`knows`.
    """

    __slots__ = (
        "_automatic",
        "_consumers",
        "_earlier",
        "_ended",
        "_floor",
        "_forgotten",
        "_header",
        "_held",
        "_last_of",
        "_modes",
        "_noted",
        "_number_of",
        "_numbers",
        "_pattern",
        "_queues",
        "_rejected",
        "_rejects",
        "_settled",
        "_too_large",
        "_version",
        "expected",
        "given",
        "last",
        "mark",
        "mixed",
        "muted",
        "newest",
        "parks",
        "streams",
    )

    def __init__(
        self,
        session: str,
        version: str,
        noted: Noted,
        *,
        given: Given | None = None,
        streams: Streams | None = None,
        earlier: Collection[str] = (),
    ) -> None:
        #: What the ids of this session's messages hold.
        self.mark = f"{MARK}{session}{MARK}".encode()
        #: How many messages have come: the last one's tag, or less.
        self.last = 0
        #: The newest message from its beginning, if acknowledgements are expected.
        self.newest = b""
        #: What the client has from the history.
        self.given = given or Given()
        #: The subscriptions that read streams.
        self.streams = Streams() if streams is None else streams
        self._earlier = earlier
        #: Whether the client gets no messages of private queues any more: it leaves.
        self.muted = False
        self._version = version
        #: Whether anything that comes is to be acknowledged.
        self.expected = False
        #: Whether only the id of a message tells if it is to be acknowledged: then :meth:`passed`
        #: wants to see each one.
        self.mixed = False
        self._header, self._pattern = ("id", _NEWER) if version == "1.2" else ("message-id", _OLDER)
        #: By what is before the tag in its messages' ids: whether cumulative, None for auto.
        self._modes: dict[bytes, bool | None] = {}
        self._ended: dict[bytes, None] = {}
        #: By the same: subscriptions with ``ack:auto``, also those that have ended.
        self._automatic: dict[bytes, None] = {}
        self._noted = noted
        #: By the same, for subscriptions to private queues: the streams that come by them.
        self._queues: dict[bytes, dict[bytes, Stream]] = {}
        self._consumers: dict[bytes, Consumer] = {}
        #: By the same: the tag of the last message that the client has got by it.
        self._last_of: dict[bytes, int] = {}
        #: By tag, in order: what is to be acknowledged of them, and by which subscription.
        self._numbers: dict[int, tuple[Stream, int, bytes]] = {}
        #: By subscription, as above: how many of them are its own.
        self._number_of: Counter[bytes] = Counter()
        #: By tag, in order: those that are to be rejected.
        self._too_large: dict[int, _TooLarge] = {}
        #: The tags of those that were, and whose acknowledgement is still to come.
        self._rejected: dict[int, None] = {}
        #: Whether RabbitMQ has a place for all of them: none is rejected before.
        self.parks = False
        #: Whether any was rejected since :meth:`has_rejected` was asked.
        self._rejects = False
        #: In order.
        self._held: list[_Held] = []
        #: All up to here are settled; of those above, these.
        self._floor = 0
        self._settled: set[int] = set()
        self._forgotten = 0

    def subscribed(self, frame: Frame, room: int | None = None) -> None:
        """Note a subscription; ``frame`` is its SUBSCRIBE. ``room``: the one whose private queue
        it consumes."""
        name = consumer(frame).encode()
        before = self._before_tag(name)
        cumulative = CUMULATIVE.get(frame.get("ack") or "")
        self._note_mode(before, cumulative=cumulative)
        if room is not None:
            self._queues[before] = {
                audience.encode(): Stream(audience, room) for audience in Audience
            }
            self._consumers[before] = Consumer.of(before, frame, cumulative=cumulative)
        self._ended.pop(name, None)
        self._look()

    def unsubscribed(self, frame: Frame) -> None:
        """Forget a subscription: RabbitMQ takes no acknowledgement of its deliveries any more."""
        name = consumer(frame).encode()
        before = self._before_tag(name)
        streams = self._queues.pop(before, {}).values()
        others = {stream for each in self._queues.values() for stream in each.values()}
        self.given.forget(name.decode(), [each for each in streams if each not in others])
        self._consumers.pop(before, None)
        self._last_of.pop(before, None)
        if self._number_of.pop(before, 0):
            self._numbers = {tag: each for tag, each in self._numbers.items() if each[2] != before}
        for tag, each in list(self._too_large.items()):
            if each.name.encode().rpartition(b"@@")[0] == before:
                del self._too_large[tag]
        self._held = [each for each in self._held if each.before.encode() != before]
        if self._modes.pop(before, None) is not None:
            self._ended[name] = None
            if len(self._ended) > ENDED:
                del self._ended[next(iter(self._ended))]
        self._look()

    def _note_mode(self, before: bytes, *, cumulative: bool | None) -> None:
        if cumulative is None:
            self._automatic[before] = None
            if len(self._automatic) > AUTOMATIC:
                del self._automatic[next(iter(self._automatic))]
        else:
            self._automatic.pop(before, None)
            if not (self.mixed or self.expected or self._ended):
                # Nothing that has come so far was to be acknowledged.
                self._floor = self.last
        self._modes[before] = cumulative

    def answers_come(self) -> None:
        """Answers may come by a temporary queue."""
        self._automatic[_ANSWERS] = None
        self._look()

    def _look(self) -> None:
        self.expected = any(mode is not None for mode in self._modes.values())
        self.mixed = self.mixed or (self.expected and bool(self._automatic))

    @property
    def numbered(self) -> bool:
        """Whether messages of private queues may come: then :meth:`came` wants to see them."""
        return bool(self._queues)

    @property
    def unacknowledged(self) -> bool:
        """Whether messages have come that are to be acknowledged and are not."""
        return self.expected and self.last - self._floor > len(self._settled)

    def consumer(self, before: bytes) -> Consumer | None:
        """The subscription to a private queue whose messages' ids begin so, while it stands."""
        return self._consumers.get(before)

    def came(self, head: bytes) -> Gap | LeftOut | None:
        """Note the number of a message of a private queue. ``head``: a MESSAGE up to the empty line
        behind its headers.

        A :class:`Gap`: nothing was noted, because others may be missing before it. A
        :class:`LeftOut`: the client must not get it.
        """
        # By hand, because every message passes here: a third of the time that patterns take.
        end = head.find(b"\n\n") + 1
        name = _name(head, end)
        before, _, tag = name.rpartition(b"@@")
        streams = self._queues.get(before)
        if streams is not None and self.muted:
            return LeftOut(0, "")
        if streams is None or not _NUMBER.fullmatch(tag):
            return None
        seq = _value(head, b"\nseq:", end)
        stream = streams.get(_value(head, b"\naudience:", end)) if _NUMBER.fullmatch(seq) else None
        if stream is None:
            self._last_of[before] = int(tag)
            return None
        number = int(seq)
        if self.given.shows_gap(stream, number):
            return Gap(stream, number, self.given.seen, before)
        self.given.came(stream, number)
        cumulative = self._modes.get(before)
        # A cumulative acknowledgement of it would be one for all before it.
        may_settle = not cumulative or (self._floor == int(tag) - 1 and not self._settled)
        if may_settle and self.given.is_copy(stream, number):
            kept = self.given.leave_out(stream, number, name.decode())
            return LeftOut(0 if kept or cumulative is None else int(tag), name.decode())
        self._last_of[before] = int(tag)
        if cumulative is None:
            # RabbitMQ takes it for acknowledged when it is sent.
            self._noted.acknowledged(stream, number)
        elif len(self._numbers) < NUMBERED:
            self._numbers[int(tag)] = stream, number, before
            self._number_of[before] += 1
            self._noted.delivered(stream, number)
        return None

    def is_full(self, consumer: Consumer) -> bool:
        """Whether a subscription must acknowledge something before it gets more from the history.
        What it has from RabbitMQ counts, too."""
        own = self._number_of[consumer.before.encode()]
        return own + self.given.number_of(consumer) >= consumer.window

    def passed(self, head: bytes) -> None:
        """Note a message of a session that is :attr:`mixed`. ``head``: the MESSAGE from its
        beginning, with its id."""
        before, _, tag = _name(head, head.find(b"\n\n") + 1 or len(head)).rpartition(b"@@")
        if before in self._automatic or before.startswith(_ANSWERS):
            self._done(int(tag) if _NUMBER.fullmatch(tag) else 0)

    def reads_stream(self, head: bytes) -> bool:
        """Note the first message of a subscription. ``head``: a MESSAGE up to the empty line behind
        its headers. Returns whether it comes from a stream and others may be missing before it."""
        # From the end: a subscription's own name may hold the mark.
        consumer = _name(head, head.find(b"\n\n") + 1).rsplit(MARK.encode(), 2)[0]
        return self.streams.came(consumer, head)

    def left_out(self, message: LeftOut) -> bytes:
        """The ACK for a message that the client does not get. RabbitMQ must be sent it."""
        self._settle(message.tag, cumulative=False, handled=True)
        return self._answer("ACK", message.id)

    def without_discarding(self, frame: Frame) -> Frame:
        """A client's frame; in place of a NACK that lets RabbitMQ discard a message of a private
        queue (``requeue:false``) an ACK: what is discarded there is parked, but only messages that
        are too large are meant to be."""
        discards = frame.get("requeue") if frame.command == "NACK" else None
        before = (frame.get(self._header) or "").encode().rpartition(MARK.encode())[0]
        if discards is None or before not in self._queues:
            return frame
        command = "ACK" if discards in ("false", "False") else "NACK"
        headers = tuple(header for header in frame.headers if header[0] != "requeue")
        return Frame(command, headers, raw=serialise(command, headers))

    def too_large(self, message: Frame) -> bool:
        """Note a message of a private queue in whose place the client gets another one. False:
        RabbitMQ has forgotten it already, because its subscription has ack:auto."""
        name = message.get("message-id") or ""
        before, _, tag = name.encode().rpartition(MARK.encode())
        cumulative = self._modes.get(before)
        if cumulative is None or not _NUMBER.fullmatch(tag):
            return False
        self._too_large[int(tag)] = _TooLarge(name, cumulative)
        self.parks = False
        return True

    def reject(self) -> list[bytes]:
        """The NACKs that make RabbitMQ move messages that are too large elsewhere, where the place
        for all of them stands now, and the acknowledgements that waited for it. RabbitMQ must be
        sent them."""
        self.parks = True
        # A cumulative NACK is one for all before it: it waits until those are acknowledged.
        told = [
            self._reject(tag)
            for tag, each in list(self._too_large.items())
            if not each.cumulative or self._floor >= tag - 1
        ]
        held, self._held = self._held, []
        for each in held:
            told += self._in_parts(each)
        return told

    def has_rejected(self) -> bool:
        """Whether any message was rejected since this was asked last."""
        rejects, self._rejects = self._rejects, False
        return rejects

    def _reject(self, tag: int) -> bytes:
        message = self._too_large.pop(tag)
        self._rejects = True
        self._settle(tag, cumulative=False, handled=True)
        if not message.answered:
            self._rejected[tag] = None
            if len(self._rejected) > KEPT:
                del self._rejected[next(iter(self._rejected))]
        # https://www.rabbitmq.com/docs/stomp#ack-nack
        return self._answer("NACK", message.name, ("requeue", "false"))

    def _answer(self, command: str, name: str, *more: tuple[str, str]) -> bytes:
        subscription = name.partition(MARK)[0].removeprefix("T_")
        older = [("message-id", name), ("subscription", subscription)]
        return serialise(command, [*([("id", name)] if self._version == "1.2" else older), *more])

    def give(self, message: Message, consumer: Consumer) -> bytes:
        """The MESSAGE frame of a message from the history, which the client gets now."""
        if consumer.cumulative is None:
            self._noted.acknowledged(message.stream, message.seq or 0)
        else:
            self._noted.delivered(message.stream, message.seq or 0)
        own = self._last_of.get(consumer.before.encode(), 0)
        return self.given.give(message, consumer, version=self._version, after=self.last, own=own)

    def knows_given(self, frame: Frame) -> bool:
        """Whether an ACK or NACK is for a message from the history, or for one that is too
        large."""
        return self.given.has(frame.get(self._header) or "") or self._concerned(frame) is not None

    def _concerned(self, frame: Frame) -> int | None:
        """The tag of an ACK or NACK that is for a message which is too large, among others."""
        before, _, tag = (frame.get(self._header) or "").encode().rpartition(MARK.encode())
        if not (self._too_large or self._rejected) or not _NUMBER.fullmatch(tag):
            return None
        number, cumulative = int(tag), self._modes.get(before)
        if cumulative is None:
            return None
        first = next(iter(self._too_large), number + 1)
        own = number in self._rejected or number in self._too_large
        return number if own or (cumulative and first < number) else None

    def handled(self, frame: Frame) -> list[bytes] | None:
        """Note an ACK or NACK of a message from the history, or of one that is too large, and
        return what RabbitMQ is to be told of its own messages by it. None: it is for no such
        message."""
        if (tag := self._concerned(frame)) is not None:
            return self._answered(frame, tag)
        name, good = frame.get(self._header) or "", frame.command == "ACK"
        handled = self.given.handled(name, good=good)
        if handled is None:
            return None
        for stream, seq in handled.messages:
            self._noted.acknowledged(stream, seq)
        told = []
        for copy in handled.copies:
            if self._settle(int(copy.rpartition(MARK)[2]), cumulative=False, handled=good):
                told.append(self._answer(frame.command, copy))
        # RabbitMQ's own messages, among which may be one that is too large.
        up_to = _Held(frame.command, name.rpartition(MARK)[0], handled.up_to)
        return told + self._in_parts(up_to)

    def committed(self, frame: Frame) -> list[bytes]:
        """The same for an ACK or NACK that was for such a message when its transaction began: that
        one may have been moved since, but not the others that it is for."""
        told = self.handled(frame)
        if told is None and (settled := self.read(frame)) is not None and settled.cumulative:
            before = (frame.get(self._header) or "").rpartition(MARK)[0]
            told = self._in_parts(_Held(frame.command, before, settled.tag))
        return told or []

    def _answered(self, frame: Frame, tag: int) -> list[bytes]:
        """Note an ACK or NACK of what the client got in place of a message that is too large."""
        if tag in self._rejected:
            del self._rejected[tag]
            return []
        message = self._too_large.get(tag)
        if message is not None:
            self._too_large[tag] = replace(message, answered=True)
            if not message.cumulative:
                return []
        before = (frame.get(self._header) or "").rpartition(MARK)[0]
        return self._in_parts(_Held(frame.command, before, tag))

    def _in_parts(self, said: _Held) -> list[bytes]:
        """The frames of a cumulative ACK or NACK: up to a message that is too large, the rejection
        of that one, all behind it."""
        told = list[bytes]()
        for each in [each for each in self._too_large if each <= said.tag]:
            # RabbitMQ takes it for those of all subscriptions, and ends the session for a tag that
            # it does not know any more.
            told += self._cumulative(said, self._open_before(each))
            if not self.parks:
                self._hold(said)
                return told
            told.append(self._reject(each))
        return told + self._cumulative(said, said.tag)

    def _cumulative(self, said: _Held, tag: int) -> list[bytes]:
        """The same ACK or NACK up to ``tag``, if there is anything to be told by it."""
        if tag <= self._floor or not self._settle(tag, True, handled=said.command == "ACK"):
            return []
        return [self._answer(said.command, f"{said.before}{MARK}{tag}")]

    def _open_before(self, tag: int) -> int:
        """The tag of the last message before this one that is not acknowledged; 0: there is
        none."""
        return next((t for t in range(tag - 1, self._floor, -1) if t not in self._settled), 0)

    def _hold(self, said: _Held) -> None:
        if len(self._held) >= HELD or not self._has_come(said.tag):
            return
        if self._held:
            last = self._held[-1]
            if (last.command, last.before) == (said.command, said.before) and last.tag < said.tag:
                # The newer one is for all that the older one is for.
                self._held.pop()
        self._held.append(said)

    def is_stale(self, frame: Frame) -> bool:
        """Whether an ACK or NACK comes too late: for a message of an earlier session of this
        client, or of a subscription that has ended, or one from the history that is none of
        :attr:`given` any more. The broker does not know that name, and the message comes again."""
        name = frame.get(self._header) or ""
        parts = name.split(MARK)
        if len(parts) != 3:
            return False
        consumer, session, tag = parts
        if session in self._earlier:
            return True
        if f"{MARK}{session}{MARK}".encode() != self.mark:
            return False
        if _FROM_HISTORY.fullmatch(tag):
            return True
        came = _NUMBER.fullmatch(tag.encode()) is not None and self._has_come(int(tag))
        return came and consumer.encode() in self._ended

    def read(self, frame: Frame) -> Settled | None:
        """The messages that an ACK or NACK is for, acknowledged or not; it must not be stale.

        None: RabbitMQ answers it with an ERROR of its own. Raises :class:`BadFrame` if RabbitMQ
        would end the session for it.
        """
        name = frame.get(self._header) or ""
        before, _, tag = name.encode().rpartition(MARK.encode())
        if before not in self._modes or not _TAG.fullmatch(tag):
            if self._is_foreign(name):
                # RabbitMQ looks at the subscription and the number only, not at the session, and
                # would take it for another message.
                raise _wrong(frame, name, "this connection has got no such message")
            return None
        cumulative, number = self._modes[before], int(tag)
        if cumulative is None:
            raise _wrong(
                frame, name, "its subscription has ack:auto, nothing is to be acknowledged"
            )
        if number == 0 or not self._has_come(number):
            raise _wrong(
                frame,
                name,
                "no such message was delivered; acknowledge what a MESSAGE has in its header "
                + ("ack" if self._version == "1.2" else "message-id"),
            )
        return Settled(number, cumulative)

    def _is_foreign(self, name: str) -> bool:
        """Whether an id names a subscription of this session, but another session."""
        parts = name.encode().split(MARK.encode())
        return (
            len(parts) == 3
            and self._before_tag(parts[0]) in self._modes
            and MARK.encode() + parts[1] + MARK.encode() != self.mark
            and _READ_AS_TAG.fullmatch(parts[2]) is not None
        )

    def settle(self, settled: Settled, *, handled: bool) -> bool:
        """Note an acknowledgement; False and nothing noted if its message has one already.

        ``handled``: it is an ACK. A NACK lets the message come again.
        """
        return self._settle(settled.tag, settled.cumulative, handled=handled)

    def knows(self, settled: Settled) -> bool:
        """Whether :meth:`settle` can tell a second acknowledgement from a first one."""
        return settled.tag > self._forgotten

    def pass_by(self, data: bytes) -> tuple[int, int]:
        """The number of right acknowledgements at the beginning of ``data``, and of their bytes.

        They are noted. The rest has to be parsed: it is something else, or wrong.
        """
        found = start = 0
        if self._too_large:
            return 0, 0
        size, pattern, modes = len(data), self._pattern, self._modes
        while start < size:
            payload = start + 6
            if (
                payload > size
                or data[start] not in _FIRST_BYTES
                or not _SHORTEST <= data[start + 1] <= _LONGEST
                or (end := payload + data[start + 1] - _SHORTEST) > size
            ):
                break
            frame = mask(data[start + 2 : payload], data[payload:end])
            matched = pattern.fullmatch(frame)
            if matched is None:
                break
            name, tag, *others = matched.groups()
            if name is None:
                name, tag = others
            cumulative = modes.get(name)
            if cumulative is None:
                break
            number = int(tag)
            handled = frame[0] == _ACK
            if number == self._floor + 1 <= self.last and not self._settled:
                self._floor = number
                if self._numbers or self.given:
                    self._note(number, cumulative=cumulative, handled=handled)
            elif number <= self._forgotten or not self._settle(number, cumulative, handled=handled):
                break
            found += 1
            start = end
        return found, start

    def _before_tag(self, name: bytes) -> bytes:
        return name + self.mark.removesuffix(MARK.encode())

    def _note(self, tag: int, *, cumulative: bool, handled: bool) -> None:
        """Tell which messages of private queues an acknowledgement was for."""
        numbers = self._numbers
        tags = takewhile(lambda each: each <= tag, numbers) if cumulative else (tag,)
        for each in list(tags):
            if (numbered := numbers.pop(each, None)) is None:
                continue
            stream, seq, before = numbered
            self._number_of[before] -= 1
            if handled:
                self._noted.acknowledged(stream, seq)
        if cumulative:
            for given in self.given.handled_before(tag):
                if handled:
                    self._noted.acknowledged(*given)

    def _settle(self, tag: int, cumulative: bool, *, handled: bool) -> bool:
        settled = self._settled
        if tag <= self._floor:
            return tag <= self._forgotten
        if tag in settled or not self._has_come(tag):
            return False
        if self._numbers or self.given:
            self._note(tag, cumulative=cumulative, handled=handled)
        if cumulative:
            self._floor = tag
            self._settled = {other for other in settled if other > tag} if settled else settled
        else:
            self._done(tag)
            return True
        self._raise_floor()
        return True

    def _done(self, tag: int) -> None:
        """Note one message that was acknowledged, or need not be."""
        if tag == self._floor + 1:
            self._floor = tag
            self._raise_floor()
        elif tag > self._floor:
            self._settled.add(tag)
            if len(self._settled) > KEPT:
                self._forget()

    def _raise_floor(self) -> None:
        settled = self._settled
        while settled and self._floor + 1 in settled:
            self._floor += 1
            settled.remove(self._floor)

    def _has_come(self, tag: int) -> bool:
        if tag > self.last:
            found = self.newest.find(self.mark)
            newest = _TAG.match(self.newest, found + len(self.mark)) if found >= 0 else None
            if newest is not None:
                self.last = max(self.last, int(newest[0]))
        return tag <= self.last

    def _forget(self) -> None:
        """A client that leaves one message unacknowledged for thousands of others."""
        order = sorted(self._settled)
        self._forgotten = self._floor = order[len(order) // 2]
        self._settled = set(order[len(order) // 2 + 1 :])


def _wrong(frame: Frame, name: str, why: str) -> BadFrame:
    return BadFrame(f"{frame.command} {name[:200]!r}: {why}")


def _name(head: bytes, end: int) -> bytes:
    """The id of a MESSAGE whose headers end there."""
    name = _value(head, b"\nmessage-id:", end)
    if b"\\" in name:
        # The client has a colon in its subscription's id, for one.
        name = unescape(name.decode()).encode()
    return name


def _value(head: bytes, name: bytes, end: int) -> bytes:
    """The value of a header that begins with ``name`` before ``end``, or nothing."""
    start = head.find(name, 0, end)
    if start < 0:
        return b""
    start += len(name)
    stop = head.find(b"\n", start, end)
    return head[start:stop] if stop >= 0 else b""
