"""A feed and nodes that fail in every way: it finds another, and says what stands."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from random import Random

import psutil
import pytest
from pamqp import commands

from broker.feeds.connection import Connection, open_connection
from broker.feeds.feed import Feed, FeedContext
from broker.feeds.leftovers import Leftovers
from broker.feeds.listener import LEFT_OUT, Pattern
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node, Probe
from broker.protocol.amqp_deliveries import Delivery
from broker.protocol.stomp import Frame
from broker.timing.complaints import Complaints
from broker.timing.tasks import Failures, Tasks
from broker.timing.ticker import Ticker
from broker.topology import FEED_QUEUE_ARGUMENTS
from tests.integration.broker.feeds.feed_node import DECLARATIONS, FeedNode, serving

_TIMEOUT = 20


class Record:
    """What a feed has told, by its listeners and its witness, in order; what a test waits for comes
    in time or the test fails."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.fails = False
        #: The body that listeners know already.
        self.known: bytes | None = None
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

    def knows(self, message: Delivery) -> bool:
        return message.body == self._record.known

    def message(self, feed: int, message: Frame) -> None:
        if self._record.fails:
            raise ZeroDivisionError
        self._record.add("message", self._key, message.body.decode())

    def left_out(self, feed: int) -> None:
        self._record.add("left out", self._key)

    def dropped(self, feed: int) -> None:
        self._record.add("dropped", self._key)

    def lost(self, feed: int) -> None:
        self._record.add("lost", self._key)


class Stage:
    """A feed with a scripted node and a listener that records."""

    def __init__(
        self,
        nodes: list[FeedNode],
        feed: Feed,
        record: Record,
        balancer: Balancer,
        complaints: Complaints,
        failures: Failures,
        leftovers: Leftovers,
    ) -> None:
        self.leftovers = leftovers
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
    def on(self) -> FeedNode:
        """The node where the feed is."""
        (found,) = (node for node in self.nodes if node.name == self.feed.node)
        return found

    @property
    def idle(self) -> FeedNode:
        (found,) = (node for node in self.nodes if node.name != self.feed.node)
        return found


@asynccontextmanager
async def stage(*nodes: FeedNode, start: bool = True) -> AsyncIterator[Stage]:
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
        leftovers = Leftovers()
        sessions = count(1)
        context = FeedContext(
            dial=_dial,
            queue=lambda number: f"feed.{number}.{next(sessions)}",
            witness=record.witness,
            leftovers=leftovers,
            ticker=Ticker(),
            complaints=complaints,
            rng=Random(1),  # noqa: S311
        )
        made = Feed(0, acquire=balancer.acquire, context=context, tasks=Tasks(failures))
        if start:
            made.start()
        try:
            yield Stage(list(nodes), made, record, balancer, complaints, failures, leftovers)
        finally:
            await made.close()
    assert asyncio.all_tasks() == tasks
    assert open_sockets() <= sockets


async def _dial(number: int, node: Node) -> Connection:
    account = Credentials("gateway", "secret", "/")
    return await open_connection(
        node, account, timeout=2, name=f"feed {number}", message_bytes=65_536
    )


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
        async with stage(FeedNode("a")) as here:
            here.subscribe("k.1")
            with pytest.raises(ValueError, match=r"k\.1 is subscribed already"):
                here.subscribe("k.1")
            await here.record.hears("subscribed", "k.1")
            here.on.session.publish("k.1", b"hello")
            here.on.session.publish("k.2", b"nobody's")
            await here.record.hears("message", "k.1", "hello")
            assert here.on.bound() == ["k.1"]
            # The queue, and the one that shows what it drops.
            assert here.on.received.count("Queue.Declare") == 2
            assert here.on.session.arguments.items() >= FEED_QUEUE_ARGUMENTS.items()
            assert here.on.session.client["connection_name"] == "feed 0"

    asyncio.run(scenario())


