"""One feed: a connection to one node after the other on which many topics are subscribed.

Each subscription is ``/exchange/amq.topic/<key>``: an exclusive queue of the connection's own, and
RabbitMQ deletes it with the connection. A feed does not make up for what was published while it was
not connected; it calls the :class:`Listener` of a key when the subscription stands, when nothing
arrives for the moment, and when the session is lost.

Web-STOMP sends no heart-beat and delivers nothing while RabbitMQ works on a SUBSCRIBE or
UNSUBSCRIBE, which takes as long as its metadata are locked: seconds to minutes on a cluster under
load. Giving up such a session leaves queues that RabbitMQ has to delete, which makes the next
session slower still. Therefore silence is judged by whether an answer is outstanding.
"""

from __future__ import annotations

import asyncio
import logging
import math
import select
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final, Protocol

from tornado.iostream import StreamClosedError

from broker.nodes.balancer import Lease, NoNodeAvailable
from broker.nodes.node import Node
from broker.protocol.heartbeat import STILL, HeartBeats
from broker.protocol.stomp import Frame, serialise
from broker.protocol.unframing import MALFORMED, TOO_LARGE, LeftOut, Unframing
from broker.protocol.websocket import Data, PieceReader, Ping, WebSocketError
from broker.timing.complaints import Complaints
from broker.timing.tasks import Tasks
from broker.timing.ticker import RESOLUTION, Ticker
from broker.topology import EXCHANGE
from broker.webstomp.pauses import Outcome, Pauses
from broker.webstomp.session import DialError, WebStompSession

logger = logging.getLogger(__name__)

_READ_BYTES: Final = 262_144

#: Milliseconds: the interval that we offer, and the one that we want. RabbitMQ beats at half of the
#: wanted interval, so that a node that hangs is replaced within three seconds. While it works on a
#: SUBSCRIBE it reads nothing, so it must expect little of us: it would declare us dead after twice
#: the interval.
HEART_BEAT: Final = (30_000, 1_000)
#: Seconds within which RabbitMQ, however slow, answers at least one of the outstanding requests.
_ANSWER_WITHIN: Final = 60.0
#: Seconds without an answer after which :attr:`Feed.problem` names the outstanding requests.
_LONG: Final = 5.0
#: Seconds that a session must have lasted to count as one that worked.
_SHORTEST_SESSION: Final = 5.0

#: A message that its listener failed to handle.
FAILED: Final = "failed"
#: The reasons for leaving a message out.
LEFT_OUT: Final = (TOO_LARGE, MALFORMED, FAILED)


class Listener(Protocol):
    """The receiver of one key's messages, given to :meth:`broker.webstomp.feeds.Feeds.subscribe`.

    ``feed`` is the number of the feed that calls. Several feeds bring the same key, each message
    once, so that one may fail unnoticed; the listener tells repetitions apart. For one feed the
    calls come in this order::

        ( subscribed  (message | left_out | stalled resumed)*  lost )*

    with three exceptions: ``message`` may come before ``subscribed``, because RabbitMQ delivers
    before it answers; ``lost`` may come without ``resumed`` after ``stalled``; and ``stalled``,
    ``resumed`` and ``lost`` are also called for a subscription that does not stand yet.

    All calls come from the event loop and must not block. None comes after ``unsubscribe``. An
    exception raised by ``message`` counts as a message left out; any other is noted as a failure of
    the gateway. Neither costs the feed its session nor another listener a call.
    """

    def subscribed(self, feed: int) -> None:
        """From now on this feed brings everything that is published with the key."""

    def message(self, feed: int, message: Frame) -> None:
        """A MESSAGE frame has arrived."""

    def left_out(self, feed: int) -> None:
        """A message has arrived that cannot be delivered: see :data:`LEFT_OUT`."""

    def stalled(self, feed: int) -> None:
        """Nothing arrives for the moment. The subscription is intact and everything will arrive,
        but nobody knows when; ``resumed`` or ``lost`` follows."""

    def resumed(self, feed: int) -> None:
        """The node answers again; what was published meanwhile arrives now."""

    def lost(self, feed: int) -> None:
        """The session has ended, and the subscription with it. The feed looks for another node and
        subscribes again there."""


