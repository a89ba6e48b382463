"""A feed and nodes that fail in every way: it finds another, and says what stands."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

import psutil
import pytest

from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node, Probe
from broker.protocol.stomp import Frame
from broker.protocol.websocket import Opcode, build
from broker.timing.complaints import Complaints
from broker.timing.tasks import Failures, Tasks
from broker.timing.ticker import Ticker
from broker.webstomp.feed import LEFT_OUT, Feed, FeedContext
from broker.webstomp.session import WebStompSession, open_session
from tests.integration.live.fake_node import FakeNode, serving

_TIMEOUT = 20


class Record:
    """What a feed has told, by its listeners and its witness, in order; what a test waits for comes
    in time or the test fails."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.fails = False
        self._changed = asyncio.Event()

    def witness(self, feed: int, node: str, why_lost: str | None) -> None:
        assert feed == 0
        self.add("is on", node) if why_lost is None else self.add("left", node, why_lost)

    def count(self, *what: str) -> int:
        """How often it was told something that begins so."""
        return sum(told[: len(what)] == what for told in self.told)

    async def hears(self, *what: str, times: int = 1) -> None:
        async with asyncio.timeout(_TIMEOUT):
            while self.count(*what) < times:
                self._changed.clear()
                await self._changed.wait()

    def add(self, *what: str) -> None:
        self.told.append(what)
        self._changed.set()


class Listener:
    """One key's, which adds to the record."""

    def __init__(self, key: str, record: Record) -> None:
        self._key = key
        self._record = record

    def subscribed(self, feed: int) -> None:
        self._record.add("subscribed", self._key)

    def message(self, feed: int, message: Frame) -> None:
        if self._record.fails:
            raise ZeroDivisionError
        self._record.add("message", self._key, message.body.decode())

    def left_out(self, feed: int) -> None:
        self._record.add("left out", self._key)

    def stalled(self, feed: int) -> None:
        self._record.add("stalled", self._key)

    def resumed(self, feed: int) -> None:
        self._record.add("resumed", self._key)

    def lost(self, feed: int) -> None:
        self._record.add("lost", self._key)


class Stage:
    """A feed with a scripted node and a listener that records."""

    def __init__(
        self,
        nodes: list[FakeNode],
        feed: Feed,
        record: Record,
        balancer: Balancer,
        complaints: Complaints,
        failures: Failures,
    ) -> None:
        self.nodes = nodes
        self.feed = feed
        self.record = record
        self.balancer = balancer
        self.complaints = complaints
        self.failures = failures

    def subscribe(self, *keys: str) -> None:
        for key in keys:
            self.feed.subscribe(key, Listener(key, self.record))

    @property
    def on(self) -> FakeNode:
        """The node where the feed is."""
        (found,) = (node for node in self.nodes if node.name == self.feed.node)
        return found

    @property
    def idle(self) -> FakeNode:
        (found,) = (node for node in self.nodes if node.name != self.feed.node)
        return found


@asynccontextmanager
async def stage(*nodes: FakeNode, start: bool = True) -> AsyncIterator[Stage]:
    """A feed before these nodes; afterwards nothing of it is left."""
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    async with AsyncExitStack() as stack:
        for node in nodes:
            if not node.port:
                await stack.enter_async_context(serving(node))
        record = Record()
        loop = asyncio.get_running_loop()
        balancer = Balancer(
            [node.node for node in nodes],
            clock=loop.time,
            rng=Random(1),  # noqa: S311 - the same course every time
        )
        failures = Failures()
        complaints = Complaints(LEFT_OUT, clock=loop.time)
        context = FeedContext(
            log_in=_log_in,
            witness=record.witness,
            ticker=Ticker(),
            frame_bytes=65_536,
            complaints=complaints,
            rng=Random(1),  # noqa: S311
        )
        made = Feed(0, acquire=balancer.acquire, context=context, tasks=Tasks(failures))
        if start:
            made.start()
        try:
            yield Stage(list(nodes), made, record, balancer, complaints, failures)
        finally:
            await made.close()
    assert asyncio.all_tasks() == tasks
    assert open_sockets() <= sockets


async def _log_in(node: Node) -> WebStompSession:
    account = Credentials("gateway", "secret", "/")
    return await open_session(node, account, timeout=2, heart_beat=(200, 100))