def test_unsubscribed_topics_are_released_and_may_come_back() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            here.feed.unsubscribe("k")
            here.feed.unsubscribe("k")
            await until(lambda: here.on.bound() == [])
            # Still on its way from the node.
            here.on.session.deliver("k", b"x")
            here.subscribe("other")
            await here.record.hears("subscribed", "other")
            assert here.record.count("message") == 0
            here.subscribe("k")
            await here.record.hears("subscribed", "k", times=2)

    asyncio.run(scenario())


def test_a_message_that_several_patterns_match_comes_once_for_each_of_them() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            for key in ("k.1", "k.*", "#", "j.*"):
                here.subscribe(key)
                await here.record.hears("subscribed", key)
            # RabbitMQ puts it into the queue once.
            here.on.session.deliver("k.1", b"one")
            for key in ("k.1", "k.*", "#"):
                await here.record.hears("message", key, "one")
            here.feed.unsubscribe("k.*")
            here.on.session.deliver("k.1", b"two")
            for key in ("k.1", "#"):
                await here.record.hears("message", key, "two")
            assert here.record.count("message") == 5

    asyncio.run(scenario())


def test_a_node_that_cannot_be_dialled_leads_to_the_other() -> None:
    async def scenario() -> None:
        dead, alive = FeedNode("a", port=1), FeedNode("b")
        async with stage(dead, alive) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            assert here.feed.node == "b"

    asyncio.run(scenario())


@pytest.mark.parametrize("fate", ["dropped", "closed", "channel closed", "silent", "nonsense"])
def test_after_any_end_of_a_session_everything_is_bound_anew_elsewhere(fate: str) -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a"), FeedNode("b")) as here:
            for key in ("k.1", "k.2"):
                here.subscribe(key)
                await here.record.hears("subscribed", key)
            first = here.on
            loop = asyncio.get_running_loop()
            began = loop.time()
            match fate:
                case "dropped":
                    first.session.drop()
                case "closed":
                    first.session.send(commands.Connection.Close(320, "CONNECTION_FORCED", 0, 0))
                case "channel closed":
                    first.session.send(commands.Channel.Close(403, "ACCESS_REFUSED", 50, 20), 2)
                case "silent":
                    first.session.hang()
                case "nonsense":
                    first.session.write(b"\xff" * 8)
            for key in ("k.1", "k.2"):
                await here.record.hears("lost", key)
            assert here.record.count("is on", first.node.name) == 1
            left = [told for told in here.record.told if told[0] == "left"]
            assert [(node, bool(why)) for _, node, why in left] == [(first.node.name, True)]
            assert loop.time() - began < 3.5, "a question after 0.75 s, and 1.5 s for the answer"
            for key in ("k.1", "k.2"):
                await here.record.hears("subscribed", key, times=2)
            here.on.session.publish("k.2", b"again")
            await here.record.hears("message", "k.2", "again")
            assert here.on.bound() == ["k.1", "k.2"]
            await until(lambda: not first.bound() or first is here.on)

    asyncio.run(scenario())


def test_the_entrance_of_a_lost_session_is_deleted_by_the_next_one() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a"), FeedNode("b")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            lost, entrance = here.on, here.on.session.entrance
            assert here.feed.entrance == entrance
            # The node hangs: its queue stays, and is bound through the entrance alone.
            lost.session.hang()
            await here.record.hears("subscribed", "k", times=2)
            await until(lambda: entrance in here.on.deleted)
            assert here.feed.entrance == here.on.session.entrance != entrance
            assert list(here.leftovers) == []
            assert here.record.count("left") == 1

    asyncio.run(scenario())


