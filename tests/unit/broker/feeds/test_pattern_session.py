"""Patterns of one connection: a queue each, and a refusal that costs nobody else anything."""

from collections import deque
from typing import Any, cast

import pytest
from pamqp import commands, frame

from broker.feeds.connection import Connection, NodeClosed
from broker.feeds.listener import Pattern
from broker.feeds.pattern_session import MESSAGES, METADATA, PatternSession
from broker.protocol.amqp_deliveries import Delivery, DeliveryReader, Received
from broker.protocol.amqp_methods import AmqpError, encode

NEWS = Pattern("amq.topic", "news.#")
OWN = Pattern("own", "k")


class Node:
    """A node that answers what it is asked; `types` are the exchanges that it has."""

    def __init__(self, **types: str) -> None:
        self.types = {"amq.topic": "topic", **types}
        self.answers = True
        self.asked: list[str] = []
        self.bound: list[tuple[str, str]] = []
        self.deleted: list[str] = []
        self.acknowledged: list[int] = []
        self.channel = True
        self.out: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        while data:
            consumed, channel, method = frame.unmarshal(data)
            data = data[consumed:]
            self.asked.append(method.name)
            # RabbitMQ leaves unread what follows on a channel that it has closed.
            if self.channel or channel != METADATA or method.name == "Channel.CloseOk":
                self._take(channel, method)

    def request(self, channel: int, method: Any, **values: Any) -> None:
        self.send(encode(channel, method, **values))

    def _take(self, channel: int, method: Any) -> None:  # noqa: C901, PLR0912 - a case for each method
        match method:
            case commands.Channel.Open():
                self._say(commands.Channel.OpenOk(), channel)
            case commands.Channel.CloseOk():
                self.channel = True
            case commands.Basic.Qos():
                self._say(commands.Basic.QosOk(), channel)
            case commands.Exchange.Declare() if "alternate-exchange" in (method.arguments or {}):
                kind = self.types.get(method.exchange)
                if kind is None:
                    self._refuse("PRECONDITION_FAILED - invalid type 'long' for arg")
                elif kind == method.exchange_type:
                    self._refuse("PRECONDITION_FAILED - inequivalent arg 'durable'")
                else:
                    self._refuse(
                        f"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'own' in vhost"
                        f" '/': received 'headers' but current is '{kind}'"
                    )
            case commands.Exchange.Declare():
                self._say(commands.Exchange.DeclareOk(), channel)
            case commands.Queue.Declare():
                assert method.exclusive
                self._say(commands.Queue.DeclareOk(method.queue, 0, 0), channel)
            case commands.Queue.Bind():
                self._say(commands.Queue.BindOk(), channel)
            case commands.Exchange.Bind() if method.source not in self.types:
                self._refuse(f"NOT_FOUND - no exchange '{method.source}' in vhost '/'")
            case commands.Exchange.Bind():
                self.bound.append((method.source, method.routing_key))
                self._say(commands.Exchange.BindOk(), channel)
            case commands.Queue.Delete():
                self.deleted.append(method.queue)
                self._say(commands.Queue.DeleteOk(0), channel)
            case commands.Exchange.Delete():
                self._say(commands.Exchange.DeleteOk(), channel)
            case commands.Basic.Consume():
                assert not method.no_ack
                self._say(commands.Basic.ConsumeOk(method.consumer_tag), channel)
            case commands.Basic.Ack():
                assert method.multiple
                self.acknowledged.append(method.delivery_tag)

    def _refuse(self, text: str) -> None:
        self.channel = False
        self._say(commands.Channel.Close(406, text, 40, 10), METADATA)

    def _say(self, method: Any, channel: int) -> None:
        if self.answers:
            self.out.append(frame.marshal(method, channel))