@dataclass(frozen=True, slots=True)
class FeedContext:
    """The services that all feeds of a gateway share.

    ``log_in`` opens a session with a node and raises :class:`DialError`. ``witness`` is called with
    a feed's number, the name of a node, and None when the feed has come to that node, else why it
    has left it; it is for people. ``frame_bytes`` bounds a message. ``complaints`` count the
    messages left out by the reasons of :data:`LEFT_OUT`.
    """

    log_in: Callable[[Node], Awaitable[WebStompSession]]
    witness: Callable[[int, str, str | None], None]
    ticker: Ticker
    frame_bytes: int
    complaints: Complaints
    rng: Random


@dataclass(frozen=True, slots=True)
class _Subscription:
    """One key of one feed; ``id`` is the header ``id`` of its SUBSCRIBE."""

    id: str
    key: str
    listener: Listener


class FeedBroken(Exception):
    """The reason why a session with a node ended."""


class Feed:
    """A loop of sessions, one at a time, in each of which every key is subscribed again.

    ``number`` identifies the feed to its listeners. ``acquire`` leases a node that no other feed is
    on and raises :class:`NoNodeAvailable`.
    """

    def __init__(
        self, number: int, *, acquire: Callable[[], Lease], context: FeedContext, tasks: Tasks
    ) -> None:
        self.number = number
        #: The name of the node that the feed is on or dials.
        self.node: str | None = None
        self._acquire = acquire
        self._context = context
        self._tasks = tasks
        #: Why the feed is on no node; None: every node that is available has a feed already.
        self._unplaced: str | None = "has no node"
        self._by_key: dict[str, _Subscription] = {}
        self._by_id: dict[str, _Subscription] = {}
        self._numbers = count(1)
        self._lease: Lease | None = None
        self._session: WebStompSession | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._heart_beats = STILL
        #: When :meth:`check` is to be called next, for the ticker.
        self.due = 0.0
        self._received_at = self._sent_at = self._answered_at = 0.0
        #: The ids of subscriptions that do not stand yet in this session.
        self._unanswered: set[str] = set()
        #: The receipts that are outstanding, including those of keys unsubscribed since.
        self._awaited: set[str] = set()
        self._stalled = False
        #: Whether everything has stood at once in this session.
        self._has_stood = False
        self._given_up: str | None = None
        #: Set while everything that is subscribed stands.
        self.stood = asyncio.Event()

    def start(self) -> None:
        self._tasks.forever(self._run, f"feed {self.number}", needed="topics")

    async def close(self) -> None:
        await self._tasks.close()

    @property
    def standing(self) -> int:
        """The number of subscriptions that stand now."""
        return 0 if self._session is None else len(self._by_id) - len(self._unanswered)

    @property
    def leaving(self) -> bool:
        """Whether its node drains or is no longer configured, so that the feed should move."""
        return self._lease is not None and self._lease.leaving

    @property
    def problem(self) -> str | None:
        """Why the feed does not bring everything now, for people; None: it does."""
        if self._session is None:
            return f"not connected, dialling {self.node}" if self.node else self._unplaced
        if self._stalled:
            return f"{self.node} brings nothing while it works on {len(self._awaited)} requests"
        silent_for = asyncio.get_running_loop().time() - self._answered_at
        if self._unanswered and silent_for > _LONG:
            return f"{len(self._unanswered)} of {len(self._by_id)} topics wait for {self.node}"
        return None

    def subscribe(self, key: str, listener: Listener) -> None:
        """Keep the key subscribed for the listener, on this node and on all later ones.

        Raises ValueError for a key that is subscribed already.
        """
        if key in self._by_key:
            raise ValueError(f"{key} is subscribed already")
        # Never the same id twice: RabbitMQ closes the connection for a second SUBSCRIBE of it.
        new = _Subscription(str(next(self._numbers)), key, listener)
        self._by_key[key] = self._by_id[new.id] = new
        self._send_subscribe(new)

    def unsubscribe(self, key: str) -> None:
        """Give the key up, if it is subscribed: its listener is not called any more."""
        old = self._by_key.pop(key, None)
        if old is not None:
            del self._by_id[old.id]
            self._unanswered.discard(old.id)
            # RabbitMQ may take as long to delete the queue as to make it.
            self._request("UNSUBSCRIBE", f"-{old.id}", ("id", old.id))
            self._note_whether_all_stands()

    async def _run(self) -> None:
        pauses = Pauses(self._context.rng)
        while True:
            outcome = await self._attempt()
            await asyncio.sleep(pauses.after(outcome))

    async def _attempt(self) -> Outcome:
        try:
            lease = self._acquire()
        except NoNodeAvailable as error:
            logger.debug("feed %d: %s", self.number, error)
            # Where every node has a feed already, a further feed has nothing to do.
            self._unplaced = None if error.only_excluded else f"has no node ({error})"
            return Outcome.NOT_REACHED
        with lease:
            return await self._serve(lease)

    async def _serve(self, lease: Lease) -> Outcome:
        """One session, from dial to loss."""
        self.node = lease.node.name
        try:
            session = await self._context.log_in(lease.node)
        except DialError as error:
            lease.failed(error.what)
            logger.warning("feed %d cannot connect, tries the next node: %s", self.number, error)
            return Outcome.NOT_REACHED
        else:
            lease.up()
            self._lease = lease
            return await self._use(session, lease.node.name)
        finally:
            # Also after an unforeseen error: the other feeds avoid the node that is named here.
            self._lease = self.node = None

    async def _use(self, session: WebStompSession, node: str) -> Outcome:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            logger.info("feed %d is on %s", self.number, node)
            self._context.witness(self.number, node, None)
            await self._read(session)
        except (StreamClosedError, FeedBroken, WebSocketError) as error:
            why = self._given_up or str(error) or "the connection broke off"
            logger.warning("feed %d lost %s and looks for a node: %s", self.number, node, why)
            self._context.witness(self.number, node, why)
        except Exception as error:
            consequence = f" and gives up its session with {node}"
            self._tasks.failures.note(f"feed {self.number}", error, consequence=consequence)
            self._context.witness(self.number, node, "the gateway failed; see the log")
        finally:
            self._session = None
            self._stalled = False
            self.stood.clear()
            session.close()
            self._call_all(lambda each: each.lost)
        worked = self._has_stood and loop.time() - began >= _SHORTEST_SESSION
        return Outcome.STOOD if worked else Outcome.FELL

    async def _read(self, session: WebStompSession) -> None:
        loop = asyncio.get_running_loop()
        self._session = session
        self._received_at = self._sent_at = self._answered_at = loop.time()
        self._unanswered.clear()
        self._awaited.clear()
        self._has_stood = False
        self._given_up = None
        sends, hears = session.heart_beat
        self._heart_beats = HeartBeats(outgoing=sends / 1000, incoming=hears / 1000)
        self.due = 0.0
        self._context.ticker.add(self)
        messages, frames = PieceReader(), Unframing(self._context.frame_bytes)
        try:
            for each in self._by_id.values():
                self._send_subscribe(each)
            self._note_whether_all_stands()
            data = session.leftover
            while True:
                for event in messages.feed(data):
                    if isinstance(event, Data):
                        self._take(frames.feed(event))
                    elif isinstance(event, Ping):
                        session.pong(event.payload)
                # A read that finds something does not yield by itself: a flood would keep the loop
                # from everything else, including the fan-out of what was read.
                await asyncio.sleep(0)
                reading = session.stream.read_bytes(_READ_BYTES, partial=True)
                self._reading = asyncio.ensure_future(reading)
                data = await self._reading
                self._received_at = loop.time()
                if self._stalled:
                    self._stalled = False
                    self._call_all(lambda each: each.resumed)
        finally:
            self._context.ticker.remove(self)

    def check(self, now: float) -> None:
        """Beat, and judge the node's silence and outstanding answers. Called by the ticker."""
        session = self._session
        if session is None:
            return
        silent = now >= self._heart_beats.lost_at(self._received_at)
        late = bool(self._awaited) and now - self._answered_at > _ANSWER_WITHIN
        if (silent or late) and not self._is_silent(session):
            self._received_at = now
        elif reason := self._reason_to_leave(silent, late):
            self._given_up = reason
            session.stream.close()
            return
        elif silent and not self._stalled:
            self._stalled = True
            logger.info(
                "feed %d waits for %s, which is silent while it works on %d requests",
                self.number,
                self.node,
                len(self._awaited),
            )
            self._call_all(lambda each: each.stalled)
        if now >= self._heart_beats.beat_at(self._sent_at):
            self._write(b"\n")
        self.due = min(self._heart_beats.beat_at(self._sent_at), self._next_check(now))

    def _reason_to_leave(self, silent: bool, late: bool) -> str | None:
        if late:
            return f"no answer to a request within {_ANSWER_WITHIN:g} s"
        if silent and not self._awaited:
            return "silent, though nothing was asked of it"
        if silent and self._lease is not None and not self._lease.answers:
            return "silent, and it answers no login either"
        return None

    def _next_check(self, now: float) -> float:
        lost_at = self._heart_beats.lost_at(self._received_at)
        if self._stalled or lost_at <= now:
            # The prober may find at any moment that the node hangs.
            return now + RESOLUTION
        answer_by = self._answered_at + _ANSWER_WITHIN if self._awaited else math.inf
        return min(lost_at, max(answer_by, now + RESOLUTION))

    def _is_silent(self, session: WebStompSession) -> bool:
        """Whether nothing the node said waits for this busy process to read it."""
        read = self._reading is not None and self._reading.done()
        return not read and not _has_unread(session)

    def _take(self, found: Frame | LeftOut | None) -> None:
        match found:
            case None:
                pass
            case LeftOut(subscription, why, detail):
                if subscription is None:
                    raise FeedBroken(f"not understood: {detail}")
                self._leave_out(self._by_id.get(subscription), why, detail)
            case Frame("MESSAGE"):
                # A key that was unsubscribed while the message was on its way has no taker.
                taker = self._by_id.get(found.get("subscription") or "")
                if taker is not None:
                    self._hand_over(taker, found)
            case Frame("RECEIPT"):
                self._take_receipt(found.get("receipt-id") or "")
            case _:
                raise FeedBroken(f"{found.command}: {found.get('message')}")

    def _hand_over(self, taker: _Subscription, message: Frame) -> None:
        try:
            taker.listener.message(self.number, message)
        except Exception as error:
            # Both feeds bring the message, on every node: it would end one session after the other.
            self._leave_out(taker, FAILED, "a fault of the gateway", error)

    def _leave_out(
        self,
        taker: _Subscription | None,
        why: str,
        detail: str,
        fault: Exception | None = None,
    ) -> None:
        if times := self._context.complaints.note(why):
            logger.log(
                logging.WARNING if fault is None else logging.ERROR,
                "feed %d leaves out a message of %s, %s: %s (%d since this was last logged)",
                self.number,
                taker and taker.key,
                why,
                detail,
                times,
                exc_info=fault,
            )
        if taker is not None:
            self._call(taker.listener.left_out)

    def _take_receipt(self, receipt: str) -> None:
        self._awaited.discard(receipt)
        self._unanswered.discard(receipt)
        self._answered_at = self._received_at
        if taker := self._by_id.get(receipt):
            self._call(taker.listener.subscribed)
        self._note_whether_all_stands()

    def _call_all(self, method: Callable[[Listener], Callable[[int], None]]) -> None:
        for each in tuple(self._by_id.values()):
            self._call(method(each.listener))

    def _call(self, method: Callable[[int], None]) -> None:
        try:
            method(self.number)
        except Exception as error:
            # One listener's fault must not keep the others from hearing what happens to their feed.
            self._tasks.failures.note(f"feed {self.number}: a listener", error)

    def _note_whether_all_stands(self) -> None:
        if self._unanswered or self._session is None:
            self.stood.clear()
        else:
            self._has_stood = True
            self.stood.set()

    def _send_subscribe(self, new: _Subscription) -> None:
        if self._session is not None:
            self._unanswered.add(new.id)
            self.stood.clear()
        destination = f"/exchange/{EXCHANGE}/{new.key}"
        self._request("SUBSCRIBE", new.id, ("id", new.id), ("destination", destination))

    def _request(self, command: str, receipt: str, *headers: tuple[str, str]) -> None:
        """Send a frame and expect its RECEIPT. Without a session there is nothing to send: the next
        one subscribes everything again."""
        if self._session is None:
            return
        if not self._awaited:
            self._answered_at = asyncio.get_running_loop().time()
        self._awaited.add(receipt)
        self._write(serialise(command, (*headers, ("receipt", receipt))))

    def _write(self, data: bytes) -> None:
        if self._session is not None and not self._session.stream.closed():
            self._sent_at = asyncio.get_running_loop().time()
            self._session.send(data)


def _has_unread(session: WebStompSession) -> bool:
    """Whether bytes, or the end of the connection, wait in the kernel: the node has spoken, and
    this process has not listened."""
    if session.stream.closed():
        return False
    poller = select.poll()
    poller.register(session.stream.socket, select.POLLIN)
    return bool(poller.poll(0))