class OfPattern:
    """One pattern's listener, which adds to the record."""

    flowing = True

    def __init__(self, record: Record) -> None:
        self._record = record

    def subscribed(self, feed: int) -> None:
        self._record.add("pattern subscribed")

    def message(self, feed: int, message: Delivery) -> None:
        self._record.add("pattern message")

    def left_out(self, feed: int, why: str) -> None:
        self._record.add("pattern left out")

    def swept(self, feed: int) -> None:
        self._record.add("pattern swept")

    def broke(self, feed: int) -> None:
        self._record.add("pattern broke")

    def refused(self, feed: int, why: str) -> None:
        self._record.add("pattern refused")

    def lost(self, feed: int) -> None:
        self._record.add("pattern lost")


def test_a_feed_whose_entrance_is_gone_notices_it_and_binds_everything_anew() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.feed.subscribe_pattern(Pattern("amq.topic", "p.#"), OfPattern(here.record))
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            (node,) = here.nodes
            here.feed.check(asyncio.get_running_loop().time() + 5)
            await until(lambda: node.received.count("Exchange.Declare") == 2)
            assert here.record.count("lost") == 0
            # Another gateway took this one for dead.
            node.deleted.append(node.session.entrance)
            here.feed.check(asyncio.get_running_loop().time() + 10)
            await here.record.hears("lost", "k")
            await here.record.hears("subscribed", "k", times=2)
            assert any("NOT_FOUND" in told[-1] for told in here.record.told if told[0] == "left")
            # Nobody makes up for what patterns have missed meanwhile.
            of_pattern = [told for (told, *_) in here.record.told if told.startswith("pattern")]
            assert of_pattern == ["pattern swept", "pattern lost"]
            await until(lambda: here.feed.entrances[:1] == [node.session.entrance])
            assert here.feed.entrances[1:] == [f"{node.session.entrance}.1"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("code", "told"), [(541, ["broke", "lost"]), (320, ["lost"])])
def test_patterns_hear_that_rabbitmq_has_failed_as_it_may_have_at_their_message(
    code: int, told: list[str]
) -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.feed.subscribe_pattern(Pattern("amq.topic", "p.#"), OfPattern(here.record))
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            (node,) = here.nodes
            node.session.send(commands.Connection.Close(code, "INTERNAL_ERROR", 0, 0))
            await here.record.hears("pattern lost")
            of_pattern = [told for (told, *_) in here.record.told if told.startswith("pattern")]
            assert of_pattern == [f"pattern {each}" for each in told]

    asyncio.run(scenario())


def test_a_lost_session_is_made_again_with_one_declaration_and_all_bindings_in_one_burst() -> None:
    async def scenario() -> None:
        keys = [f"k.{n}" for n in range(500)]
        async with stage(FeedNode("a"), start=False) as here:
            here.subscribe(*keys, "gone", "late")
            here.feed.unsubscribe("gone")
            here.feed.start()
            await here.feed.stood.wait()
            (node,) = here.nodes
            here.feed.unsubscribe("late")
            await until(lambda: "late" not in node.bound())
            node.received.clear()
            node.answers = False
            node.session.drop()
            # Without a single answer: whatever is subscribed now, once each, and nothing else.
            await until(lambda: node.logins == 2 and len(node.bound()) == len(keys))
            assert sorted(node.session.asked) == sorted(keys)
            # The queue, and the one that shows what it drops.
            assert node.received.count("Queue.Declare") == 2
            assert node.received.count("Basic.Consume") == 0
            node.answers = True
            node.session.answer(DECLARATIONS + len(keys))
            await here.feed.stood.wait()
            assert here.record.count("subscribed") == 2 * len(keys) + 1

    asyncio.run(scenario())


def test_subscriptions_that_change_while_there_is_no_node_count_on_the_next() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a"), start=False) as here:
            here.subscribe("gone")
            here.subscribe("stays")
            here.feed.unsubscribe("gone")
            here.feed.start()
            await here.record.hears("subscribed", "stays")
            assert here.on.bound() == ["stays"]

    asyncio.run(scenario())


