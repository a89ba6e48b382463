"""A set of topic subscriptions kept alive on one node after the other.

The subscription is ``/exchange/amq.topic/<key>``: an exclusive queue of the connection's own, gone
with it. What was published while no feed stood is not made up here: whoever listens is told when a
subscription stands and when everything is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from itertools import count
from random import Random
from typing import Final, Protocol

from tornado.iostream import StreamClosedError

from broker.backoff import BackOff
from broker.balancer import Lease, NoNodeAvailable
from broker.node import Node
from broker.pulse import STILL, Pulse
from broker.stomp import (
    SERVER_COMMANDS,
    Frame,
    FrameParser,
    HeartBeat,
    Limits,
    StompError,
    serialise,
)
from broker.tasks import Tasks
from broker.ticker import Ticker
from broker.topology import EXCHANGE
from broker.unread import has_unread
from broker.upstream import DialError, Upstream
from broker.wsframes import Data, MessageReader, Ping, WebSocketError

logger = logging.getLogger(__name__)

_READ_BYTES: Final = 262_144
_BACK_OFF: Final = BackOff(first=0.05, longest=2.0)

#: Milliseconds: what is sent and what is wanted. RabbitMQ beats at half of it, so that a node that
#: hangs is replaced within three seconds.
HEART_BEAT: Final = (2_000, 1_000)
#: Seconds in which RabbitMQ answers at least one of the SUBSCRIBEs that wait.
_ANSWER_WITHIN: Final = 10.0
#: A session that was shorter, in seconds, has not worked.
_SHORTEST_SESSION: Final = 5.0


class Listener(Protocol):
    """Who is told, from the event loop, what happens to the feed of a number."""

    def standing(self, feed: int, key: str) -> None:
        """Whatever is published with this key from now on arrives."""

    def arrived(self, feed: int, key: str, message: Frame) -> None: ...

    def lost(self, feed: int) -> None:
        """Nothing stands any more; the feed is looking for another node."""


#: Is told the name of a node that the feed is on now, or why it has lost it.
Witness = Callable[[str, str | None], None]


class FeedBroken(Exception):
    """Why a session with a node ended."""


class Feed:
    """``acquire`` finds a node, other than those that the other feeds are on; ``session`` logs in
    there. ``frame_bytes`` bounds a message. ``listener`` works with what comes, ``witness`` tells
    people what becomes of the feed."""

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
        rng: Random,
        tasks: Tasks,
    ) -> None:
        self.number = number
        #: The name of the node that it is on.
        self.node: str | None = None
        self._acquire = acquire
        self._session = session
        self._listener = listener
        self._witness = witness
        self._ticker = ticker
        self._pulse = STILL
        self.due = 0.0
        self._frame_bytes = frame_bytes
        self._rng = rng
        self._ids: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._numbers = count(1)
        self._upstream: Upstream | None = None
        self._received_at = self._sent_at = self._answered_at = 0.0
        self._unanswered: set[str] = set()
        self._frames = self._parser()
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
    def leaving(self) -> bool:
        """Whether it is on a node that is to be left."""
        return self._lease is not None and self._lease.leaving

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
            self._send("UNSUBSCRIBE", ("id", id))

    async def _run(self) -> None:
        failures = 0
        while True:
            # Also after an error that nobody foresaw, or its node would be taken for the other's.
            self.node = None
            try:
                lease = self._acquire()
            except NoNodeAvailable as error:
                logger.debug("feed %d: %s", self.number, error)
            else:
                with lease:
                    failures = 0 if await self._serve(lease) else failures
            failures += 1
            await asyncio.sleep(_BACK_OFF.delay(failures) * self._rng.uniform(0.5, 1.0))

    async def _serve(self, lease: Lease) -> bool:
        """One session, from dial to loss; whether it has worked."""
        self.node = lease.node.name
        try:
            upstream = await self._session(lease.node)
        except DialError as error:
            lease.failed(error.what)
            logger.warning("feed %d: %s", self.number, error)
            self.node = None
            return False
        lease.up()
        self._lease = lease
        logger.info("feed %d is on %s", self.number, self.node)
        self._witness(lease.node.name, None)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await self._read(upstream)
        except (StreamClosedError, FeedBroken, WebSocketError) as error:
            logger.warning("feed %d lost %s: %s", self.number, self.node, error)
            self._witness(lease.node.name, str(error) or "the connection broke off")
        except Exception:
            # A message that nobody can handle must not end the feed for ever.
            logger.exception("feed %d gives up its session", self.number)
            self._witness(lease.node.name, "a message could not be handled; see the log")
        finally:
            self._upstream = self._lease = self.node = None
            self.stood.clear()
            upstream.close()
            self._listener.lost(self.number)
        return loop.time() - began >= _SHORTEST_SESSION

    async def _read(self, upstream: Upstream) -> None:
        loop = asyncio.get_running_loop()
        self._upstream = upstream
        self._received_at = self._sent_at = loop.time()
        self._unanswered.clear()
        sends, hears = upstream.heart_beat
        self._pulse = Pulse(outgoing=sends / 1000, incoming=hears / 1000)
        self.due = 0.0
        self._ticker.add(self)
        messages = MessageReader(self._frame_bytes, masked=False)
        self._frames = self._parser()
        try:
            for key in self._ids:
                self._send_subscribe(key)
            self._tell_if_all_stands()
            data = upstream.leftover
            while True:
                for event in messages.feed(data):
                    if isinstance(event, Data):
                        self._parse(event.payload)
                    elif isinstance(event, Ping):
                        upstream.pong(event.payload)
                # A read that finds something does not yield by itself: a flood would keep the loop
                # from everything else, the fan-out of what was read included.
                await asyncio.sleep(0)
                late = self._unanswered and loop.time() - self._answered_at > _ANSWER_WITHIN
                if late and not _has_unread(upstream):
                    raise FeedBroken("it beats, but answers no SUBSCRIBE")
                reading = upstream.stream.read_bytes(_READ_BYTES, partial=True)
                self._reading = asyncio.ensure_future(reading)
                data = await self._reading
                self._received_at = loop.time()
        finally:
            self._ticker.remove(self)

    def check(self, now: float) -> None:
        """What the ticker calls: the heart-beats with the node."""
        if self._upstream is not None and now >= self._pulse.lost_at(self._received_at):
            if self._is_silent(self._upstream):
                self._upstream.stream.close()
                return
            self._received_at = now
        if now >= self._pulse.beat_at(self._sent_at):
            self._write(b"\n")
        self.due = min(self._pulse.beat_at(self._sent_at), self._pulse.lost_at(self._received_at))

    def _is_silent(self, upstream: Upstream) -> bool:
        """Not so while what has come waits for this busy process to read it."""
        read = self._reading is not None and self._reading.done()
        return not read and not _has_unread(upstream)

    def _parse(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                if not isinstance(frame, HeartBeat):
                    self._take(frame)
        except StompError as error:
            # RabbitMQ puts one frame in a message, and a producer's headers in it as they came,
            # bytes that are no text included. That must not cost all others their feeds.
            logger.warning("feed %d leaves out a message: %s", self.number, error)
            self._frames = self._parser()

    def _parser(self) -> FrameParser:
        # A producer with many headers is no reason to end the session either.
        limits = Limits(self._frame_bytes, header_bytes=self._frame_bytes, header_count=10_000)
        return FrameParser(limits, SERVER_COMMANDS)

    def _take(self, frame: Frame) -> None:
        match frame.command:
            case "MESSAGE":
                key = self._keys.get(frame.get("subscription") or "")
                # What was on its way when its key was given up has no taker.
                if key is not None:
                    self._listener.arrived(self.number, key, frame)
            case "RECEIPT":
                id = frame.get("receipt-id") or ""
                self._unanswered.discard(id)
                self._answered_at = self._received_at
                key = self._keys.get(id)
                if key is not None:
                    self._listener.standing(self.number, key)
                self._tell_if_all_stands()
            case _:
                raise FeedBroken(f"{frame.command}: {frame.get('message')}")

    def _tell_if_all_stands(self) -> None:
        if self._unanswered:
            self.stood.clear()
        else:
            self.stood.set()

    def _send_subscribe(self, key: str) -> None:
        id = self._ids[key]
        if not self._unanswered:
            self._answered_at = asyncio.get_running_loop().time()
        self._unanswered.add(id)
        destination = f"/exchange/{EXCHANGE}/{key}"
        self._send("SUBSCRIBE", ("id", id), ("destination", destination), ("receipt", id))

    def _send(self, command: str, *headers: tuple[str, str]) -> None:
        self._write(serialise(command, headers))

    def _write(self, data: bytes) -> None:
        """A connection that is lost swallows it: everything is subscribed anew on the next."""
        if self._upstream is not None and not self._upstream.stream.closed():
            self._sent_at = asyncio.get_running_loop().time()
            self._upstream.send(data)


def _has_unread(upstream: Upstream) -> bool:
    return not upstream.stream.closed() and has_unread(upstream.stream.socket)