class Told:
    """What a session's patterns have come to."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Pattern]] = []
        self.why = ""

    def pattern_stands(self, pattern: Pattern) -> None:
        self.events.append(("stands", pattern))

    def pattern_refused(self, pattern: Pattern, why: str) -> None:
        self.events.append(("refused", pattern))
        self.why = why

    def pattern_lost(self, pattern: Pattern) -> None:
        self.events.append(("lost", pattern))


class Scene:
    def __init__(self, **types: str) -> None:
        self.node, self.told = Node(**types), Told()
        self.session = PatternSession(cast("Connection", self.node), "q", self.told)
        self.reader = DeliveryReader(frame_max=4096, message_bytes=4096)

    def play(self) -> None:
        while self.node.out:
            for event in self.reader.feed(self.node.out.popleft()):
                assert isinstance(event, Received)
                self.session.take(event)

    def want(self, pattern: Pattern) -> None:
        self.session.want(pattern)
        self.play()

    def say(self, method: Any, channel: int) -> None:
        self.node.out.append(frame.marshal(method, channel))
        self.play()


def delivery(queue: str, tag: int) -> Delivery:
    envelope = commands.Basic.Deliver(queue, tag, False, "amq.topic", "news.1").marshal()
    return Delivery("news.1", tag, b"\0\0", b"", MESSAGES, envelope)


def test_a_pattern_gets_a_queue_that_is_consumed_and_bound() -> None:
    scene = Scene()
    scene.session.want(NEWS)
    assert (scene.session.unanswered, scene.session.missing) == (2, 1)
    scene.play()
    assert scene.told.events == [("stands", NEWS)]
    assert scene.node.bound == [NEWS]
    assert (scene.session.unanswered, scene.session.missing) == (0, 0)
    assert scene.session.entrances == ["q.1"]
    assert scene.session.pattern_of(delivery("q.1", 1)) == NEWS


@pytest.mark.parametrize("kind", ["topic", "direct", "fanout"])
def test_another_exchange_is_asked_for_its_type_once(kind: str) -> None:
    scene = Scene(own=kind)
    scene.want(OWN)
    scene.want(Pattern("own", "other"))
    assert scene.told.events == [("stands", OWN), ("stands", Pattern("own", "other"))]
    # Nothing but the question, and both queues' own exchanges.
    assert scene.node.asked.count("Exchange.Declare") == 3


@pytest.mark.parametrize(
    ("types", "why"),
    [
        ({"own": "headers"}, "of the type headers"),
        ({"own": "x-random"}, "of the type x-random"),
        ({}, "invalid type"),
    ],
)
def test_what_cannot_be_shared_is_refused_and_the_others_go_on(
    types: dict[str, str], why: str
) -> None:
    scene = Scene(**types)
    scene.session.want(OWN)
    scene.want(NEWS)
    assert scene.told.events == [("refused", OWN), ("stands", NEWS)]
    assert why in scene.told.why
    assert scene.node.deleted == ["q.1"]


def test_a_confirmation_binds_again() -> None:
    scene = Scene()
    scene.want(NEWS)
    scene.session.confirm(NEWS)
    scene.session.confirm(NEWS)
    scene.play()
    # The second wish came while the first was under way, and has an answer of its own.
    assert scene.told.events == [("stands", NEWS)] * 3


def test_an_exchange_that_has_gone_is_told_and_what_was_refused_can_come_later() -> None:
    scene = Scene(own="topic")
    scene.want(OWN)
    del scene.node.types["own"]
    scene.session.confirm(OWN)
    scene.play()
    assert scene.told.events == [("stands", OWN), ("refused", OWN)]
    assert "NOT_FOUND" in scene.told.why
    scene.node.types["own"] = "topic"
    scene.session.confirm(OWN)
    scene.play()
    assert scene.told.events[-1] == ("stands", OWN)


def test_an_exchange_that_was_made_anew_is_asked_for_its_type_again() -> None:
    scene = Scene(own="topic")
    scene.want(OWN)
    del scene.node.types["own"]
    scene.session.confirm(OWN)
    scene.play()
    scene.node.types["own"] = "x-consistent-hash"
    scene.session.confirm(OWN)
    scene.want(Pattern("own", "other"))
    assert scene.told.events == [
        ("stands", OWN),
        ("refused", OWN),
        ("refused", OWN),
        ("refused", Pattern("own", "other")),
    ]
    assert scene.node.bound == [OWN]


def test_a_pattern_that_was_refused_is_tried_again() -> None:
    scene = Scene()
    scene.want(OWN)
    scene.node.types["own"] = "topic"
    scene.session.confirm(OWN)
    scene.play()
    assert scene.told.events == [("refused", OWN), ("stands", OWN)]


def test_a_pattern_that_is_given_up_leaves_nothing_behind() -> None:
    scene = Scene()
    scene.want(NEWS)
    scene.session.give_up(NEWS)
    assert scene.session.pattern_of(delivery("q.1", 1)) is None
    scene.play()
    assert scene.node.deleted == ["q.1"]
    assert scene.session.entrances == []


def test_a_pattern_that_is_given_up_before_it_stands_is_not_made() -> None:
    scene = Scene()
    scene.session.want(NEWS)
    scene.session.give_up(NEWS)
    scene.play()
    assert scene.node.bound == []
    assert scene.told.events == []


def test_a_queue_that_somebody_deletes_is_made_again() -> None:
    scene = Scene()
    scene.want(NEWS)
    scene.say(commands.Basic.Cancel("q.1", nowait=True), MESSAGES)
    assert scene.told.events == [("stands", NEWS), ("lost", NEWS), ("stands", NEWS)]
    assert scene.session.pattern_of(delivery("q.2", 1)) == NEWS


def test_messages_are_acknowledged_many_at_a_time_or_all_that_there_are() -> None:
    scene = Scene()
    scene.want(NEWS)
    for tag in range(1, 101):
        scene.session.pattern_of(delivery("q.1", tag))
        scene.session.acknowledge(all=False)
    assert scene.node.acknowledged == [64]
    assert scene.session.acknowledge(all=True)
    assert not scene.session.acknowledge(all=True)
    assert scene.node.acknowledged == [64, 100]


def test_the_end_of_the_messages_channel_is_the_end_of_the_session() -> None:
    scene = Scene()
    scene.want(NEWS)
    with pytest.raises(NodeClosed, match="oops"):
        scene.say(commands.Channel.Close(541, "oops", 0, 0), MESSAGES)


@pytest.mark.parametrize("channel", [MESSAGES, METADATA])
def test_what_was_not_asked_is_an_error(channel: int) -> None:
    scene = Scene()
    scene.want(NEWS)
    with pytest.raises((AmqpError, NodeClosed)):
        scene.say(commands.Exchange.BindOk(), channel)
    with pytest.raises((AmqpError, NodeClosed)):
        scene.say(commands.Channel.Close(404, "oops", 0, 0), channel)