def open_sockets() -> Counter[int]:
    """Listening ports and those at the far end of connections."""
    return Counter(
        each.raddr.port if each.raddr else 0
        for each in psutil.Process().net_connections("tcp")
        if each.status in ("ESTABLISHED", "LISTEN")
    )


async def until(what: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _TIMEOUT
    while not what():
        assert loop.time() < end
        await asyncio.sleep(0.01)


def test_a_subscription_stands_when_the_node_says_so_and_brings_what_is_published() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k.1")
            with pytest.raises(ValueError, match=r"k\.1 is subscribed already"):
                here.subscribe("k.1")
            await here.record.hears("subscribed", "k.1")
            here.on.session.publish("k.1", b"hello")
            here.on.session.publish("k.2", b"nobody's")
            await here.record.hears("message", "k.1", "hello")
            subscribes = [f for f in here.on.received if f.command == "SUBSCRIBE"]
            assert [f.get("destination") for f in subscribes] == ["/exchange/amq.topic/k.1"]

    asyncio.run(scenario())


def test_unsubscribed_topics_are_released_and_may_come_back_under_another_id() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            (old,) = here.on.subscribed()
            here.feed.unsubscribe("k")
            here.feed.unsubscribe("k")
            await until(lambda: here.on.subscribed() == {})
            # Still on its way from the node.
            here.on.session.send("MESSAGE", ("subscription", old), ("message-id", "1"), body=b"x")
            here.subscribe("k")
            await here.record.hears("subscribed", "k", times=2)
            assert old not in here.on.subscribed()
            assert here.record.count("message", "k", "x") == 0

    asyncio.run(scenario())


def test_a_node_that_cannot_be_dialled_leads_to_the_other() -> None:
    async def scenario() -> None:
        dead, alive = FakeNode("a", port=1), FakeNode("b")
        async with stage(dead, alive) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            assert here.feed.node == "b"

    asyncio.run(scenario())


@pytest.mark.parametrize("fate", ["dropped", "error", "silent", "nonsense"])
def test_after_any_end_of_a_session_everything_is_subscribed_anew_elsewhere(fate: str) -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a"), FakeNode("b")) as here:
            for key in ("k.1", "k.2"):
                here.subscribe(key)
                await here.record.hears("subscribed", key)
            first = here.on
            loop = asyncio.get_running_loop()
            began = loop.time()
            match fate:
                case "dropped":
                    first.session.drop()
                case "error":
                    first.session.send("ERROR", ("message", "no more"))
                case "silent":
                    first.session.hang()
                case "nonsense":
                    first.session.write(b"\xff\xff")
            for key in ("k.1", "k.2"):
                await here.record.hears("lost", key)
            assert here.record.count("is on", first.node.name) == 1
            left = [told for told in here.record.told if told[0] == "left"]
            assert [(node, bool(why)) for _, node, why in left] == [(first.node.name, True)]
            assert loop.time() - began < 2, "silence of 2.5 heart-beats of 100 ms"
            first.answers = True
            for key in ("k.1", "k.2"):
                await here.record.hears("subscribed", key, times=2)
            here.on.session.publish("k.2", b"again")
            await here.record.hears("message", "k.2", "again")
            # What was subscribed or given up while there was no node counts, too.
            assert sorted(here.on.subscribed().values()) == ["k.1", "k.2"]
            await until(lambda: not first.subscribed() or first is here.on)

    asyncio.run(scenario())


def test_subscriptions_that_change_while_there_is_no_node_count_on_the_next() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a"), start=False) as here:
            here.subscribe("gone")
            here.subscribe("stays")
            here.feed.unsubscribe("gone")
            here.feed.start()
            await here.record.hears("subscribed", "stays")
            assert list(here.on.subscribed().values()) == ["stays"]

    asyncio.run(scenario())


def test_a_node_is_not_silent_while_what_it_said_waits_to_be_read() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a", beats=1000)) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            # As after a standstill of the loop: long ago by the clock, but it lies in the socket.
            long_after = asyncio.get_running_loop().time() + 100
            here.on.session.publish("k", b"unread")
            here.feed.check(long_after)
            await here.record.hears("message", "k", "unread")
            assert here.record.count("lost") == 0
            while not here.record.count("lost"):
                here.feed.check(long_after + 100)
                await asyncio.sleep(0.001)

    asyncio.run(scenario())


def test_it_beats_so_that_the_node_knows_it_is_there() -> None:
    async def scenario() -> None:
        node = FakeNode("a")
        async with stage(node):
            await until(lambda: node.heart_beats >= 3)

    asyncio.run(scenario())


def test_a_node_that_beats_but_answers_no_subscribe_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.webstomp.feed._ANSWER_WITHIN", 0.3)

    async def scenario() -> None:
        async with stage(FakeNode("a", answers=False)) as here:
            here.subscribe("k")
            await here.record.hears("lost", "k")
            here.nodes[0].answers = True
            await here.record.hears("subscribed", "k")

    asyncio.run(scenario())


def test_a_node_that_is_silent_while_it_works_on_subscribes_is_waited_for() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a", beats=100), start=False) as here:
            (node,) = here.nodes
            node.mute, node.answers = True, False
            for key in ("k.1", "k.2", "k.3"):
                here.subscribe(key)
            here.feed.start()
            # Long after 2.5 heart-beats: nothing stands, but the session does.
            for key in ("k.1", "k.2", "k.3"):
                await here.record.hears("stalled", key)
            await until(lambda: len(node.subscribed()) == 3)
            here.feed.check(asyncio.get_running_loop().time() + 30)
            assert here.feed.standing == 0
            assert here.feed.problem == "a brings nothing while it works on 3 requests"
            # What stands stands, however slowly the others follow.
            node.session.answer(1)
            await here.record.hears("subscribed", "k.1")
            assert here.record.told.index(("resumed", "k.1")) < here.record.told.index(
                ("subscribed", "k.1")
            )
            await here.record.hears("stalled", "k.1", times=2)
            node.session.publish("k.1", b"hello")
            await here.record.hears("message", "k.1", "hello")
            node.mute, node.answers = False, True
            node.session.answer(2)
            node.session.beat()
            await here.feed.stood.wait()
            await here.record.hears("subscribed", "k.3")
            assert here.record.count("lost") == 0
            assert node.logins == 1
            assert here.feed.problem is None

    asyncio.run(scenario())


def test_but_not_when_it_takes_no_logins_either() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a"), FakeNode("b")) as here:
            here.subscribe("k.1")
            await here.record.hears("subscribed", "k.1")
            first = here.on
            first.session.hang()
            here.subscribe("k.2")
            for key in ("k.1", "k.2"):
                await here.record.hears("stalled", key)
            assert here.record.count("lost") == 0
            now = asyncio.get_running_loop().time()
            here.balancer.report(first.name, Probe(now, error="no CONNECTED within 5 s"))
            for key in ("k.1", "k.2"):
                await here.record.hears("lost", key)
            await here.record.hears("subscribed", "k.2")
            assert here.on is not first

    asyncio.run(scenario())


def test_a_node_that_deletes_slowly_is_waited_for_too() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k.1")
            here.subscribe("k.2")
            await here.feed.stood.wait()
            await here.record.hears("subscribed", "k.2")
            here.on.session.hang()
            here.feed.unsubscribe("k.1")
            await here.record.hears("stalled", "k.2")
            assert here.feed.stood.is_set(), "all that is wanted stands"
            here.on.session.answer(1)
            await here.record.hears("resumed", "k.2")
            here.on.session.beat()
            here.on.session.publish("k.2", b"hello")
            await here.record.hears("message", "k.2", "hello")
            assert here.record.count("lost") == 0

    asyncio.run(scenario())


def test_a_key_that_comes_back_before_its_old_receipt_stands_by_its_own() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a", answers=False)) as here:
            here.subscribe("k")
            await until(here.nodes[0].subscribed)
            here.feed.unsubscribe("k")
            assert here.feed.stood.is_set()
            here.subscribe("k")
            assert not here.feed.stood.is_set()
            await until(lambda: len(here.nodes[0].received) == 4)
            session = here.on.session
            session.answer(2)
            session.publish("k", b"before the receipt")
            await here.record.hears("message", "k", "before the receipt")
            assert here.record.count("subscribed", "k") == 0
            assert not here.feed.stood.is_set()
            session.answer(1)
            await here.record.hears("subscribed", "k")
            assert here.feed.stood.is_set()

    asyncio.run(scenario())


def test_a_session_that_never_stood_is_not_followed_at_once_by_the_next() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a", answers=False)) as here:
            here.subscribe("k")
            loop = asyncio.get_running_loop()
            began = loop.time()
            for times in range(1, 4):
                await until(here.nodes[0].subscribed)
                here.nodes[0].session.drop()
                await here.record.hears("lost", "k", times=times)
            # Half of 0.5 s and of 1 s at least.
            assert loop.time() - began > 0.75

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["refused", "broken off"])
def test_a_node_that_always_fails_is_asked_again_but_ever_less_often(
    fault: str,
) -> None:
    async def scenario() -> None:
        node = FakeNode("a", refuses="Bad CONNECT" if fault == "refused" else None)
        async with stage(node) as here:
            here.subscribe("k")
            loop = asyncio.get_running_loop()
            end = loop.time() + 2
            while loop.time() < end:
                if node.refuses is None and node.sessions:
                    node.session.drop()
                await asyncio.sleep(0.005)
            assert 2 <= node.logins <= 9

    asyncio.run(scenario())