def test_a_long_backlog_that_comes_in_one_read_is_handed_over_in_many_turns_of_the_loop() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            for number in range(600):
                here.on.session.publish("k", b"%d" % number)
            in_a_turn: list[int] = []
            while sum(in_a_turn) < 600:
                before = here.record.count("message")
                await asyncio.sleep(0)
                in_a_turn.append(here.record.count("message") - before)
            assert max(in_a_turn) <= 64
            came = [told[-1] for told in here.record.told if told[0] == "message"]
            assert came == [str(number) for number in range(600)]

    asyncio.run(scenario())


def test_a_node_is_not_silent_while_what_it_said_waits_to_be_read() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            here.on.session.hang()
            now = asyncio.get_running_loop().time()
            here.feed.check(now + 1)
            # As after a standstill of the loop: long ago by the clock, but it lies in the socket.
            here.on.session.publish("k", b"unread")
            here.feed.check(now + 100)
            await here.record.hears("message", "k", "unread")
            assert here.record.count("lost") == 0
            while not here.record.count("lost"):
                here.feed.check(now + 200)
                here.feed.check(now + 300)
                await asyncio.sleep(0.001)

    asyncio.run(scenario())


def test_a_standstill_of_this_process_ends_no_session() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k.1")
            here.subscribe("k.2")
            await here.record.hears("subscribed", "k.2")
            # Nobody asked meanwhile, so the node had nothing to say.
            here.feed.check(asyncio.get_running_loop().time() + 100)
            assert here.record.count("lost") == 0
            here.on.session.publish("k.1", b"it goes on")
            await here.record.hears("message", "k.1", "it goes on")
            assert here.record.count("lost") == 0

    asyncio.run(scenario())


def test_every_topic_hears_of_messages_that_rabbitmq_has_dropped() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k.1")
            here.subscribe("k.2")
            await here.record.hears("subscribed", "k.2")
            here.on.session.publish("k.1", b"in time")
            await until(lambda: here.on.received.count("Queue.Purge") == 1)
            here.on.session.dropped = 1
            # A full queue has more to bring: the sign that there may be something to look for.
            here.on.session.publish("k.1", b"newer than what was dropped")
            for key in ("k.1", "k.2"):
                await here.record.hears("dropped", key)
            assert here.record.count("dropped", "k.1") == 1
            assert here.complaints.counts["overflowed"] == 1
            assert here.record.count("lost") == 0

    asyncio.run(scenario())


def test_a_feed_outlives_the_queue_that_shows_what_was_dropped() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            node, session = here.on, here.on.session
            session.overflow_is_gone = session.overflow_is_refused = True
            session.publish("k", b"1")
            await until(lambda: node.received.count("Channel.CloseOk") == 1)
            session.publish("k", b"2")
            await until(lambda: node.received.count("Channel.CloseOk") == 2)
            session.overflow_is_refused = False
            session.publish("k", b"3")
            # Nobody knows what was dropped while it was gone.
            await here.record.hears("dropped", "k")
            assert not session.overflow_is_gone
            session.publish("k", b"4")
            purged = node.received.count("Queue.Purge")
            await until(lambda: node.received.count("Queue.Purge") > purged)
            await here.record.hears("message", "k", "4")
            assert here.record.count("dropped", "k") == 1
            assert here.record.count("lost") == 0
            assert here.complaints.counts["overflowed"] == 1

    asyncio.run(scenario())


def test_nothing_is_looked_for_while_nothing_comes() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            await until(lambda: here.on.session.questions == 2)
            assert "Queue.Purge" not in here.on.received

    asyncio.run(scenario())


def test_it_asks_for_a_sign_of_life_and_the_node_knows_that_it_is_there() -> None:
    async def scenario() -> None:
        node = FeedNode("a")
        async with stage(node) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            await until(lambda: node.session.questions >= 2)
            asked = node.session.questions
            # Also while it brings so much that nobody has to ask.
            loop = asyncio.get_running_loop()
            here.feed._sent_at -= 100
            here.on.session.publish("k", b"busy")
            await here.record.hears("message", "k", "busy")
            here.feed.check(loop.time())
            await until(lambda: node.session.questions == asked + 1)
            assert here.record.count("lost") == 0

    asyncio.run(scenario())


