"""Patterns that many follow: one subscription upstream, the leading feed's messages for all."""

import asyncio
from collections.abc import Callable, Coroutine
from random import SystemRandom
from typing import Any, cast

import pytest
from pamqp import commands

from broker.feeds.feeds import Feeds
from broker.feeds.listener import Pattern, PatternListener
from broker.protocol.amqp_deliveries import Delivery
from broker.timing.ticker import Ticker
from gateway.errors import BrokerUnavailable, TooLarge
from gateway.live.hub.fanout import PENDING, FanOut
from gateway.live.hub.quarantine import KEPT_OFF
from gateway.live.hub.shared_pattern import REFUSED_FOR, NotShared
from gateway.live.hub.shared_patterns import HELD, LINGER, SharedPatterns
from tests.fake_clock import FakeClock
from tests.unit.live.fakes import FakeClient, subscriber
from tests.virtual_time import run, settle

NEWS = Pattern("amq.topic", "news.#")
OTHER = Pattern("amq.direct", "k")


class PatternFeeds:
    """Two feeds that bring what the test says; `answers`: requests are answered at once."""

    def __init__(self) -> None:
        self.listeners: dict[Pattern, PatternListener] = {}
        self.calls: list[str] = []
        self.answers = True
        self.refuses: str | None = None
        self.settling = 0.0

    def subscribe_pattern(self, pattern: Pattern, listener: PatternListener) -> None:
        self.calls.append("subscribe")
        self.listeners[pattern] = listener
        self._answer(pattern)

    def confirm_pattern(self, pattern: Pattern) -> None:
        self.calls.append("confirm")
        self._answer(pattern)

    def unsubscribe_pattern(self, pattern: Pattern) -> None:
        self.calls.append("unsubscribe")
        del self.listeners[pattern]

    def bring(
        self, feed: int, body: bytes, *, pattern: Pattern = NEWS, header: bytes = b""
    ) -> None:
        envelope = commands.Basic.Deliver("c", 1, False, "amq.topic", "news.1").marshal()
        properties = b"\0\0"
        if header:
            table = b"\1x" + b"S" + len(header).to_bytes(4, "big") + header
            properties = b"\x20\0" + len(table).to_bytes(4, "big") + table
        self.listeners[pattern].message(feed, Delivery("news.1", 1, properties, body, 3, envelope))

    def _answer(self, pattern: Pattern) -> None:
        if self.answers:
            asyncio.get_running_loop().call_soon(self.answer, pattern)

    def answer(self, pattern: Pattern = NEWS) -> None:
        if (listener := self.listeners.get(pattern)) is None:
            return
        for feed in (0, 1):
            if self.refuses is None:
                listener.subscribed(feed)
            else:
                listener.refused(feed, self.refuses)


class Scene:
    def __init__(self, most: int = 10) -> None:
        self.feeds = PatternFeeds()
        self.patterns = SharedPatterns(
            cast("Feeds", self.feeds),
            FanOut(budget=lambda: 1000, clock=FakeClock(0.0)),
            clock=asyncio.get_running_loop().time,
            rng=SystemRandom(),
            ticker=Ticker(),
            most=most,
        )

    async def join(
        self, pattern: Pattern = NEWS, id: str = "s"
    ) -> tuple[FakeClient, Callable[[], None]]:
        client, each = subscriber(id)
        return client, await self.patterns.join(pattern, each)


def play(scenario: Callable[[Scene], Coroutine[Any, Any, None]], **options: int) -> None:
    async def main() -> None:
        scene = Scene(**options)
        await scenario(scene)
        scene.patterns.close()

    run(main())


def test_all_who_follow_a_pattern_share_one_subscription() -> None:
    async def scenario(scene: Scene) -> None:
        first, _ = await scene.join(id="a")
        second, _ = await scene.join(id="b")
        assert scene.feeds.calls == ["subscribe", "confirm"]
        scene.feeds.bring(0, b"one")
        scene.feeds.bring(1, b"one")
        scene.feeds.bring(0, b"one")
        await settle()
        for client, id in ((first, "a"), (second, "b")):
            assert client.bodies == [b"one", b"one"]
            assert {frame.get("subscription") for frame in client.frames} == {id}
            assert len({frame.get("message-id") for frame in client.frames}) == 2
        assert len(scene.patterns) == 1

    play(scenario)