def test_a_message_that_nobody_can_handle_costs_neither_the_feed_nor_its_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            here.record.fails = True
            for _ in range(100):
                here.on.session.publish("k", b"poison")
            await here.record.hears("left out", "k", times=100)
            here.record.fails = False
            here.on.session.publish("k", b"food")
            await here.record.hears("message", "k", "food")
            assert here.record.count("lost") == 0
            assert here.complaints.counts["failed"] == 100

    asyncio.run(scenario())
    told = [record for record in caplog.records if record.exc_info]
    assert len(told) == 1, "told once, counted each time"


def test_a_listener_s_fault_costs_neither_the_others_a_call_nor_the_feed_its_session(
    failures: list[str],
) -> None:
    class Faulty(Listener):
        """A listener whose handlers fail."""

        def subscribed(self, feed: int) -> None:
            super().subscribed(feed)
            raise ZeroDivisionError

        left_out = stalled = resumed = lost = subscribed

    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.feed.subscribe("faulty", Faulty("faulty", here.record))
            await here.record.hears("subscribed", "faulty")
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            here.on.session.hang()
            here.subscribe("late")
            await here.record.hears("stalled", "k")
            here.on.session.answer(1)
            await here.record.hears("resumed", "k")
            assert here.record.count("lost") == 0
            here.on.session.drop()
            await here.record.hears("lost", "k")
            assert here.record.count("subscribed", "faulty") >= 4
            assert here.failures.counts == {"feed 0: a listener": 4}

    asyncio.run(scenario())
    assert failures
    failures.clear()


