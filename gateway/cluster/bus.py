"""The bus: messages among the gateways of one cluster, over RabbitMQ, bounded in number and size.

Delivery is at most once and in any order. Nothing may depend on a message's arrival: important
facts are also polled from the database.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import uuid4

from broker.feeds.entrances import Ranges, pack, unpack
from broker.feeds.feeds import Feeds
from broker.protocol.amqp_deliveries import Delivery
from broker.protocol.stomp import Frame
from broker.publishing.publication import (
    ConfirmedPublisher,
    NotConfirmed,
    Publication,
    ScatteringPublisher,
)
from broker.timing.tasks import Tasks
from gateway.cluster.envelope import BadEnvelope, Envelope, Seal
from gateway.cluster.peers import BEAT, Peers
from gateway.errors import GatewayError

logger = logging.getLogger(__name__)

Handler = Callable[[str, Mapping[str, Any]], None]
Responder = Callable[[Mapping[str, Any]], Awaitable[Any] | Any]

#: The most messages that wait to be published, and that are on their way to the broker at once.
_WAITING: Final = 256
_ON_THE_WAY: Final = 4
#: Questions of other gateways that are answered at the same time.
_ANSWERING: Final = 32
#: Seconds for one message to reach the broker; much later it would be of no use.
_PUBLISH_WITHIN: Final = 2.0
#: Seconds for the last messages when the gateway stops.
_FAREWELL: Final = 1.0
#: Seconds since an own message came back, within which there is a path to the broker: more than one
#: beat.
HEARD: Final = 4.0
#: Seconds after which there is none. When RabbitMQ is lost for all gateways at once, each has
#: written that it hears nothing (every two seconds, read every two) before another one believes
#: that it alone does: a beat's time later.
SILENT: Final = HEARD + 2 * 2.0 + BEAT
#: Milliseconds for which the broker keeps a message that nobody takes.
_EXPIRES_MS: Final = 10_000


#: The possible outcomes of a message that came in.
OUTCOMES: Final = (
    "sent",
    "not_confirmed",
    "received",
    "repeated",
    "stale",
    "forged",
    "dropped",
)


class _Own(StrEnum):
    """The kinds of message that the bus itself understands; all others have handlers."""

    BEAT = "beat"
    HELLO = "hello"
    HERE = "here"
    BYE = "bye"
    ASK = "ask"
    ANSWER = "answer"
    FAULT = "fault"


class BusPublisher(ConfirmedPublisher, ScatteringPublisher, Protocol):
    """The publisher of the bus's messages."""