def test_nobody_is_told_that_it_stands_before_rabbitmq_says_so() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feeds.answers = False
        joining = asyncio.ensure_future(scene.join())
        await settle()
        assert not joining.done()
        scene.feeds.answer()
        client, _ = await joining
        again = asyncio.ensure_future(scene.join())
        await settle()
        assert not again.done(), "its exchange may be gone since"
        scene.feeds.answer()
        await again
        assert client.ended is None

    play(scenario)


def test_nobody_is_told_that_it_stands_before_all_nodes_route_by_it() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feeds.settling = 0.2
        loop = asyncio.get_running_loop()
        began = loop.time()
        client, _ = await scene.join()
        assert loop.time() - began == pytest.approx(0.2)
        scene.feeds.bring(0, b"one")
        await settle()
        assert client.bodies == [b"one"]
        await scene.join()
        assert loop.time() - began == pytest.approx(0.2), "it had stood before"
        scene.feeds.listeners[NEWS].lost(0)
        scene.feeds.listeners[NEWS].lost(1)
        scene.feeds.answer()
        joining = asyncio.ensure_future(scene.join())
        await settle()
        assert not joining.done(), "it was bound anew"
        await joining

    play(scenario)


def test_feeds_that_do_not_answer_are_waited_for_a_while() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feeds.answers = False
        with pytest.raises(NotShared, match="in time"):
            await scene.join()
        scene.feeds.answers = True
        await scene.join()

    play(scenario)


def test_what_rabbitmq_refuses_is_not_shared_and_is_not_asked_again_for_a_while() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feeds.refuses = "NOT_FOUND"
        for _ in range(2):
            with pytest.raises(NotShared, match="NOT_FOUND"):
                await scene.join()
        assert scene.feeds.calls == ["subscribe"]
        await asyncio.sleep(LINGER + 1)
        scene.feeds.refuses = None
        await scene.join()

    play(scenario)


def test_a_confirmation_that_is_refused_concerns_only_who_has_asked() -> None:
    async def scenario(scene: Scene) -> None:
        client, _ = await scene.join()
        scene.feeds.refuses = "NOT_FOUND"
        with pytest.raises(NotShared):
            await scene.join()
        assert client.ended is None

    play(scenario)


def test_an_exchange_that_is_there_again_is_shared_again_also_while_others_follow_it() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.join()
        scene.feeds.refuses = "NOT_FOUND"
        with pytest.raises(NotShared):
            await scene.join()
        scene.feeds.refuses = None
        with pytest.raises(NotShared):
            await scene.join()
        await asyncio.sleep(REFUSED_FOR)
        client, _ = await scene.join()
        scene.feeds.bring(0, b"one")
        await settle()
        assert client.bodies == [b"one"]

    play(scenario)


def test_there_are_only_so_many_patterns() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.join(NEWS)
        with pytest.raises(NotShared):
            await scene.join(OTHER)
        await scene.join(NEWS)

    play(scenario, most=1)


def test_the_last_who_leaves_ends_the_subscription_a_while_later() -> None:
    async def scenario(scene: Scene) -> None:
        client, leave = await scene.join()
        leave()
        leave()
        scene.feeds.bring(0, b"one")
        await settle()
        assert client.frames == []
        await asyncio.sleep(LINGER - 1)
        _, leave = await scene.join()
        await asyncio.sleep(LINGER)
        assert "unsubscribe" not in scene.feeds.calls
        leave()
        await asyncio.sleep(LINGER + 1)
        assert scene.feeds.calls[-1] == "unsubscribe"
        assert len(scene.patterns) == 0
        await scene.join()

    play(scenario)