def test_a_message_that_is_no_stomp_is_left_out_and_costs_nobody_the_session() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            (id,) = here.on.subscribed()
            for evil in (b"\xff", b"\0", b"no colon\nx"):
                frame = b"MESSAGE\nsubscription:%b\nevil:%b\n\nbody\0\n" % (id.encode(), evil)
                here.on.session.write(build(Opcode.BINARY, frame))
            here.on.session.publish("k", b"good")
            await here.record.hears("message", "k", "good")
            assert here.record.count("lost") == 0
            # It may have been a member's, so that somebody should look.
            assert here.record.count("left out", "k") == 3

    asyncio.run(scenario())


def test_many_headers_of_a_producer_do_not_end_the_session() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            (id,) = here.on.subscribed()
            many = [(f"h{n}", "x" * 100) for n in range(300)]
            here.on.session.send("MESSAGE", ("subscription", id), *many, body=b"well dressed")
            await here.record.hears("message", "k", "well dressed")
            assert here.record.count("lost") == 0

    asyncio.run(scenario())


def test_a_flood_leaves_the_loop_to_others() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            for _ in range(20_000):
                here.on.session.publish("k", b"x" * 200)
            turns = 0
            while here.record.count("message", "k", "x" * 200) < 20_000:
                turns += 1
                await asyncio.sleep(0)
            assert turns > 20

    asyncio.run(scenario())


def test_closing_in_the_middle_of_a_dial_leaves_nothing() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a", deaf=True)) as here:
            await until(lambda: here.feed.node)
            await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_a_message_that_is_too_large_is_drained_and_told_and_costs_nobody_the_session() -> None:
    async def scenario() -> None:
        async with stage(FakeNode("a")) as here:
            here.subscribe("k.1")
            here.subscribe("k.2")
            await here.record.hears("subscribed", "k.2")
            huge = b"x" * 20_000_000
            for _ in range(2):
                here.on.session.publish("k.1", huge)
            here.on.session.publish("k.2", b"good")
            await here.record.hears("message", "k.2", "good")
            assert here.record.count("left out", "k.1") == 2
            assert here.record.count("lost") == 0
            assert here.complaints.counts["too_large"] == 2
            assert here.nodes[0].logins == 1

    asyncio.run(scenario())
