"""A set of topic subscriptions kept alive on one node after the other.

The subscription is ``/exchange/amq.topic/<key>``: an exclusive queue of the connection's own, gone
with it. What was published while no feed stood is not made up here: the listener is told when a
subscription stands, when nothing can be said of any of them, and when everything is lost.

Web-STOMP beats no heart and delivers nothing while RabbitMQ works on a SUBSCRIBE or UNSUBSCRIBE,
which takes as long as its metadata are locked: seconds to minutes on a cluster under load. A
session that is given up then leaves queues that RabbitMQ has to delete, which makes the next one
slower still. So silence is judged by whether an answer is outstanding.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection
from itertools import count
from random import Random
from typing import Final, Protocol

from tornado.iostream import StreamClosedError

from broker.nodes.balancer import Lease, NoNodeAvailable
from broker.nodes.node import Node
from broker.protocol.heartbeat import STILL, Pulse
from broker.protocol.stomp import Frame, serialise
from broker.protocol.unframing import MALFORMED, TOO_LARGE, LeftOut, Unframing
from broker.protocol.websocket import Data, PieceReader, Ping, WebSocketError
from broker.timing.complaints import Complaints
from broker.timing.tasks import Tasks
from broker.timing.ticker import RESOLUTION, Ticker
from broker.topology import EXCHANGE
from broker.webstomp.pauses import Outcome, Pauses
from broker.webstomp.session import DialError, Upstream
from broker.webstomp.unread import has_unread

logger = logging.getLogger(__name__)

_READ_BYTES: Final = 262_144

#: Milliseconds: what is sent and what is wanted. RabbitMQ beats at half of what is wanted, so that
#: a node that hangs is replaced within three seconds. It reads nothing while it works on a
#: SUBSCRIBE, so that it must expect little of us: at twice the interval we would be dead.
HEART_BEAT: Final = (30_000, 1_000)
#: Seconds within which RabbitMQ answers at least one of the requests that wait, if only slowly.
_ANSWER_WITHIN: Final = 60.0
#: Seconds without an answer after which a request is said to take long.
_LONG: Final = 5.0
#: A session that was shorter, in seconds, has not worked.
_SHORTEST_SESSION: Final = 5.0

#: A message that the listener could not handle.
FAILED: Final = "failed"
#: Why messages are left out.
LEFT_OUT: Final = (TOO_LARGE, MALFORMED, FAILED)


class Listener(Protocol):
    """What is told, from the event loop, of what happens to the feed of a number."""

    def standing(self, feed: int, key: str) -> None:
        """Whatever is published with this key from now on arrives."""

    def arrived(self, feed: int, key: str, message: Frame) -> None: ...

    def left_out(self, feed: int, key: str) -> None:
        """A message with this key has come that cannot be given to anybody."""

    def stalled(self, feed: int) -> None:
        """Nothing comes for the moment. What stands will bring everything, but nobody knows when:
        :meth:`resumed` or :meth:`lost` follows."""

    def resumed(self, feed: int) -> None:
        """What was published meanwhile arrives now."""

    def lost(self, feed: int) -> None:
        """Nothing stands any more; the feed is looking for another node."""


#: Is told the name of a node that the feed is on now, or why it has lost it.
Witness = Callable[[str, str | None], None]


class FeedBroken(Exception):
    """Why a session with a node ended."""


class Feed:
    """``acquire`` finds a node, other than those that the other feeds are on; ``session`` logs in
    there. ``frame_bytes`` bounds a message; ``complaints``, which all feeds share, know those of
    :data:`LEFT_OUT`. ``listener`` works with what comes, ``witness`` tells people what becomes of
    the feed."""

    def __init__(  # noqa: PLR0913 - what it works with, each by its name
        self,
        number: int,
        *,
        acquire: Callable[[], Lease],
        session: Callable[[Node], Awaitable[Upstream]],
        listener: Listener,
        witness: Witness,
        ticker: Ticker,
        frame_bytes: int,
        complaints: Complaints,
        rng: Random,
        tasks: Tasks,
    ) -> None:
        self.number = number
        #: The name of the node that it is on.
        self.node: str | None = None
        self._acquire = acquire
        #: Why it is on no node; None: there is none that lacks a feed.
        self._unplaced: str | None = "has no node"
        self._session = session
        self._listener = listener
        self._witness = witness
        self._ticker = ticker
        self._pulse = STILL
        self.due = 0.0
        self._frame_bytes = frame_bytes
        self._complaints = complaints
        self._rng = rng
        self._ids: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._numbers = count(1)
        self._upstream: Upstream | None = None
        self._received_at = self._sent_at = self._answered_at = 0.0
        #: The ids of subscriptions that do not stand yet.
        self._unanswered: set[str] = set()
        #: The receipts that are due, also of what was given up since.
        self._awaited: set[str] = set()
        self._stalled = False
        #: Whether everything has stood at once in this session.
        self._has_stood = False
        self._given_up: str | None = None
        #: Set while everything that is subscribed stands.
        self.stood = asyncio.Event()
        self._lease: Lease | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._tasks = tasks

    def start(self) -> None:
        self._tasks.forever(self._run, f"feed {self.number}", needed="topics")

    async def close(self) -> None:
        await self._tasks.close()

    @property
    def keys(self) -> Collection[str]:
        """What is subscribed."""
        return tuple(self._ids)

    @property
    def standing(self) -> int:
        """How many of the keys stand now."""
        return 0 if self._upstream is None else len(self._ids) - len(self._unanswered)

    @property
    def leaving(self) -> bool:
        """Whether it is on a node that is to be left."""
        return self._lease is not None and self._lease.leaving

    @property
    def problem(self) -> str | None:
        """Why it does not bring everything now, for people; None: it does."""
        if self._upstream is None:
            return f"not connected, dialling {self.node}" if self.node else self._unplaced
        if self._stalled:
            return f"{self.node} brings nothing while it works on {len(self._awaited)} requests"
        silent_for = asyncio.get_running_loop().time() - self._answered_at
        if self._unanswered and silent_for > _LONG:
            return f"{len(self._unanswered)} of {len(self._ids)} topics wait for {self.node}"
        return None

    def subscribe(self, key: str) -> None:
        """Keep this key subscribed, from now on and on every node to come."""
        if key not in self._ids:
            # Never the same id twice: RabbitMQ closes the connection for a second SUBSCRIBE of it.
            self._ids[key] = id = str(next(self._numbers))
            self._keys[id] = key
            self._send_subscribe(key)

    def unsubscribe(self, key: str) -> None:
        id = self._ids.pop(key, None)
        if id is not None:
            del self._keys[id]
            self._unanswered.discard(id)
            # Deleting the queue may take as long as making it.
            self._request("UNSUBSCRIBE", f"-{id}", ("id", id))
            self._tell_if_all_stands()

    async def _run(self) -> None:
        pauses = Pauses(self._rng)
        while True:
            outcome = await self._attempt()
            await asyncio.sleep(pauses.after(outcome))

    async def _attempt(self) -> Outcome:
        try:
            lease = self._acquire()
        except NoNodeAvailable as error:
            logger.debug("feed %d: %s", self.number, error)
            # Where each node has a feed there is nothing for a further one to do.
            self._unplaced = None if error.only_excluded else f"has no node ({error})"
            return Outcome.NOT_REACHED
        with lease:
            return await self._serve(lease)

    async def _serve(self, lease: Lease) -> Outcome:
        """One session, from dial to loss."""
        self.node = lease.node.name
        try:
            upstream = await self._session(lease.node)
        except DialError as error:
            lease.failed(error.what)
            logger.warning("feed %d: %s", self.number, error)
            return Outcome.NOT_REACHED
        else:
            lease.up()
            self._lease = lease
            return await self._use(upstream, lease.node.name)
        finally:
            # Also after an error that nobody foresaw, or its node would be taken for the other's.
            self._lease = self.node = None

    async def _use(self, upstream: Upstream, node: str) -> Outcome:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            logger.info("feed %d is on %s", self.number, node)
            self._witness(node, None)
            await self._read(upstream)
        except (StreamClosedError, FeedBroken, WebSocketError) as error:
            why = self._given_up or str(error) or "the connection broke off"
            logger.warning("feed %d lost %s: %s", self.number, node, why)
            self._witness(node, why)
        except Exception:
            logger.exception("feed %d gives up its session", self.number)
            self._witness(node, "the gateway failed; see the log")
        finally:
            self._upstream = None
            self._stalled = False
            self.stood.clear()
            upstream.close()
            self._listener.lost(self.number)
        worked = self._has_stood and loop.time() - began >= _SHORTEST_SESSION
        return Outcome.STOOD if worked else Outcome.FELL

    async def _read(self, upstream: Upstream) -> None:
        loop = asyncio.get_running_loop()
        self._upstream = upstream
        self._received_at = self._sent_at = self._answered_at = loop.time()
        self._unanswered.clear()
        self._awaited.clear()
        self._has_stood = False
        self._given_up = None
        sends, hears = upstream.heart_beat
        self._pulse = Pulse(outgoing=sends / 1000, incoming=hears / 1000)
        self.due = 0.0
        self._ticker.add(self)
        messages, frames = PieceReader(), Unframing(self._frame_bytes)
        try:
            for key in self._ids:
                self._send_subscribe(key)
            self._tell_if_all_stands()
            data = upstream.leftover
            while True:
                for event in messages.feed(data):
                    if isinstance(event, Data):
                        self._take(frames.feed(event))
                    elif isinstance(event, Ping):
                        upstream.pong(event.payload)
                # A read that finds something does not yield by itself: a flood would keep the loop
                # from everything else, the fan-out of what was read included.
                await asyncio.sleep(0)
                reading = upstream.stream.read_bytes(_READ_BYTES, partial=True)
                self._reading = asyncio.ensure_future(reading)
                data = await self._reading
                self._received_at = loop.time()
                if self._stalled:
                    self._stalled = False
                    self._listener.resumed(self.number)
        finally:
            self._ticker.remove(self)

    def check(self, now: float) -> None:
        """What the ticker calls: the heart-beats with the node, and the answers that are due."""
        upstream = self._upstream
        if upstream is None:
            return
        silent = now >= self._pulse.lost_at(self._received_at)
        late = bool(self._awaited) and now - self._answered_at > _ANSWER_WITHIN
        if (silent or late) and not self._is_silent(upstream):
            self._received_at = now
        elif reason := self._reason_to_leave(silent, late):
            self._given_up = reason
            upstream.stream.close()
            return
        elif silent and not self._stalled:
            self._stalled = True
            logger.info(
                "feed %d: %s brings nothing while it works on %d requests",
                self.number,
                self.node,
                len(self._awaited),
            )
            self._listener.stalled(self.number)
        if now >= self._pulse.beat_at(self._sent_at):
            self._write(b"\n")
        self.due = min(self._pulse.beat_at(self._sent_at), self._next_look(now))

    def _reason_to_leave(self, silent: bool, late: bool) -> str | None:
        if late:
            return f"no answer to a request within {_ANSWER_WITHIN:g} s"
        if silent and not self._awaited:
            return "silent, though nothing was asked of it"
        if silent and self._lease is not None and not self._lease.answers:
            return "silent, and it answers no login either"
        return None

    def _next_look(self, now: float) -> float:
        lost_at = self._pulse.lost_at(self._received_at)
        if self._stalled or lost_at <= now:
            # The node may turn out to hang, too.
            return now + RESOLUTION
        answer_by = self._answered_at + _ANSWER_WITHIN if self._awaited else math.inf
        return min(lost_at, max(answer_by, now + RESOLUTION))

    def _is_silent(self, upstream: Upstream) -> bool:
        """Not so while what has come waits for this busy process to read it."""
        read = self._reading is not None and self._reading.done()
        return not read and not _has_unread(upstream)

    def _take(self, found: Frame | LeftOut | None) -> None:
        match found:
            case None:
                pass
            case LeftOut(subscription, why, detail):
                if subscription is None:
                    raise FeedBroken(f"not understood: {detail}")
                self._leave_out(self._keys.get(subscription), why, detail)
            case Frame("MESSAGE"):
                # What was on its way when its key was given up has no taker.
                key = self._keys.get(found.get("subscription") or "")
                if key is not None:
                    self._hand_over(key, found)
            case Frame("RECEIPT"):
                self._take_receipt(found.get("receipt-id") or "")
            case _:
                raise FeedBroken(f"{found.command}: {found.get('message')}")

    def _hand_over(self, key: str, message: Frame) -> None:
        try:
            self._listener.arrived(self.number, key, message)
        except Exception as error:
            # Both feeds bring it, on every node: it would end one session after the other.
            self._leave_out(key, FAILED, "a fault of the gateway", error)

    def _leave_out(
        self, key: str | None, why: str, detail: str, fault: Exception | None = None
    ) -> None:
        if count := self._complaints.note(why):
            logger.log(
                logging.WARNING if fault is None else logging.ERROR,
                "feed %d leaves out a message of %s, %s: %s (%d since this was last said)",
                self.number,
                key,
                why,
                detail,
                count,
                exc_info=fault,
            )
        if key is not None:
            self._listener.left_out(self.number, key)

    def _take_receipt(self, receipt: str) -> None:
        self._awaited.discard(receipt)
        self._unanswered.discard(receipt)
        self._answered_at = self._received_at
        key = self._keys.get(receipt)
        if key is not None:
            self._listener.standing(self.number, key)
        self._tell_if_all_stands()

    def _tell_if_all_stands(self) -> None:
        if self._unanswered or self._upstream is None:
            self.stood.clear()
        else:
            self._has_stood = True
            self.stood.set()

    def _send_subscribe(self, key: str) -> None:
        id = self._ids[key]
        if self._upstream is not None:
            self._unanswered.add(id)
            self.stood.clear()
        destination = f"/exchange/{EXCHANGE}/{key}"
        self._request("SUBSCRIBE", id, ("id", id), ("destination", destination))

    def _request(self, command: str, receipt: str, *headers: tuple[str, str]) -> None:
        """What is lost with the connection: everything is subscribed anew on the next."""
        if self._upstream is None:
            return
        if not self._awaited:
            self._answered_at = asyncio.get_running_loop().time()
        self._awaited.add(receipt)
        self._write(serialise(command, (*headers, ("receipt", receipt))))

    def _write(self, data: bytes) -> None:
        if self._upstream is not None and not self._upstream.stream.closed():
            self._sent_at = asyncio.get_running_loop().time()
            self._upstream.send(data)


def _has_unread(upstream: Upstream) -> bool:
    return not upstream.stream.closed() and has_unread(upstream.stream.socket)
