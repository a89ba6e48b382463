"""One feed: an exclusive queue on one node after the other, with a binding for each topic.

RabbitMQ deletes the queue with the connection. A feed does not make up for what was published while
it was not connected; it calls the :class:`Listener` of a key when the binding stands, and when the
session is lost.

Declaring and binding take as long as RabbitMQ's metadata are locked: seconds to minutes on a
cluster under load. They have a channel of their own, so that messages of the topics that stand
arrive meanwhile, and the node still answers whether it is alive. A session that is being set up is
therefore not given up for being slow before its own deadline: the next one would be as slow.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from tornado.iostream import StreamClosedError

from broker.dialling import DialError, cause
from broker.feeds.connection import Connection, NodeClosed
from broker.feeds.leftovers import Leftovers
from broker.feeds.listener import (
    FAILED,
    MALFORMED,
    OVERFLOWED,
    TOO_LARGE,
    Listener,
    Pattern,
    PatternListener,
)
from broker.feeds.pattern_session import MESSAGES, METADATA, PatternSession
from broker.feeds.pauses import Outcome, Pauses
from broker.feeds.session import EntranceGone, QueueSession
from broker.feeds.topic_table import TopicTable
from broker.nodes.balancer import Lease, NoNodeAvailable
from broker.nodes.node import Node
from broker.protocol.amqp_deliveries import Delivery, Event, Received, TooLarge
from broker.protocol.amqp_methods import AmqpError
from broker.protocol.amqp_properties import stomp_headers
from broker.protocol.stomp import Frame, MalformedFrame
from broker.timing.complaints import Complaints
from broker.timing.tasks import Tasks
from broker.timing.ticker import RESOLUTION, Ticker

logger = logging.getLogger(__name__)

#: Seconds without a byte from the node after which it is asked for a sign of life, and within which
#: it must give one: a node that hangs is replaced within three seconds.
_ASK_AFTER: Final = 0.75
_ALIVE_WITHIN: Final = 1.5
#: Seconds without a byte from us after which the node is asked, too, so that it knows we are there.
_SPEAK_AFTER: Final = 10.0
#: Seconds within which RabbitMQ, however slow, answers at least one of the outstanding requests.
_ANSWER_WITHIN: Final = 60.0
#: Seconds without an answer after which :attr:`Feed.problem` names the outstanding requests.
_LONG: Final = 5.0
#: Seconds between two questions whether the feed's entrance is still there.
_LOOK_EVERY: Final = 5.0
#: Seconds between two questions whether the queue has overflowed, while it brings messages. One
#: that drops the oldest has more to bring.
_LOOK_FOR_OVERFLOW_EVERY: Final = 1.0
#: Messages that are handed over in one turn of the loop: one read may bring a thousand, from a
#: queue that was not read for a while.
_TURN: Final = 64
#: What RabbitMQ says when it has broken off a connection because it failed itself.
_INTERNAL_ERROR: Final = "541 "
#: Seconds that a session must have lasted to count as one that worked.
_SHORTEST_SESSION: Final = 5.0


@dataclass(frozen=True, slots=True)
class FeedContext:
    """The surroundings that all feeds of a gateway share.

    ``dial`` opens a connection to a node for the feed of this number and raises :class:`DialError`;
    ``queue`` makes up the name of a new queue for it, and of the exchange in front of it.
    ``leftovers`` are the exchanges of lost sessions. ``witness`` is called with a feed's number,
    the name of a node, and None when the feed has come to that node, else why it has left it; it is
    for people. ``complaints`` count the messages left out by the reasons of :data:`LEFT_OUT`.
    """

    dial: Callable[[int, Node], Awaitable[Connection]]
    queue: Callable[[int], str]
    witness: Callable[[int, str, str | None], None]
    leftovers: Leftovers
    ticker: Ticker
    complaints: Complaints
    rng: Random


class Feed:
    """A loop of sessions, one at a time, in each of which every key is bound again.

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
        self._listeners: TopicTable[Listener] = TopicTable()
        self._pattern_listeners: dict[Pattern, PatternListener] = {}
        self._patterns: PatternSession | None = None
        #: The patterns whose messages have not been acknowledged yet.
        self._unacknowledged: dict[Pattern, None] = {}
        self._lease: Lease | None = None
        self._session: QueueSession | None = None
        self._reading: asyncio.Future[list[Event]] | None = None
        #: When :meth:`check` is to be called next, for the ticker.
        self.due = 0.0
        self._received_at = self._sent_at = self._answered_at = 0.0
        #: When the node was last asked for the entrance, and for an overflow.
        self._looked_at = self._looked_for_overflow_at = 0.0
        #: Whether messages have come since the last look for an overflow.
        self._brought = False
        #: When the node was asked for a sign of life; None: it has given one since.
        self._asked_at: float | None = None
        #: Whether everything has stood at once in this session.
        self._has_stood = False
        self._given_up: str | None = None
        #: The exchange that topics are bound to; None: there is none now.
        self.entrance: str | None = None
        #: Set while everything that is subscribed stands.
        self.stood = asyncio.Event()

    def start(self) -> None:
        self._tasks.forever(self._run, f"feed {self.number}", needed="topics")

    async def close(self) -> None:
        await self._tasks.close()

    @property
    def entrances(self) -> list[str]:
        """The exchanges that its topics and patterns are bound to now."""
        if self.entrance is None:
            return []
        return [self.entrance, *(() if self._patterns is None else self._patterns.entrances)]

    @property
    def major_version(self) -> int:
        """The first number of the version of its node; 0: it is not known."""
        return 0 if self._session is None else self._session.connection.major_version

    @property
    def standing(self) -> int:
        """The number of subscriptions that stand now."""
        if self._session is None or self._patterns is None or not self._session.consuming:
            return 0
        of_patterns = len(self._pattern_listeners) - self._patterns.missing
        return len(self._listeners) - self._session.bindings.missing + of_patterns

    @property
    def leaving(self) -> bool:
        """Whether its node drains or is no longer configured, so that the feed should move."""
        return self._lease is not None and self._lease.leaving

    @property
    def problem(self) -> str | None:
        """Why the feed does not bring everything now, for people; None: it does."""
        if self._session is None:
            return f"not connected, dialling {self.node}" if self.node else self._unplaced
        slow = asyncio.get_running_loop().time() - self._answered_at > _LONG
        if not self._session.stands and slow:
            waiting = len(self._listeners) - self.standing
            return f"{waiting} of {len(self._listeners)} topics wait for {self.node}"
        return None

    def subscribe(self, key: str, listener: Listener) -> None:
        """Keep the key subscribed for the listener, on this node and on all later ones.

        ``key`` may be a pattern. Raises ValueError for a key that is subscribed already.
        """
        self._listeners.add(key, listener)
        self._request(lambda session: session.want(key))

    def unsubscribe(self, key: str) -> None:
        """Give the key up, if it is subscribed: its listener is not called any more."""
        if self._listeners.remove(key):
            self._request(lambda session: session.give_up(key))

    def subscribe_pattern(self, pattern: Pattern, listener: PatternListener) -> None:
        """Keep a queue for the pattern, on this node and on all later ones."""
        self._pattern_listeners[pattern] = listener
        self._request_of_patterns(lambda patterns: patterns.want(pattern))

    def confirm_pattern(self, pattern: Pattern) -> None:
        """Have RabbitMQ say once more whether the pattern is bound; the listener hears it."""
        self._request_of_patterns(lambda patterns: patterns.confirm(pattern))

    def unsubscribe_pattern(self, pattern: Pattern) -> None:
        """Give the pattern up, if it is subscribed: its listener is not called any more."""
        if self._pattern_listeners.pop(pattern, None) is not None:
            self._unacknowledged.pop(pattern, None)
            self._request_of_patterns(lambda patterns: patterns.give_up(pattern))

    def delete(self, entrance: str) -> None:
        """Delete the entrance of a lost session. For :class:`Leftovers`."""
        self._request(lambda session: session.delete(entrance))

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
            connection = await self._context.dial(self.number, lease.node)
        except DialError as error:
            lease.failed(error.what)
            logger.warning("feed %d cannot connect, tries the next node: %s", self.number, error)
            return Outcome.NOT_REACHED
        else:
            lease.up()
            self._lease = lease
            return await self._use(connection, lease.node.name)
        finally:
            # Also after an unforeseen error: the other feeds avoid the node that is named here.
            self._lease = self.node = None

    async def _use(self, connection: Connection, node: str) -> Outcome:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            logger.info("feed %d is on %s", self.number, node)
            self._context.witness(self.number, node, None)
            await self._read(connection)
        except (StreamClosedError, AmqpError, NodeClosed) as error:
            why = self._given_up or _reason(error)
            logger.warning("feed %d lost %s and looks for a node: %s", self.number, node, why)
            self._context.witness(self.number, node, why)
            if isinstance(error, EntranceGone):
                self._call_patterns(lambda each: each.swept)
            elif str(error).startswith(_INTERNAL_ERROR):
                self._call_patterns(lambda each: each.broke)
        except Exception as error:
            consequence = f" and gives up its session with {node}"
            self._tasks.failures.note(f"feed {self.number}", error, consequence=consequence)
            self._context.witness(self.number, node, "the gateway failed; see the log")
        finally:
            self._session = self._patterns = None
            self._unacknowledged.clear()
            self.stood.clear()
            connection.close()
            self._call_all(lambda each: each.lost)
            self._call_patterns(lambda each: each.lost)
        worked = self._has_stood and loop.time() - began >= _SHORTEST_SESSION
        return Outcome.STOOD if worked else Outcome.FELL

    async def _read(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._received_at = self._sent_at = self._answered_at = self._looked_at = now
        self._asked_at = None
        self._has_stood = False
        self._given_up = None
        self._brought = False
        queue = self._context.queue(self.number)
        leftovers = self._context.leftovers
        session = self._session = QueueSession(
            connection, queue, self._listeners, deleted=leftovers.deleted
        )
        patterns = self._patterns = PatternSession(connection, queue, self)
        for pattern in self._pattern_listeners:
            patterns.want(pattern)
        self.entrance = queue
        self.due = 0.0
        self._context.ticker.add(self)
        try:
            with leftovers.swept_by(self):
                await self._take_all(session, queue)
        finally:
            self._context.ticker.remove(self)
            self.entrance = None
            leftovers.add([queue, *patterns.entrances])

    async def _take_all(self, session: QueueSession, queue: str) -> None:
        """Take what the node says, until the session is lost."""
        loop = asyncio.get_running_loop()
        while True:
            # A read that finds something does not yield by itself: a flood would keep the loop from
            # everything else, including the fan-out of what was read.
            await asyncio.sleep(0)
            self._reading = asyncio.ensure_future(session.connection.read())
            events = await self._reading
            self._received_at, self._asked_at = loop.time(), None
            for number, event in enumerate(events, 1):
                self._take(session, queue, event)
                if not number % _TURN:
                    await asyncio.sleep(0)
            self._acknowledge(all=False)

    def check(self, now: float) -> None:
        """Judge the node's silence and outstanding answers. Called by the ticker."""
        session = self._session
        if session is None:
            return
        silent = self._asked_at is not None and now - self._asked_at > _ALIVE_WITHIN
        late = bool(self._unanswered) and now - self._answered_at > _ANSWER_WITHIN
        if not silent and not late:
            self._acknowledge(all=True)
            self._ask(session, now)
            self._look(session, now)
        elif self._is_silent(session) and (reason := self._reason_to_leave(session, late=late)):
            self._given_up = reason
            session.connection.stream.close()
            return
        self.due = now + RESOLUTION

    def _ask(self, session: QueueSession, now: float) -> None:
        """Ask the node for a sign of life, if it is time."""
        if self._asked_at is None and now - self._received_at >= _ASK_AFTER:
            self._asked_at = now
        elif now - self._sent_at < _SPEAK_AFTER:
            return
        self._request(QueueSession.ask)

    def _look(self, session: QueueSession, now: float) -> None:
        """Ask the node for what no message tells, if it is time."""
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._request(QueueSession.look)
        since = now - self._looked_for_overflow_at
        if self._brought and session.consuming and since >= _LOOK_FOR_OVERFLOW_EVERY:
            self._brought, self._looked_for_overflow_at = False, now
            self._request(QueueSession.look_for_overflow)

    def _reason_to_leave(self, session: QueueSession, *, late: bool) -> str | None:
        if late:
            return f"no answer to a request within {_ANSWER_WITHIN:g} s"
        if session.consuming:
            return f"no sign of life within {_ALIVE_WITHIN:g} s"
        if self._lease is not None and not self._lease.answers:
            return "no sign of life, and it takes no logins either"
        return None

    def _is_silent(self, session: QueueSession) -> bool:
        """Whether nothing the node said waits for this busy process to read it."""
        read = self._reading is not None and self._reading.done()
        return not read and not _has_unread(session.connection)

    def _take(self, session: QueueSession, queue: str, event: Event) -> None:
        match event:
            case Delivery(routing_key):
                self._brought = True
                if event.channel == MESSAGES:
                    self._take_of_pattern(event)
                # A key that was unsubscribed while the message was on its way concerns nobody.
                elif concerned := [
                    (key, listener)
                    for key, listener in self._listeners.concerned(routing_key)
                    if not listener.knows(event)
                ]:
                    self._hand_over(concerned, queue, event)
            case TooLarge(routing_key, size):
                self._brought = True
                if event.channel == MESSAGES:
                    self._take_of_pattern(event)
                    return
                for key, listener in self._listeners.concerned(routing_key):
                    self._leave_out(key, listener, TOO_LARGE, f"a body of {size} bytes")
            case Received():
                self._take_answer(session, event)

    def _take_of_pattern(self, message: Delivery | TooLarge) -> None:
        pattern = None if self._patterns is None else self._patterns.pattern_of(message)
        listener = None if pattern is None else self._pattern_listeners.get(pattern)
        if pattern is None or listener is None:
            return
        self._unacknowledged[pattern] = None
        if isinstance(message, TooLarge):
            self._leave_out_of_pattern(pattern, listener, TOO_LARGE, f"{message.size} bytes")
            return
        try:
            listener.message(self.number, message)
        except MalformedFrame as error:
            self._leave_out_of_pattern(pattern, listener, MALFORMED, str(error))
        except Exception as error:
            self._leave_out_of_pattern(pattern, listener, FAILED, "a fault of the gateway", error)

    def _leave_out_of_pattern(
        self,
        pattern: Pattern,
        listener: PatternListener,
        why: str,
        detail: str,
        fault: Exception | None = None,
    ) -> None:
        self._complain("/".join(pattern), why, detail, fault)
        self._call(lambda feed: listener.left_out(feed, f"{why}: {detail}"))

    def _acknowledge(self, *, all: bool) -> None:
        """Let RabbitMQ give more messages of patterns, unless they cannot be passed on as fast."""
        listeners = self._pattern_listeners
        if (
            self._patterns is not None
            and self._session is not None
            and not self._session.connection.stream.closed()
            and _flow(listeners[each] for each in self._unacknowledged)
            and self._patterns.acknowledge(all=all)
        ):
            self._unacknowledged.clear()

    def pattern_stands(self, pattern: Pattern) -> None:
        if listener := self._pattern_listeners.get(pattern):
            self._call(listener.subscribed)

    def pattern_refused(self, pattern: Pattern, why: str) -> None:
        if listener := self._pattern_listeners.get(pattern):
            self._call(lambda feed: listener.refused(feed, why))

    def pattern_lost(self, pattern: Pattern) -> None:
        if listener := self._pattern_listeners.get(pattern):
            self._call(listener.lost)

    def _take_answer(self, session: QueueSession, answer: Received) -> None:
        before, overflows = self._unanswered, session.overflows
        stand = []
        if self._patterns is not None and answer.channel in (MESSAGES, METADATA):
            self._patterns.take(answer)
        else:
            stand = session.take(answer)
        if self._unanswered != before or stand:
            self._answered_at = self._received_at
        if session.overflows != overflows:
            self._overflowed()
        for key in stand:
            if listener := self._listeners.get(key):
                self._call(listener.subscribed)
        self._note_whether_all_stands()

    def _overflowed(self) -> None:
        if times := self._context.complaints.note(OVERFLOWED):
            logger.warning(
                "feed %d: RabbitMQ has dropped messages, because this gateway is late in reading, "
                "or may have done so unseen; topics ask the history (%d times since this was last "
                "logged)",
                self.number,
                times,
            )
        self._call_all(lambda each: each.dropped)

    def _hand_over(
        self, concerned: Iterable[tuple[str, Listener]], queue: str, message: Delivery
    ) -> None:
        try:
            headers = stomp_headers(message.properties)
        except MalformedFrame as error:
            for key, listener in concerned:
                self._leave_out(key, listener, MALFORMED, str(error))
            return
        id = ("message-id", f"{queue}@@{message.tag}")
        frame = Frame("MESSAGE", (id, *headers), message.body)
        for key, listener in concerned:
            try:
                listener.message(self.number, frame)
            except Exception as error:
                # Both feeds bring the message, on every node: it would end one session after the
                # other.
                self._leave_out(key, listener, FAILED, "a fault of the gateway", error)

    def _leave_out(
        self,
        key: str,
        listener: Listener,
        why: str,
        detail: str,
        fault: Exception | None = None,
    ) -> None:
        self._complain(key, why, detail, fault)
        self._call(listener.left_out)

    def _complain(self, key: str, why: str, detail: str, fault: Exception | None) -> None:
        if times := self._context.complaints.note(why):
            logger.log(
                logging.WARNING if fault is None else logging.ERROR,
                "feed %d leaves out a message of %s, %s: %s (%d since this was last logged)",
                self.number,
                key,
                why,
                detail,
                times,
                exc_info=fault,
            )

    def _call_all(self, method: Callable[[Listener], Callable[[int], None]]) -> None:
        for each in self._listeners.values():
            self._call(method(each))

    def _call_patterns(self, method: Callable[[PatternListener], Callable[[int], None]]) -> None:
        for pattern, listener in tuple(self._pattern_listeners.items()):
            # Meanwhile another one may have had it given up.
            if self._pattern_listeners.get(pattern) is listener:
                self._call(method(listener))

    def _call(self, method: Callable[[int], None]) -> None:
        try:
            method(self.number)
        except Exception as error:
            # One listener's fault must not keep the others from hearing what happens to their feed.
            self._tasks.failures.note(f"feed {self.number}: a listener", error)

    def _note_whether_all_stands(self) -> None:
        missing = 0 if self._patterns is None else self._patterns.missing
        if self._session is not None and self._session.stands and not missing:
            self._has_stood = True
            self.stood.set()
        else:
            self.stood.clear()

    def _request(self, request: Callable[[QueueSession], None]) -> None:
        """Ask the node for something. Without a session there is nobody to ask: the next one binds
        everything that is subscribed then."""
        session = self._session
        if session is None or session.connection.stream.closed():
            return
        now = self._sent_at = asyncio.get_running_loop().time()
        if not self._unanswered:
            self._answered_at = now
        request(session)
        self._note_whether_all_stands()

    def _request_of_patterns(self, request: Callable[[PatternSession], None]) -> None:
        if self._patterns is not None:
            patterns = self._patterns
            self._request(lambda _: request(patterns))

    @property
    def _unanswered(self) -> int:
        """The number of requests that wait for the node's answer."""
        of_topics = 0 if self._session is None else self._session.unanswered
        return of_topics + (0 if self._patterns is None else self._patterns.unanswered)


def _flow(listeners: Iterable[PatternListener]) -> bool:
    return all(each.flowing for each in listeners)


def _reason(error: Exception) -> str:
    if isinstance(error, StreamClosedError):
        return cause(error)
    return str(error)


def _has_unread(connection: Connection) -> bool:
    """Whether bytes, or the end of the connection, wait in the kernel: the node has spoken, and
    this process has not listened."""
    if connection.stream.closed():
        return False
    poller = select.poll()
    poller.register(connection.stream.socket, select.POLLIN)
    return bool(poller.poll(0))