class Answers(dict[str, Any]):
    """Answers by gateway; ``missing`` has the reason for each gateway that gave none."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: dict[str, str] = {}


class _Question:
    """A question that waits for its answers."""

    def __init__(self, asked: Iterable[str]) -> None:
        self.waiting = set(asked)
        self.answers = Answers()
        self.complete = asyncio.Event()

    def settled(self, gateway: str) -> None:
        self.waiting.discard(gateway)
        if not self.waiting:
            self.complete.set()


class Bus:
    """This gateway's connection to the bus. Messages have a kind, and a JSON object as their
    payload.

    ``gateway`` is this gateway's name, which no other process has ever had. ``counts``: the number
    of messages by :data:`OUTCOMES`.
    """

    def __init__(
        self,
        gateway: str,
        *,
        key: str,
        seal: Seal,
        publisher: BusPublisher,
        feeds: Feeds,
        tasks: Tasks,
    ) -> None:
        self.gateway = gateway
        self._key = key
        self._seal = seal
        self._publisher = publisher
        self._feeds = feeds
        self.counts = Counter(dict.fromkeys(OUTCOMES, 0))
        self._peers = Peers()
        #: When an own message came back last, on the loop's clock.
        self._heard_itself = asyncio.get_running_loop().time()
        #: The entrances of the others' feeds, as each has said last.
        self._entrances: dict[str, tuple[list[str], Ranges]] = {}
        self._handlers: dict[str, list[Handler]] = {}
        self._on_arrival: list[Callable[[], None]] = []
        self._responders: dict[str, Responder] = {}
        self._questions: dict[str, _Question] = {}
        self._outgoing: asyncio.Queue[Publication] = asyncio.Queue(_WAITING)
        self._tasks = tasks
        self._answering = tasks.part()

    @property
    def others(self) -> frozenset[str]:
        """The names of the other gateways that are alive."""
        return self._peers.names

    @property
    def silent_for(self) -> float:
        """Seconds since this gateway has heard itself; it beats every :data:`BEAT` seconds."""
        return asyncio.get_running_loop().time() - self._heard_itself

    @property
    def hears(self) -> bool:
        """Whether the gateway hears itself: there is a path to the broker and back."""
        return self.silent_for <= HEARD

    @property
    def silent(self) -> bool:
        """Whether the gateway hears nothing any more, not even itself."""
        return self.silent_for > SILENT

    def start(self) -> None:
        self._feeds.subscribe(self._key, self)
        self._tasks.forever(self._beat, "bus: the beat")
        for _ in range(_ON_THE_WAY):
            self._tasks.forever(self._publish, "bus: publishing")

    async def close(self) -> None:
        """Say goodbye to the other gateways, if the broker takes it within a second."""
        self._send(_Own.BYE, {})
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._outgoing.join()
        except TimeoutError:
            logger.info(
                "the other gateways could not be told that this one stops; they notice within ten "
                "seconds"
            )
        self._feeds.unsubscribe(self._key)
        await self._answering.close()
        await self._tasks.close()

    # Sending

    def tell(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Send a message to all other gateways. Raises ValueError for one that is too large."""
        self._send(kind, payload)

    def urge(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Send as :meth:`tell` does, but ahead of the queue and through every node at once, past
        nodes that hang. This is expensive, so it is for messages that are useful only at once."""
        sealed = self._sealed(uuid4().hex, kind, payload)
        self._publisher.scatter(lambda _: sealed)
        self.counts["sent"] += 1

    def on(self, kind: str, handler: Handler) -> None:
        """Call ``handler(gateway, payload)`` on the event loop for each message of this kind."""
        self._handlers.setdefault(kind, []).append(handler)

    def on_arrival(self, handler: Callable[[], None]) -> None:
        """Call ``handler()`` when a gateway is heard that was not there."""
        self._on_arrival.append(handler)

    async def ask(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        within: float,
        whom: Collection[str] | None = None,
    ) -> Answers:
        """Ask the other gateways, or some of them, and return the answers that come ``within``
        seconds.

        Returns as soon as all have answered; raises the errors of :meth:`tell`.
        """
        others = self.others
        wanted = others if whom is None else set(whom)
        question = _Question(wanted & others)
        for gateway in wanted - others:
            question.answers.missing[gateway] = "no gateway of this name is up"
        if question.waiting:
            id = self._send(
                _Own.ASK, {"kind": kind, "payload": dict(payload), "whom": sorted(wanted)}
            )
            self._questions[id] = question
            try:
                async with asyncio.timeout(within):
                    await question.complete.wait()
            except TimeoutError:
                for gateway in question.waiting:
                    question.answers.missing[gateway] = f"no answer within {within:g} s"
            finally:
                del self._questions[id]
        return question.answers

    def answer(self, kind: str, responder: Responder) -> None:
        """Answer the other gateways' questions of this kind with the responder's result for the
        payload, which is JSON. A :class:`GatewayError` that it raises is sent as the answer."""
        self._responders[kind] = responder

    # The listener of the bus's key

    def subscribed(self, feed: int) -> None:
        """Say hello: a new gateway then need not wait for the next beat to know the others and be
        known."""
        logger.debug("feed %d is subscribed to the bus (%s)", feed, self._key)
        self._send(_Own.HELLO, self._about_feeds())

    def message(self, feed: int, message: Frame) -> None:
        try:
            envelope = self._seal.open(message.body)
        except BadEnvelope as error:
            self.counts[error.why] += 1
            # All are counted; this line tells where to search.
            if error.why != "repeated" and self.counts[error.why] == 1:
                logger.warning(
                    "dropped a message on the bus: it is %s (routing key %s, brought by feed %d)",
                    error.why,
                    self._key,
                    feed,
                )
            return
        if envelope.sender == self.gateway:
            self._heard_itself = asyncio.get_running_loop().time()
            if envelope.kind == _Own.BEAT:
                for gateway in self._peers.beat():
                    logger.warning(
                        "gateway %s is down: it has not been heard for ten seconds", gateway
                    )
                    # If its node died with it, its queues are still bound there. If it lives and
                    # was not heard, it notices.
                    if (left := self._entrances.pop(gateway, None)) is not None:
                        self._feeds.sweep(unpack(*left))
            return
        if self._peers.parted(envelope.sender):
            self.counts["stale"] += 1
            return
        if self._peers.heard(envelope.sender):
            logger.info("gateway %s is up", envelope.sender)
            for handler in self._on_arrival:
                handler()
        self.counts["received"] += 1
        self._take(envelope)

    def knows(self, message: Delivery) -> bool:
        """Nothing: an envelope tells by itself whether it is repeated."""
        return False

    def left_out(self, feed: int) -> None:
        """Nothing to do: no gateway sends messages of that size or form."""

    def dropped(self, feed: int) -> None:
        """Nothing to do: nothing depends on the arrival of a message."""

    def lost(self, feed: int) -> None:
        """Nothing to do: the other feed carries on, and a gateway that hears nothing draws no
        conclusions."""

    def _take(self, envelope: Envelope) -> None:
        match envelope.kind:
            case _Own.BYE:
                self._peers.left(envelope.sender)
                self._entrances.pop(envelope.sender, None)
                logger.info("gateway %s has stopped", envelope.sender)
            case _Own.HELLO:
                self._note_feeds(envelope)
                self._send(_Own.HERE, self._about_feeds())
            case _Own.HERE | _Own.BEAT:
                self._note_feeds(envelope)
            case _Own.ASK:
                self._asked(envelope)
            case _Own.ANSWER | _Own.FAULT:
                self._answered(envelope)
            case kind:
                for handler in self._handlers.get(kind, ()):
                    self._handle(handler, envelope)

    def _about_feeds(self) -> dict[str, Any]:
        plain, numbered = pack(self._feeds.entrances)
        return {"entrances": plain, "numbered_entrances": numbered}

    def _note_feeds(self, envelope: Envelope) -> None:
        # A gateway of an earlier version says nothing of one or both.
        said = envelope.payload
        self._entrances[envelope.sender] = (
            said.get("entrances", []),
            said.get("numbered_entrances", {}),
        )

    def _handle(self, handler: Handler, envelope: Envelope) -> None:
        try:
            handler(envelope.sender, envelope.payload)
        except Exception as error:
            # A fault of the handler must not cost everybody the feed that brought the message.
            self._tasks.failures.note(f"bus: a message {envelope.kind!r}", error)

    def _asked(self, envelope: Envelope) -> None:
        question = envelope.payload
        responder = self._responders.get(question["kind"])
        if self.gateway not in question["whom"] or responder is None:
            return
        if len(self._answering) >= _ANSWERING:
            self.counts["dropped"] += 1
            return
        self._answering.spawn(self._respond(responder, envelope), "bus: answering")

    async def _respond(self, responder: Responder, envelope: Envelope) -> None:
        try:
            given = responder(envelope.payload["payload"])
            if inspect.isawaitable(given):
                given = await given
            self._send(_Own.ANSWER, {"is": given}, to=envelope)
        except GatewayError as error:
            self._send(_Own.FAULT, {"is": error.detail}, to=envelope)
        except Exception as error:
            self._tasks.failures.note(f"bus: a question {envelope.payload['kind']!r}", error)
            self._send(_Own.FAULT, {"is": "the gateway failed; see its log"}, to=envelope)

    def _answered(self, envelope: Envelope) -> None:
        question = self._questions.get(envelope.reply_to or "")
        if question is None or envelope.sender not in question.waiting:
            return
        found = envelope.payload["is"]
        if envelope.kind == _Own.ANSWER:
            question.answers[envelope.sender] = found
        else:
            question.answers.missing[envelope.sender] = found
        question.settled(envelope.sender)

    # Publishing

    def _send(self, kind: str, payload: Mapping[str, Any], *, to: Envelope | None = None) -> str:
        id = uuid4().hex
        publication = self._sealed(id, kind, payload, to=to)
        try:
            self._outgoing.put_nowait(publication)
        except asyncio.QueueFull:
            self.counts["dropped"] += 1
        return id

    def _sealed(
        self, id: str, kind: str, payload: Mapping[str, Any], *, to: Envelope | None = None
    ) -> Publication:
        envelope = Envelope(id, self.gateway, kind, dict(payload), to.id if to else None)
        return Publication(
            self._key,
            self._seal.close(envelope),
            message_id=id,
            persistent=False,
            expiration_ms=_EXPIRES_MS,
            content_type="text/plain",
        )

    async def _beat(self) -> None:
        while True:
            self._send(_Own.BEAT, self._about_feeds())
            await asyncio.sleep(BEAT)

    async def _publish(self) -> None:
        while True:
            publication = await self._outgoing.get()
            try:
                await self._publisher.publish(publication, _PUBLISH_WITHIN)
                self.counts["sent"] += 1
            except NotConfirmed:
                # Also where no gateway has a feed. Whatever the message was, later ones make up for
                # it.
                self.counts["not_confirmed"] += 1
            finally:
                self._outgoing.task_done()