def test_a_node_that_lives_but_answers_no_request_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.feeds.feed._ANSWER_WITHIN", 0.3)

    async def scenario() -> None:
        async with stage(FeedNode("a", answers=False)) as here:
            here.subscribe("k")
            await here.record.hears("lost", "k")
            here.nodes[0].answers = True
            await here.record.hears("subscribed", "k")

    asyncio.run(scenario())


def test_a_node_that_is_silent_while_the_queue_is_made_is_waited_for() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a", answers=False), start=False) as here:
            (node,) = here.nodes
            for key in ("k.1", "k.2", "k.3"):
                here.subscribe(key)
            here.feed.start()
            await until(lambda: len(node.bound()) == 3)
            node.session.hang()
            now = asyncio.get_running_loop().time()
            for later in (1, 20, 30):
                # Long after the time for a sign of life: nothing stands, but the session does.
                here.feed.check(now + later)
            assert here.feed.standing == 0
            node.session.wake()
            # What stands stands, however slowly the others follow.
            node.session.answer(DECLARATIONS + 1)
            await here.record.hears("subscribed", "k.1")
            node.session.publish("k.1", b"hello")
            await here.record.hears("message", "k.1", "hello")
            assert here.feed.standing == 1
            node.session.answer(2)
            await here.feed.stood.wait()
            await here.record.hears("subscribed", "k.3")
            assert here.record.count("lost") == 0
            assert node.logins == 1
            assert here.feed.problem is None

    asyncio.run(scenario())


def test_what_waits_for_a_slow_node_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.feeds.feed._LONG", 0.0)

    async def scenario() -> None:
        async with stage(FeedNode("a", answers=False)) as here:
            (node,) = here.nodes
            here.subscribe("k.1")
            here.subscribe("k.2")
            await until(lambda: len(node.bound()) == 2)
            assert here.feed.problem == "2 of 2 topics wait for a"
            node.session.answer(DECLARATIONS + 1)
            await here.record.hears("subscribed", "k.1")
            assert here.feed.problem == "1 of 2 topics wait for a"
            # The topics that stand go on, and the node is asked as before.
            asked = node.session.questions
            await until(lambda: node.session.questions > asked)
            node.session.publish("k.1", b"hello")
            await here.record.hears("message", "k.1", "hello")
            node.session.answer(1)
            await here.record.hears("subscribed", "k.2")
            assert here.feed.problem is None
            assert here.record.count("lost") == 0

    asyncio.run(scenario())


def test_but_not_when_it_takes_no_logins_either() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a"), FeedNode("b"), start=False) as here:
            for node in here.nodes:
                node.answers = False
            here.subscribe("k.1")
            here.feed.start()
            await until(lambda: any(node.bound() for node in here.nodes))
            first = here.on
            first.session.hang()
            here.idle.answers = True
            now = asyncio.get_running_loop().time()
            here.feed.check(now + 1)
            here.feed.check(now + 20)
            assert here.record.count("lost") == 0
            here.balancer.report(first.name, Probe(now, error="no CONNECTED within 5 s"))
            here.feed.check(now + 21)
            await here.record.hears("lost", "k.1")
            await here.record.hears("subscribed", "k.1")
            assert here.on is not first

    asyncio.run(scenario())


def test_a_key_that_comes_back_before_its_answer_is_not_bound_twice() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a", answers=False)) as here:
            (node,) = here.nodes
            here.subscribe("k")
            await until(node.bound)
            node.session.answer(DECLARATIONS)
            await until(lambda: "Basic.Consume" in node.received)
            for _ in range(10):
                here.feed.unsubscribe("k")
                here.subscribe("k")
            assert not here.feed.stood.is_set()
            node.session.publish("k", b"before the answer")
            await here.record.hears("message", "k", "before the answer")
            assert here.record.count("subscribed", "k") == 0
            node.session.answer(1)
            await here.record.hears("subscribed", "k")
            assert here.feed.stood.is_set()
            assert node.session.asked == ["k"]
            assert "Exchange.Unbind" not in node.received

    asyncio.run(scenario())


