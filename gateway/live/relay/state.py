"""The state of a client at the broker: its subscriptions, transactions and open receipts. Pure.

It is enough to set the client up again on another node, and to know whether that would be honest.
Only subscriptions to queues that the broker keeps may move, and whose messages the client
acknowledges. Any other would come back with a hole that nobody sees, and a frame that was sent and
never answered may be lost, so those clients get an ERROR instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from broker.protocol.stomp import Frame, serialise
from gateway.errors import BadFrame, TooMuchOpen
from gateway.live.destinations import Destination, RoomQueue
from gateway.live.relay import properties
from gateway.live.relay.acknowledgements import Deliveries, Noted, Settled, consumer
from gateway.live.relay.doubt import Doubt
from gateway.live.relay.familiar import Familiar, kind
from gateway.live.relay.kept_queues import is_kept
from gateway.live.relay.missed import MARK

#: Transactions that are open at a time, acknowledgements in all of them, and receipts not yet
#: answered.
TRANSACTIONS: Final = 100
ACKNOWLEDGEMENTS: Final = 10_000
RECEIPTS: Final = 65_536
#: Bytes of headers that are noted for them, and for subscriptions, in all.
NOTED: Final = 1024 * 1024
#: Sessions that have ended whose late acknowledgements are known as such.
SESSIONS: Final = 100
#: A SEND with such a ``reply-to`` subscribes to a queue that goes with the session.
TEMP_QUEUES: Final = "/temp-queue/"


class Ending(StrEnum):
    """The ways in which a session ends without a reason: with its connection, by silence, or closed
    in good order by a RabbitMQ that is alive."""

    LOST = "lost"
    SILENT = "silent"
    CLOSED = "closed"


class InDoubt(StrEnum):
    """The frames of the client that RabbitMQ has not answered when a session ends: none; only
    messages of kinds that it has taken before; any; among them subscriptions that an earlier
    session had, and which are asked for again; such that an earlier session did not get back
    either; or new ones at which an earlier session ended, too."""

    NOTHING = "nothing"
    FAMILIAR = "familiar"
    FRAMES = "frames"
    RETURN = "return"
    ABSENCE = "absence"
    REPETITION = "repetition"


class Verdict(StrEnum):
    """The consequence of a session's end: go on at another node; do so unless this node proves to
    be well; or tell the client that nobody knows what became of a frame or when its queues are
    back (1012), or that RabbitMQ has refused a frame (permanent)."""

    MOVE = "move"
    SUSPECT = "suspect"
    UNKNOWN = "unknown"
    REFUSED = "refused"


#: (ending, what is in doubt, whether something stands against a move).
VERDICTS: Final[Mapping[tuple[Ending, InDoubt, bool], Verdict]] = {
    # Whatever the client has subscribed to is asked for again.
    (Ending.LOST, InDoubt.NOTHING, False): Verdict.MOVE,
    (Ending.LOST, InDoubt.FAMILIAR, False): Verdict.MOVE,
    (Ending.LOST, InDoubt.FRAMES, False): Verdict.MOVE,
    (Ending.LOST, InDoubt.RETURN, False): Verdict.MOVE,
    (Ending.LOST, InDoubt.ABSENCE, False): Verdict.MOVE,
    # Two nodes in a row, or a request that no node survives.
    (Ending.LOST, InDoubt.REPETITION, False): Verdict.SUSPECT,
    (Ending.SILENT, InDoubt.NOTHING, False): Verdict.MOVE,
    (Ending.SILENT, InDoubt.FAMILIAR, False): Verdict.MOVE,
    (Ending.SILENT, InDoubt.FRAMES, False): Verdict.MOVE,
    (Ending.SILENT, InDoubt.RETURN, False): Verdict.MOVE,
    # RabbitMQ 4.3 says nothing for a minute while it looks for a queue whose node is away.
    (Ending.SILENT, InDoubt.ABSENCE, False): Verdict.UNKNOWN,
    (Ending.SILENT, InDoubt.REPETITION, False): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.NOTHING, False): Verdict.MOVE,
    # An operator has ended it, perhaps.
    (Ending.CLOSED, InDoubt.FAMILIAR, False): Verdict.UNKNOWN,
    # RabbitMQ ends a session for a frame that it refuses; 3.10 keeps the reason to itself.
    (Ending.CLOSED, InDoubt.FRAMES, False): Verdict.REFUSED,
    # It had taken them: the queue is away with its node, perhaps.
    (Ending.CLOSED, InDoubt.RETURN, False): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.ABSENCE, False): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.REPETITION, False): Verdict.REFUSED,
    (Ending.LOST, InDoubt.NOTHING, True): Verdict.UNKNOWN,
    (Ending.LOST, InDoubt.FAMILIAR, True): Verdict.UNKNOWN,
    (Ending.LOST, InDoubt.FRAMES, True): Verdict.UNKNOWN,
    (Ending.LOST, InDoubt.RETURN, True): Verdict.UNKNOWN,
    (Ending.LOST, InDoubt.ABSENCE, True): Verdict.UNKNOWN,
    (Ending.LOST, InDoubt.REPETITION, True): Verdict.UNKNOWN,
    (Ending.SILENT, InDoubt.NOTHING, True): Verdict.UNKNOWN,
    (Ending.SILENT, InDoubt.FAMILIAR, True): Verdict.UNKNOWN,
    (Ending.SILENT, InDoubt.FRAMES, True): Verdict.UNKNOWN,
    (Ending.SILENT, InDoubt.RETURN, True): Verdict.UNKNOWN,
    (Ending.SILENT, InDoubt.ABSENCE, True): Verdict.UNKNOWN,
    (Ending.SILENT, InDoubt.REPETITION, True): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.NOTHING, True): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.FAMILIAR, True): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.FRAMES, True): Verdict.REFUSED,
    (Ending.CLOSED, InDoubt.RETURN, True): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.ABSENCE, True): Verdict.UNKNOWN,
    (Ending.CLOSED, InDoubt.REPETITION, True): Verdict.REFUSED,
}


@dataclass(slots=True)
class _Subscription:
    """A subscription as its SUBSCRIBE has asked for it. ``number``: that frame's in the present
    session. ``taken``: an earlier session had it; ``ended``: one has ended before it was
    answered."""

    destination: Destination
    frame: Frame
    number: int
    taken: bool = False
    ended: bool = False

    @property
    def consumer(self) -> bytes:
        """RabbitMQ's name for it."""
        return consumer(self.frame).encode()

    @property
    def room(self) -> int | None:
        """The room whose private queue it consumes."""
        return self.destination.room if isinstance(self.destination, RoomQueue) else None

    @property
    def is_kept(self) -> bool:
        """Whether RabbitMQ keeps what it reads, and what comes by it is acknowledged or found in
        the history."""
        return self.room is not None or is_kept(self.frame)