def test_a_client_that_has_left_while_it_joined_gets_nothing() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feeds.answers = False
        client, each = subscriber()
        joining = asyncio.ensure_future(scene.patterns.join(NEWS, each))
        await settle()
        each.active = False
        scene.feeds.answer()
        await joining
        scene.feeds.bring(0, b"one")
        await settle()
        assert client.frames == []

    play(scenario)


def test_who_joins_while_the_lead_changes_is_let_in_by_the_new_leader() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.join()
        await asyncio.sleep(4)
        scene.feeds.answers = False
        joining = asyncio.ensure_future(scene.join())
        await settle()
        scene.feeds.listeners[NEWS].subscribed(1)
        await settle()
        assert not joining.done(), "nothing of what feed 1 brings is delivered"
        scene.feeds.listeners[NEWS].lost(0)
        await settle()
        assert joining.done()
        client, _ = await joining
        scene.feeds.bring(1, b"one")
        await settle()
        assert client.bodies == [b"one"]

    play(scenario)


def test_who_has_just_joined_hears_of_a_break_in_the_same_turn() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feeds.answers = False
        joining = asyncio.ensure_future(scene.join())
        await settle()
        scene.feeds.listeners[NEWS].subscribed(0)
        scene.feeds.listeners[NEWS].lost(0)
        client, _ = await joining
        await settle()
        assert isinstance(client.ended, BrokerUnavailable), "until a feed is back, nothing comes"

    play(scenario)


def test_a_feed_that_is_lost_is_followed_by_the_other() -> None:
    async def scenario(scene: Scene) -> None:
        client, _ = await scene.join()
        assert scene.patterns.alone == 1
        await asyncio.sleep(4)
        assert scene.patterns.alone == 0
        scene.feeds.bring(0, b"one")
        scene.feeds.bring(1, b"one")
        scene.feeds.bring(1, b"two")
        scene.feeds.listeners[NEWS].lost(0)
        scene.feeds.bring(1, b"three")
        await settle()
        assert client.bodies == [b"one", b"two", b"three"]
        assert client.ended is None

    play(scenario)


def test_a_leader_that_hangs_is_noticed_by_the_clock() -> None:
    async def scenario(scene: Scene) -> None:
        client, _ = await scene.join()
        await asyncio.sleep(4)
        scene.feeds.bring(1, b"one")
        await settle()
        assert client.bodies == []
        await asyncio.sleep(2)
        assert client.bodies == [b"one"]

    play(scenario)


def test_both_feeds_lost_end_the_subscriptions_and_new_ones_begin_anew() -> None:
    async def scenario(scene: Scene) -> None:
        client, leave = await scene.join()
        scene.feeds.listeners[NEWS].lost(0)
        await settle()
        assert isinstance(client.ended, BrokerUnavailable)
        leave()
        client, _ = await scene.join()
        scene.feeds.bring(1, b"one")
        await settle()
        assert client.bodies == [b"one"]

    play(scenario)


def test_a_message_that_cannot_be_delivered_ends_the_subscriptions() -> None:
    async def scenario(scene: Scene) -> None:
        client, _ = await scene.join()
        scene.feeds.listeners[NEWS].left_out(1, "too_large: 20 bytes")
        await settle()
        assert client.ended is None, "the leading feed brings it, too, or says so"
        scene.feeds.listeners[NEWS].left_out(0, "too_large: 20 bytes")
        await settle()
        assert isinstance(client.ended, TooLarge)
        assert "20 bytes" in client.ended.detail

    play(scenario)


def test_a_message_that_no_frame_holds_ends_them_too() -> None:
    async def scenario(scene: Scene) -> None:
        client, _ = await scene.join()
        scene.feeds.bring(0, b"one", header=b"a\0b")
        await settle()
        assert isinstance(client.ended, TooLarge)

    play(scenario)


def test_rabbitmq_keeps_what_comes_faster_than_it_can_be_passed_on() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.join()
        listener = scene.feeds.listeners[NEWS]
        assert listener.flowing
        scene.feeds.bring(0, b"x" * PENDING)
        assert not listener.flowing
        await settle()
        assert listener.flowing

    play(scenario)