def test_a_session_that_never_stood_is_not_followed_at_once_by_the_next() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a", answers=False)) as here:
            here.subscribe("k")
            loop = asyncio.get_running_loop()
            began = loop.time()
            for times in range(1, 4):
                await until(here.nodes[0].bound)
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
        node = FeedNode("a", refuses="ACCESS_REFUSED" if fault == "refused" else None)
        async with stage(node) as here:
            here.subscribe("k")
            loop = asyncio.get_running_loop()
            end = loop.time() + 2
            while loop.time() < end:
                # A session that has begun: before that, the login would not count.
                if node.refuses is None and node.sessions and node.session.queue:
                    node.session.drop()
                await asyncio.sleep(0.005)
            assert 2 <= node.logins <= 9

    asyncio.run(scenario())


def test_a_message_that_nobody_can_handle_costs_neither_the_feed_nor_its_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
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


def test_what_its_listener_knows_is_not_read() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            here.record.known = b"said before"
            for body in (b"said before", b"new"):
                here.on.session.publish("k", body)
            await here.record.hears("message", "k", "new")
            assert here.record.count("message") == 1

    asyncio.run(scenario())


def test_a_listener_s_fault_costs_neither_the_others_a_call_nor_the_feed_its_session(
    failures: list[str],
) -> None:
    class Faulty(Listener):
        """A listener whose handlers fail."""

        def subscribed(self, feed: int) -> None:
            super().subscribed(feed)
            raise ZeroDivisionError

        left_out = dropped = lost = subscribed

    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.feed.subscribe("faulty", Faulty("faulty", here.record))
            await here.record.hears("subscribed", "faulty")
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            here.on.session.publish("faulty", b"x" * 100_000)
            here.on.session.publish("k", b"x" * 100_000)
            await here.record.hears("left out", "k")
            assert here.record.count("lost") == 0
            here.on.session.drop()
            await here.record.hears("lost", "k")
            assert here.record.count("subscribed", "faulty") >= 3
            assert here.failures.counts == {"feed 0: a listener": 3}

    asyncio.run(scenario())
    assert failures
    failures.clear()


def test_a_message_that_cannot_be_said_in_stomp_is_left_out_and_costs_nobody_the_session() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            for evil in (b"\xff", b"\0"):
                table = b"\4evilS" + len(evil).to_bytes(4, "big") + evil
                here.on.session.deliver_content(
                    "k",
                    b"\0\x3c\0\0"
                    + (4).to_bytes(8, "big")
                    + b"\x20\0"
                    + len(table).to_bytes(4, "big")
                    + table,
                    b"body",
                )
            here.on.session.publish("k", b"good")
            await here.record.hears("message", "k", "good")
            assert here.record.count("lost") == 0
            # It may have been a member's, so that somebody should look.
            assert here.record.count("left out", "k") == 2
            assert here.complaints.counts["malformed"] == 2

    asyncio.run(scenario())


def test_many_headers_of_a_producer_do_not_end_the_session() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
            here.subscribe("k")
            await here.record.hears("subscribed", "k")
            many = {f"h{n}": "x" * 100 for n in range(300)}
            here.on.session.publish("k", b"well dressed", headers=many)
            await here.record.hears("message", "k", "well dressed")
            assert here.record.count("lost") == 0

    asyncio.run(scenario())


def test_a_flood_leaves_the_loop_to_others() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
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
        async with stage(FeedNode("a", deaf=True)) as here:
            await until(lambda: here.feed.node)
            await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_a_message_that_is_too_large_is_drained_and_told_and_costs_nobody_the_session() -> None:
    async def scenario() -> None:
        async with stage(FeedNode("a")) as here:
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