@dataclass(slots=True)
class _Owed:
    """The RECEIPTs that RabbitMQ owes under one id, and the number of the last frame that has asked
    for one. ``proves``: its answer tells of those before. A client may use an id again before it is
    answered: then only the last one of so many ``times`` says which frames are taken. ``first``:
    the number of the first one, and ``answers``: how many have come since."""

    number: int
    proves: bool
    times: int = 1
    first: int = field(default=0, compare=False)
    answers: int = field(default=0, compare=False)


class RelayState:
    """One client's state at the broker. It is in no session until :meth:`move` names one.

    ``version`` is STOMP's.
    """

    def __init__(self, version: str, noted: Noted) -> None:
        self._version = version
        self._noted = noted
        self.deliveries = Deliveries("", version, noted)
        self._familiar = Familiar()
        self.doubt = Doubt(self._familiar)
        self._subscriptions: dict[str, _Subscription] = {}
        self._session = ""
        #: The names of those before it, the oldest first.
        self._earlier: dict[str, None] = {}
        #: Not answered yet, by id.
        self._receipts: dict[str, _Owed] = {}
        #: None: of a message from the history.
        self._transactions: dict[str, list[tuple[Frame, Settled | None]]] = {}
        #: What RabbitMQ is to be told of its messages by a COMMIT that was for some of the history.
        self._told: list[bytes] = []
        self._replies = False
        #: Acknowledgements in open transactions, and the bytes of everything that is noted.
        self._together = self._noted_bytes = 0

    def subscribed(self, key: str, destination: Destination, frame: Frame) -> None:
        """Note a subscription; ``frame`` is the SUBSCRIBE as the broker gets it. Raises
        :class:`BadFrame` for what RabbitMQ would end the session for."""
        properties.check_subscribe(frame)
        # Without its bytes: what sets it up again is made of its headers.
        frame = Frame(frame.command, frame.headers)
        self._note(_size(frame))
        number = self.doubt.sent(
            "SUBSCRIBE", frame.get("destination"), answered=frame.get("receipt") is not None
        )
        subscription = self._subscriptions[key] = _Subscription(destination, frame, number)
        self.deliveries.subscribed(frame, subscription.room)
        if subscription.room is None:
            self.deliveries.streams.subscribed(subscription.consumer, frame)
        self._expect(frame, number, proves=True)

    def unsubscribed(self, key: str, frame: Frame) -> None:
        if (subscription := self._subscriptions.pop(key, None)) is not None:
            self._noted_bytes -= _size(subscription.frame)
            self.deliveries.streams.unsubscribed(subscription.consumer)
        self.deliveries.unsubscribed(frame)
        answered = frame.get("receipt") is not None
        self._expect(frame, self.doubt.sent("UNSUBSCRIBE", key, answered=answered), proves=True)

    def sent(self, frame: Frame) -> None:
        """Any other frame that is to be passed on. Raises :class:`BadFrame` for what RabbitMQ would
        end the session for without a word; what it answers with an ERROR is left to it."""
        match frame.command:
            case "ACK" | "NACK":
                number = self._acknowledged(frame)
            case "SEND":
                number = self._published(frame)
            case _:
                number = self._transacted(frame)
        proves = frame.command == "SEND" and frame.get("transaction") is None
        self._expect(frame, number, proves=proves)

    def answered(self, receipt: str) -> None:
        """The broker's RECEIPT has come."""
        owed = self._receipts.get(receipt)
        if owed is None:
            return
        owed.times -= 1
        owed.answers += 1
        if not owed.times:
            del self._receipts[receipt]
            self._noted_bytes -= len(receipt)
            if owed.proves:
                self.doubt.proven(owed.number)

    def handled(self, frame: Frame) -> list[bytes] | None:
        """An ACK or NACK for a message from the history; see :meth:`Deliveries.handled`. In a
        transaction it is one when that is committed; see :meth:`told`."""
        if frame.command not in ("ACK", "NACK"):
            return None
        transaction = frame.get("transaction")
        if transaction not in self._transactions or not self.deliveries.knows_given(frame):
            return self.deliveries.handled(frame)
        self._keep(transaction, frame, None)
        return []

    def told(self) -> list[bytes]:
        """Take the frames for RabbitMQ that belong behind the one that was :meth:`sent`."""
        told, self._told = self._told, []
        return told

    def is_stale(self, frame: Frame) -> bool:
        """Whether an ACK or NACK is for a message of a session that is gone."""
        return frame.command in ("ACK", "NACK") and self.deliveries.is_stale(frame)

    def destination_of(self, message: Frame) -> Destination | None:
        """The destination of the subscription that brought a MESSAGE."""
        name = (message.get("message-id") or "").rsplit(MARK, 2)[0]
        for each in self._subscriptions.values():
            if each.consumer == name.encode():
                return each.destination
        return None

    @property
    def obstacle(self) -> str | None:
        """Why it cannot move, even if everything that was sent is taken, or None: it can."""
        if self._transactions:
            return "a transaction is open"
        if not self._receipts.keys() <= self._asked_again.keys():
            return "a receipt is not answered"
        if not all(each.is_kept for each in self._subscriptions.values()):
            return "a subscription lived on the node"
        if self.deliveries.streams.found:
            return "a stream was read, and only its consumer knows how far"
        return "a temp queue lived on the node" if self._replies else None

    @property
    def would_repeat(self) -> bool:
        """Whether a move would bring messages again to an application that knows nothing of moves,
        or could end it: one that is not needed waits."""
        elsewhere = any(each.room is None for each in self._subscriptions.values())
        return elsewhere and (self.deliveries.unacknowledged or bool(self.deliveries.streams))

    @property
    def returning(self) -> bool:
        """Whether something that an earlier session had is asked for again and not answered yet."""
        return any(
            each.taken and not self.doubt.is_proven(each.number)
            for each in self._subscriptions.values()
        )

    @property
    def loss(self) -> str | None:
        """Why it cannot go on elsewhere when its session has ended now, or None: it can."""
        if self.doubt.messages:
            return "nothing tells whether all messages were taken"
        return self.obstacle

    def verdict(self, ending: Ending) -> Verdict:
        return VERDICTS[ending, self._in_doubt(ending), self.loss is not None]

    def ended(self) -> None:
        """The session has ended by itself: the subscriptions in doubt may be why."""
        for each in self._subscriptions.values():
            each.ended = not self.doubt.is_proven(each.number)

    def _in_doubt(self, ending: Ending) -> InDoubt:
        if not self.doubt.any:
            return InDoubt.NOTHING
        if not self.doubt.is_strange:
            return InDoubt.FAMILIAR
        asked = [
            each for each in self._subscriptions.values() if not self.doubt.is_proven(each.number)
        ]
        # A private queue without a leader is silent, too, and is replaced meanwhile.
        again = any(
            each.ended and (ending is not Ending.SILENT or each.room is None) for each in asked
        )
        if any(each.taken for each in asked):
            return InDoubt.ABSENCE if again else InDoubt.RETURN
        return InDoubt.REPETITION if again else InDoubt.FRAMES

    @property
    def unanswered(self) -> bool:
        """Whether a receipt is still to come."""
        return bool(self._receipts)

    @property
    def oldest(self) -> tuple[str, int, int] | None:
        """The receipt that has been due longest: its id, the number of the first frame that has
        asked for it, and how often it has come since, where a client gives every frame the same id.
        None while a transaction is open, whose end it may wait for."""
        if self._transactions or not self._receipts:
            return None
        receipt, owed = next(iter(self._receipts.items()))
        return receipt, owed.first, owed.answers

    @property
    def rooms(self) -> list[int]:
        """Those whose private queues are consumed."""
        rooms = (each.room for each in self._subscriptions.values())
        return [room for room in rooms if room is not None]

    @property
    def _asked_again(self) -> dict[str, _Subscription]:
        """The receipts that another node can be asked for: those of subscriptions, by id."""
        found = {}
        for each in self._subscriptions.values():
            receipt = each.frame.get("receipt")
            owed = None if receipt is None else self._receipts.get(receipt)
            if receipt is not None and owed == _Owed(each.number, proves=True):
                found[receipt] = each
        return found

    def move(self, session: str) -> list[bytes]:
        """Go on in a new session, named as in its CONNECTED; the frames that set it up.

        A SUBSCRIBE asks for its RECEIPT only if the client has not got it yet.
        """
        given, streams, before = self.deliveries.given, self.deliveries.streams, self.doubt
        given.moved()
        streams.moved()
        if self._session:
            self._earlier[self._session] = None
            if len(self._earlier) > SESSIONS:
                del self._earlier[next(iter(self._earlier))]
        self._session = session
        self.deliveries = Deliveries(
            session,
            self._version,
            self._noted,
            given=given,
            streams=streams,
            earlier=self._earlier,
        )
        self.doubt = Doubt(self._familiar)
        asked_again = self._asked_again
        self._noted_bytes -= sum(map(len, self._receipts))
        self._receipts = {}
        frames = []
        for each in self._subscriptions.values():
            each.taken = each.taken or before.is_proven(each.number)
            frame = each.frame
            headers = [
                (name, value)
                for name, value in frame.headers
                if name != "receipt" or asked_again.get(value) is each
            ]
            again = Frame(frame.command, tuple(headers))
            self.deliveries.subscribed(again, each.room)
            each.number = self.doubt.sent(
                "SUBSCRIBE", again.get("destination"), answered=again.get("receipt") is not None
            )
            self._expect(again, each.number, proves=True)
            frames.append(serialise(frame.command, headers))
        return frames

    def _acknowledged(self, frame: Frame) -> int:
        name = frame.get("id") or frame.get("message-id")
        settled = self.deliveries.read(frame)
        transaction = frame.get("transaction")
        if settled is None or (transaction is not None and transaction not in self._transactions):
            return self.doubt.sent(frame.command, name, wrong=True)
        if transaction is not None:
            self._keep(transaction, frame, settled)
            return self.doubt.passed
        self._settle(frame, settled)
        if self.deliveries.knows(settled):
            return self.doubt.passed
        return self.doubt.sent(frame.command, name)

    def _keep(self, transaction: str, frame: Frame, settled: Settled | None) -> None:
        """Keep an acknowledgement until its transaction is over."""
        if self._together >= ACKNOWLEDGEMENTS:
            raise TooMuchOpen(f"at most {ACKNOWLEDGEMENTS} acknowledgements in transactions")
        frame = Frame(frame.command, frame.headers)
        self._note(_size(frame))
        self._together += 1
        self._transactions[transaction].append((frame, settled))

    def _settle(self, frame: Frame, settled: Settled) -> None:
        if not self.deliveries.settle(settled, handled=frame.command == "ACK"):
            name = frame.get("id") or frame.get("message-id") or ""
            raise BadFrame(
                f"{frame.command} {name[:200]!r}: this message was acknowledged before, or came by "
                "a subscription with ack:auto; acknowledge each one once"
            )

    def _published(self, frame: Frame) -> int:
        properties.check_send(frame)
        transaction = frame.get("transaction")
        if (frame.get("reply-to") or "").startswith(TEMP_QUEUES):
            self._replies = True
            self.deliveries.answers_come()
        return self.doubt.sent(
            "SEND", frame.get("destination"), message=transaction is None, kind=kind(frame)
        )

    def _transacted(self, frame: Frame) -> int:
        transaction = frame.get("transaction")
        if transaction is None:
            return self.doubt.sent(frame.command, None)
        if frame.command == "BEGIN":
            if transaction not in self._transactions and len(self._transactions) >= TRANSACTIONS:
                raise TooMuchOpen(f"at most {TRANSACTIONS} open transactions per connection")
            # RabbitMQ begins one anew that is open, and drops what was in it.
            if transaction in self._transactions:
                self._end(transaction)
            self._note(len(transaction))
            self._transactions[transaction] = []
            return self.doubt.passed
        if transaction not in self._transactions:
            return self.doubt.sent(frame.command, transaction, wrong=True)
        together = self._transactions[transaction]
        if frame.command == "COMMIT":
            for acknowledgement, settled in together:
                if settled is None:
                    self._told += self.deliveries.committed(acknowledgement)
                else:
                    self._settle(acknowledgement, settled)
        self._end(transaction)
        if frame.command == "ABORT":
            return self.doubt.passed
        return self.doubt.sent("COMMIT", transaction, message=True)

    def _end(self, transaction: str) -> None:
        together = self._transactions.pop(transaction)
        self._together -= len(together)
        self._noted_bytes -= len(transaction) + sum(_size(frame) for frame, _ in together)

    def _note(self, size: int) -> None:
        if self._noted_bytes + size > NOTED:
            raise TooMuchOpen(
                f"the headers of subscriptions, receipts and transactions have {NOTED} bytes"
            )
        self._noted_bytes += size

    def _expect(self, frame: Frame, number: int, *, proves: bool) -> None:
        receipt = frame.get("receipt")
        if receipt is None:
            return
        owed = self._receipts.get(receipt)
        if owed is None:
            if len(self._receipts) >= RECEIPTS:
                raise TooMuchOpen(f"{RECEIPTS} receipts are not answered yet")
            self._note(len(receipt))
            self._receipts[receipt] = _Owed(number, proves, first=number)
        else:
            owed.number, owed.proves = number, proves
            owed.times += 1


def _size(frame: Frame) -> int:
    """The bytes of a frame's headers, nearly."""
    return sum(len(name) + len(value) for name, value in frame.headers)