def test_a_gateway_that_was_taken_for_dead_tells_its_subscribers() -> None:
    async def scenario(scene: Scene) -> None:
        client, _ = await scene.join()
        await asyncio.sleep(4)
        assert scene.patterns.alone == 0
        scene.feeds.listeners[NEWS].swept(1)
        await settle()
        assert isinstance(client.ended, BrokerUnavailable), "neither feed has brought what came"

    play(scenario)


async def break_off(scene: Scene) -> None:
    """Both feeds, as RabbitMQ does at a message that it cannot write."""
    for feed in (0, 1):
        listeners = tuple(scene.feeds.listeners.items())
        for step in ("broke", "lost"):
            for pattern, listener in listeners:
                if scene.feeds.listeners.get(pattern) is listener:
                    getattr(listener, step)(feed)
    await settle()


def test_a_pattern_whose_messages_break_off_the_feeds_gets_relays_and_the_others_are_shared() -> (
    None
):
    async def scenario(scene: Scene) -> None:
        ended = []
        for _ in range(2):
            clients = [(await scene.join(each))[0] for each in (NEWS, OTHER)]
            await break_off(scene)
            ended += [isinstance(client.ended, BrokerUnavailable) for client in clients]
            await asyncio.sleep(2)
        # The first half is tried.
        client, _ = await scene.join(NEWS)
        with pytest.raises(NotShared, match="AMQP cannot write"):
            await scene.join(OTHER)
        await break_off(scene)
        ended.append(isinstance(client.ended, BrokerUnavailable))
        assert all(ended)
        assert scene.feeds.listeners == {}, "nothing of it stays at the feeds, however they linger"
        with pytest.raises(NotShared, match="AMQP cannot write"):
            await scene.join(NEWS)
        other, leave = await scene.join(OTHER)
        scene.feeds.bring(0, b"one", pattern=OTHER)
        await settle()
        assert other.bodies == [b"one"]
        leave()
        await asyncio.sleep(KEPT_OFF)
        await scene.join(NEWS)

    play(scenario)


def test_clients_that_wait_for_a_pattern_which_breaks_off_the_feeds_get_relays() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.join()
        await break_off(scene)
        await asyncio.sleep(2)
        scene.feeds.answers = False
        joining = asyncio.ensure_future(scene.join())
        await settle()
        await break_off(scene)
        with pytest.raises(NotShared, match="AMQP cannot write"):
            await joining
        assert len(scene.patterns) == 0

    play(scenario)


def test_of_what_is_fanned_out_and_what_waits_only_so_many_bytes_are_held() -> None:
    async def scenario(scene: Scene) -> None:
        flooded, _ = await scene.join(NEWS)
        calm, _ = await scene.join(OTHER)
        scene.feeds.bring(0, b"one", pattern=OTHER)
        # All of it in one turn of the loop: nothing is passed on meanwhile.
        body = bytes(HELD // 16)
        for _ in range(16):
            assert flooded.ended is None
            scene.feeds.bring(0, body)
        await settle()
        assert isinstance(flooded.ended, BrokerUnavailable)
        assert flooded.frames == []
        assert (calm.ended, calm.bodies) == (None, [b"one"])

    play(scenario)


def test_what_the_other_feed_alone_has_brought_is_forgotten_first() -> None:
    async def scenario(scene: Scene) -> None:
        clients = []
        patterns = [Pattern("amq.topic", f"news.{n}") for n in range(6)]
        for pattern in patterns:
            clients.append((await scene.join(pattern))[0])
        await asyncio.sleep(4)
        assert scene.patterns.alone == 0
        body = bytes(HELD // 5 - 1000)
        for pattern in patterns:
            scene.feeds.bring(1, body, pattern=pattern)
        assert scene.patterns.alone > 0
        await settle()
        assert [client.ended for client in clients] == [None] * 6

    play(scenario)
