"""The hub on a real cluster: everything once, in order, whatever happens to the nodes."""

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from itertools import count
from pathlib import Path
from random import SystemRandom
from ssl import create_default_context
from typing import Any
from urllib.parse import quote

import pika
import pytest

from broker.feeds.connection import Connection, open_connection
from broker.feeds.feed import FeedContext
from broker.feeds.feeds import Feeds
from broker.feeds.leftovers import Leftovers
from broker.feeds.listener import LEFT_OUT
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.timing.clock import Clock
from broker.timing.complaints import Complaints
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from broker.topology import Audience, Stream, Topology
from devenv import tls
from devenv.cluster import Cluster
from gateway.live.hub.fanout import Subscriber
from gateway.live.hub.hub import Hub
from gateway.store.records import Page, StatePage
from tests.acceptance.broker_view import (
    EXCHANGE,
    amqp,
    cut_feeds,
    metadata_held,
    nodes_of,
    wait_for,
)
from tests.acceptance.conftest import Connect, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.listeners import Posting, assert_all_heard, listeners

_USERS = [f"user{n}" for n in range(20)]
_BUDGET = 65_536
#: Less than the 16 MiB that RabbitMQ 4 takes at most, so that something larger can be published.
_LARGEST = 1_000_000


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    rates = "posts_per_second = 10000.0\nposts_burst = 10000"
    limits = f"{rates}\nbacklog_bytes = {_BUDGET}\nupstream_frame_bytes = {_LARGEST}"
    # Hundreds connect at once from threads, to a gateway whose coverage is measured.
    return {"extra": f"[limits]\n{limits}\n", "auth": "connect_timeout = 60.0"}


@pytest.fixture
def cluster(cluster_of_session: Cluster, gateway: GatewayProcess) -> Iterator[Cluster]:
    """Mended afterwards; the module's gateway goes on."""
    yield cluster_of_session
    cluster_of_session.start()
    gateway.await_ready()


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", *_USERS)


def topic(room: int) -> str:
    return f"/topic/{PREFIX}.public.{room}"


def subscribed_nodes(cluster: Cluster, room: int) -> list[str]:
    """The nodes that run of the queues that are bound to the room's public topic.

    RabbitMQ 4.3 keeps the bindings of an exclusive queue whose node is gone until that is back.
    """
    running = {f"r{number}" for number in cluster.running()}
    nodes = [queue["node"].partition("@")[0] for queue in _subscriptions(cluster, room)]
    return [node for node in nodes if node in running]


def fill(gateway: GatewayProcess, room: int, count: int) -> None:
    """Post so many messages, by ten members at once."""
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(connected(gateway, user)) for user in _USERS[:10]]
        for n in range(count - len(writers)):
            writers[n % 10].send("SEND", {"destination": topic(room)}, b"%d" % n)
        for writer in writers:
            # A client's frames are carried out one after the other.
            writer.request("SEND", {"destination": topic(room)}, b"last")


def _subscriptions(cluster: Cluster, room: int) -> list[dict[str, Any]]:
    found = []
    for node in cluster.nodes:
        bindings = node.management(
            "GET", f"/api/exchanges/%2F/{EXCHANGE}/bindings/source", cluster.admin
        )
        if bindings is None:
            continue
        for binding in bindings:
            if binding["routing_key"] == f"{PREFIX}.public.{room}":
                name = quote(binding["destination"], safe="")
                queue = node.management("GET", f"/api/queues/%2F/{name}", cluster.admin)
                if queue is not None:
                    found.append(queue)
        break
    return sorted(found, key=lambda queue: str(queue.get("node")))


def problems(gateway: GatewayProcess) -> dict[str, str]:
    """The problems that the internal listener names."""
    connection = HTTPConnection("127.0.0.1", gateway.internal_port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        found = json.loads(connection.getresponse().read())["problems"]
        assert isinstance(found, dict)
        return found
    finally:
        connection.close()


def number(cluster: Cluster, name: str) -> int:
    return next(n.number for n in cluster.nodes if n.name.startswith(f"{name}@"))


def test_a_topic_costs_the_broker_two_queues_on_two_nodes_however_many_listen(
    gateway: GatewayProcess, cluster_of_session: Cluster, room: int
) -> None:
    with listeners(gateway, _USERS * 2, topic(room)) as heard:
        nodes = wait_for(
            lambda: subscribed_nodes(cluster_of_session, room), wanted=lambda n: len(n) >= 2
        )
        assert len(nodes) == len(set(nodes)) == 2
        assert all(nodes_of(cluster_of_session, user) == [] for user in _USERS)
        gateway.post(room, "hana", "hello")
        assert_all_heard(heard, 1, 1)
        assert len({listener.bodies[0] for listener in heard}) == 1


def test_messages_posted_after_the_receipt_are_never_missed(
    gateway: GatewayProcess, connect: Connect
) -> None:
    client = connect("hana")
    for n in range(25):
        room = gateway.room("hana")
        for m in range(4):
            client.subscribe(topic(room), f"{n}.{m}")
            _, receipt = gateway.post(room, "hana", [n, m])
            message = client.message()
            assert message.headers["subscription"] == f"{n}.{m}"
            assert message.json["body"] == [n, m]
            assert message.json["seq"] == receipt["seq"] == m + 1
            client.request("UNSUBSCRIBE", {"id": f"{n}.{m}"})


def test_two_hundred_resume_at_once_while_posts_go_on(gateway: GatewayProcess, room: int) -> None:
    with Posting([gateway], room, "hana") as posting:
        fill(gateway, room, 300)
        with listeners(gateway, _USERS * 10, topic(room), resume_after="17") as heard:
            posting.await_more(20)
            posting.__exit__()
            page = gateway.history(room, "hana", after=0, limit=1)
            assert_all_heard(heard, 18, page["head"])
            assert len({tuple(listener.bodies) for listener in heard}) == 1


def test_history_and_feeds_give_the_same_frames(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    live, resumed = connect("hana"), connect("user1")
    live.subscribe(topic(room))
    said = ["안녕", {"b": 1.5, "a": [None, True, 2**60, -0.0]}, "a:\\\n", ""]
    for body in said:
        assert gateway.post(room, "user0", body, type="t\u00fc")[0] == 201
    first = [live.message() for _ in said]
    # Read from the history, the gateway's own memory of the last messages aside.
    fill(gateway, room, 300)
    resumed.subscribe(topic(room), resume_after="0")
    assert [resumed.message() for _ in said] == first


def test_resuming_at_the_wrong_place_is_said_aloud(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    gateway.post(room, "hana", "one")
    client = connect("hana")
    client.send("SUBSCRIBE", {"destination": topic(room), "id": "s", "resume-after": "2"})
    error, code = client.error()
    assert (error.headers["message"], code) == ("invalid_request", 1002)
    assert b"beyond the last seq, 1" in error.body


def test_messages_of_other_producers_pass_once_in_their_order(
    gateway: GatewayProcess, cluster_of_session: Cluster, room: int
) -> None:
    said: list[tuple[bytes, dict[str, Any]]] = []
    for n in range(50):
        said += [
            (b"%d" % n, {"message_id": f"id {n}"}),
            (b"the same", {}),
            (b"\xff\x00%d" % n, {"content_type": "application/octet-stream"}),
            (b"", {"message_id": ""}),
            (b"dressed", {"headers": {"seq": 7, "x": "a:b\n", "many": [1, {"y": True}]}}),
        ]
    ours = {"room": str(room), "audience": "public", "sender": "hana", "importance": "guaranteed"}
    said += [
        (b"forged", {"headers": {**ours, "seq": seq, "Seq": "8"}, "message_id": seq[:99]})
        for seq in ("9" * 60, "9" * 5000, "1", "007", "-1")
    ]
    with listeners(gateway, _USERS[:3], topic(room)) as heard:
        wait_for(lambda: subscribed_nodes(cluster_of_session, room), wanted=lambda n: len(n) == 2)
        with amqp(cluster_of_session) as channel:
            channel.confirm_delivery()
            no_text = pika.BasicProperties(headers={"evil": "\0"})
            channel.basic_publish(EXCHANGE, f"{PREFIX}.public.{room}", b"left out", no_text)
            for body, properties in said:
                channel.basic_publish(
                    EXCHANGE, f"{PREFIX}.public.{room}", body, pika.BasicProperties(**properties)
                )
        gateway.post(room, "hana", "and ours")
        for each in heard:
            wait_for(lambda each=each: any("room" in frame.headers for frame in each.frames))  # type: ignore[misc]
            foreign = each.frames[:-1]
            assert [frame.body for frame in foreign] == [body for body, _ in said]
            assert foreign[0].headers["message-id"] == "id 0"
            assert foreign[2].headers["content-type"] == "application/octet-stream"
            # A client resumes by our headers, so nobody else's message has them.
            forged = [frame.headers for frame in foreign if frame.body == b"forged"]
            assert all(headers["importance"] == "guaranteed" for headers in forged)
            names = {name.lower() for frame in foreign for name in frame.headers}
            assert not {"seq", "room", "audience", "sender"} & names
            assert each.frames[-1].headers["seq"] == "1"


def test_a_message_that_is_too_large_costs_no_feed(
    gateway: GatewayProcess, cluster_of_session: Cluster, room: int
) -> None:
    with listeners(gateway, _USERS[:3], topic(room)) as heard:
        wait_for(lambda: subscribed_nodes(cluster_of_session, room), wanted=lambda n: len(n) == 2)
        before = len(gateway.log.read_text())
        left_out = 'gateway_feed_messages_left_out_total{why="too_large"}'
        assert f"{left_out} 0.0" in gateway.metrics()
        with amqp(cluster_of_session) as channel:
            channel.confirm_delivery()
            channel.basic_publish(EXCHANGE, f"{PREFIX}.public.{room}", b"x" * (2 * _LARGEST))
        gateway.post(room, "hana", "hello")
        assert_all_heard(heard, 1, 1)
        wait_for(lambda: f"{left_out} 2.0" in gateway.metrics())
        assert not re.findall(r"feed \d lost", gateway.log.read_text()[before:])


def test_instant_messages_pass_once(gateway: GatewayProcess, room: int) -> None:
    with listeners(gateway, _USERS[:3], topic(room)) as heard:
        for n in range(30):
            assert gateway.post(room, "hana", n, importance="instant")[0] == 201
        gateway.post(room, "hana", "the end")
        for listener in heard:
            wait_for(lambda listener=listener: listener.seqs)  # type: ignore[misc]
            bodies = [frame.json["body"] for frame in listener.frames]
            assert sorted(bodies[:-1]) == list(range(30))
            assert bodies[-1] == "the end"


def test_one_who_does_not_read_is_told_and_resumes_while_the_others_hear_everything(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    stalled, writer = connect("user0"), connect("hana")
    stalled.subscribe(topic(room))
    body = b"x" * 50_000
    count = 0
    with listeners(gateway, _USERS[1:6], topic(room)) as heard:
        # More than the kernel's buffers on both sides, by and by.
        while "closing with 4008 too_slow" not in gateway.log.read_text():
            count += 1
            writer.request("SEND", {"destination": topic(room)}, body)
            assert count < 1000
        seen = []
        while (frame := stalled.receive()).command == "MESSAGE":
            seen.append(int(frame.headers["seq"]))
        assert frame.headers["message"] == "too_slow"
        assert stalled.closed() == 4008
        assert seen == list(range(1, len(seen) + 1))
        assert_all_heard(heard, 1, count)
        again = connect("user0")
        again.subscribe(topic(room), resume_after=str(len(seen)))
        rest = [int(again.message().headers["seq"]) for _ in range(count - len(seen))]
        assert rest == list(range(len(seen) + 1, count + 1))


def test_a_subscription_with_acknowledgements_goes_by_a_relay_of_its_own(
    gateway: GatewayProcess, cluster_of_session: Cluster, connect: Connect, room: int
) -> None:
    client = connect("user7")
    client.subscribe(topic(room), ack="client")
    wait_for(lambda: nodes_of(cluster_of_session, "user7"))
    gateway.post(room, "hana", "hello")
    message = client.message()
    assert message.json["body"] == "hello"
    client.request("ACK", {"id": message.headers["ack"]})


def test_two_gateways_that_publish_at_once_are_heard_in_one_order(
    gateway: GatewayProcess, cluster_of_session: Cluster, room: int
) -> None:
    with (
        _beside(gateway, cluster_of_session, "") as other,
        listeners(gateway, _USERS[:5], topic(room)) as here,
        listeners(other, _USERS[:5], topic(room)) as there,
    ):
        with Posting([gateway, other] * 3, room, "hana") as posting:
            posting.await_more(200)
        assert_all_heard([*here, *there], 1, len(posting.receipts))


def test_passing_through_stays_possible(
    gateway: GatewayProcess, cluster_of_session: Cluster, room: int
) -> None:
    with (
        _beside(gateway, cluster_of_session, 'fanout = "passthrough"') as other,
        connected(other, "user8") as client,
    ):
        client.subscribe(topic(room))
        wait_for(lambda: nodes_of(cluster_of_session, "user8"))
        other.post(room, "hana", "hello")
        assert client.message().json["body"] == "hello"
        client.send("SUBSCRIBE", {"destination": topic(room), "id": "t", "resume-after": "0"})
        assert client.error()[0].headers["message"] == "invalid_request"


def test_it_is_the_same_under_tls(
    gateway: GatewayProcess,
    cluster_of_session: Cluster,
    room: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = tls.ensure(tmp_path / "tls")
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(pair.authority))
    extra = f'[server.tls]\ncertificate = "{pair.certificate}"\nkey = "{pair.key}"\n'
    with _beside(gateway, cluster_of_session, extra, authority=pair.authority) as other:
        fill(gateway, room, 300)
        with listeners(other, _USERS, topic(room), resume_after="0") as heard:
            with Posting([gateway] * 3, room, "hana") as posting:
                posting.await_more(50)
            assert_all_heard(heard, 1, 300 + len(posting.receipts))


def test_the_last_one_leaving_releases_the_topic_after_a_while(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    asyncio.run(_leave_and_come_back(cluster_of_session))


@pytest.mark.parametrize("fate", ["killed", "paused", "stopped"])
def test_nobody_notices_that_a_feed_s_node_is_gone(
    gateway: GatewayProcess, cluster: Cluster, room: int, fate: str
) -> None:
    with listeners(gateway, _USERS, topic(room)) as heard:
        nodes = wait_for(lambda: subscribed_nodes(cluster, room), wanted=lambda n: len(n) == 2)
        victim = number(cluster, nodes[0])
        with Posting([gateway] * 3, room, "hana") as posting:
            posting.await_more(30)
            {
                "killed": cluster.kill_node,
                "paused": cluster.pause_node,
                "stopped": cluster.stop_node,
            }[fate](victim)
            posting.await_more(60)
            # Replaced, on the node that is left.
            if fate == "paused":
                # As its supervisor would: what wakes up after so long finds itself partitioned.
                cluster.kill_node(victim)
            wait_for(
                lambda: subscribed_nodes(cluster, room),
                wanted=lambda n: len(n) == 2 and nodes[0] not in n,
            )
            posting.await_more(30)
        assert sorted(posting.receipts) == list(range(1, len(posting.receipts) + 1))
        assert_all_heard(heard, 1, len(posting.receipts))


def test_a_broker_that_makes_no_queue_for_a_while_costs_nobody_a_message(
    gateway: GatewayProcess, cluster: Cluster, room: int
) -> None:
    with (
        # Its posts wait for queues, too: 202.
        _beside(gateway, cluster, "", broker="confirm_timeout = 0.1") as other,
        listeners(gateway, _USERS[:3], topic(room)) as heard,
    ):
        fill(other, room, 91)
        assert_all_heard(heard, 1, 91)
        before = len(gateway.log.read_text())

        def lost() -> int:
            return len(re.findall(r"feed \d lost", gateway.log.read_text()[before:]))

        with metadata_held(cluster.node(1)):
            cut_feeds(cluster)
            wait_for(lost, wanted=lambda count: count == 2)
            # By a gateway that cannot tell this one of it.
            fill(other, room, 351)
            assert_all_heard(heard, 1, 442)
            with connected(gateway, "user9") as late:
                late.send(
                    "SUBSCRIBE",
                    {"destination": topic(room), "id": "s", "resume-after": "0", "receipt": "r"},
                )
                for seq in range(1, 443):
                    assert late.message().headers["seq"] == str(seq)
                receipt = late.receive()
                assert (receipt.command, receipt.headers["seq"]) == ("RECEIPT", "0")
            assert "topics without a feed" in problems(gateway)
        # The sessions that waited stand then: none was given up for another.
        wait_for(lambda: subscribed_nodes(cluster, room), wanted=lambda nodes: len(set(nodes)) == 2)
        assert lost() == 2
        gateway.post(room, "hana", "the end")
        assert_all_heard(heard, 1, 443)
        wait_for(lambda: "topics without a feed" not in problems(gateway))


def test_the_whole_cluster_may_go_and_come_back(
    gateway: GatewayProcess, cluster: Cluster, room: int
) -> None:
    with listeners(gateway, _USERS, topic(room)) as heard:
        with Posting([gateway] * 3, room, "hana") as posting:
            posting.await_more(20)
            cluster.stop()
            # Accepted all the same.
            posting.await_more(6)
            cluster.start()
            posting.await_more(20)
        assert_all_heard(heard, 1, len(posting.receipts), within=60)


async def _leave_and_come_back(cluster: Cluster) -> None:
    """A hub of our own, which lingers for a moment only."""

    class Empty:
        """A history without messages."""

        async def read(self, stream: Stream, *, after: int, limit: int, size: int = 0) -> Page:
            return Page([], head=0, first=1)

        async def heads(self, streams: Sequence[Stream]) -> dict[Stream, int]:
            return dict.fromkeys(streams, 0)

        async def read_state(
            self,
            stream: Stream,
            *,
            after: int,
            limit: int,
            until: int | None,
            veiled: bool,
            size: int,
        ) -> StatePage:
            return StatePage([], head=0, whole=True, complete=True)

    class Nobody:
        """A client that must never be ended."""

        writer: Any = None
        user: str | None = None

        def end(self, error: Exception | None) -> None:
            raise AssertionError(error)

    nodes = [Node(f"r{n.number}", n.web_stomp_url, n.amqp_url) for n in cluster.nodes]
    balancer = Balancer(nodes, clock=asyncio.get_running_loop().time, rng=SystemRandom())
    account = Credentials(cluster.gateway.name, cluster.gateway.password, "/")

    async def dial(number: int, node: Node) -> Connection:
        return await open_connection(
            node, account, timeout=5, name=f"test feed {number}", message_bytes=100_000
        )

    names = count(1)
    context = FeedContext(
        dial=dial,
        queue=lambda number: Topology(PREFIX).feed_queue("test", number, str(next(names))),
        witness=lambda *_: None,
        complaints=Complaints(LEFT_OUT, clock=asyncio.get_running_loop().time),
        leftovers=Leftovers(),
        ticker=Ticker(),
        rng=SystemRandom(),
    )
    feeds = Feeds(2, balancer=balancer, context=context, tasks=Tasks())
    hub = Hub(
        Topology(PREFIX),
        Empty(),
        feeds,
        budget=lambda: 1000,
        clock=Clock(),
        linger=0.5,
        tasks=Tasks(),
    )
    room, subscriber = 999_999, Subscriber(Nobody(), "s")
    stream = Stream(Audience.PUBLIC, room)

    async def until(wanted: Callable[[int], bool]) -> None:
        async with asyncio.timeout(20):
            while not wanted(len(await asyncio.to_thread(_subscriptions, cluster, room))):
                pass

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(hub.close)
        feeds.start()
        stack.push_async_callback(feeds.close)
        await hub.join(stream, subscriber, resume_after=None)
        await until(lambda count: count == 2)
        hub.leave(stream, subscriber)
        assert len(hub) == 1
        again = Subscriber(Nobody(), "s")
        await hub.join(stream, again, resume_after=None)
        hub.leave(stream, again)
        await until(lambda count: count == 0)
        assert len(hub) == 0
        last = Subscriber(Nobody(), "s")
        await hub.join(stream, last, resume_after=None)
        await until(lambda count: count == 2)


class _TlsGateway(GatewayProcess):
    """Serves https and wss."""

    authority: Path

    @contextlib.contextmanager
    def _request(
        self, method: str, path: str, body: object, headers: Any
    ) -> Iterator[HTTPResponse]:
        context = create_default_context(cafile=str(self.authority))
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        try:
            connection.request(method, path, None, dict(headers))
            yield connection.getresponse()
        finally:
            connection.close()


@contextlib.contextmanager
def _beside(
    gateway: GatewayProcess,
    cluster: Cluster,
    extra: str,
    *,
    authority: Path | None = None,
    broker: str = "",
) -> Iterator[GatewayProcess]:
    """Another gateway on the same database."""
    kind = GatewayProcess if authority is None else _TlsGateway
    limits = "[limits]\nposts_per_second = 10000.0\nposts_burst = 10000\n"
    other = kind(gateway.log.parent, cluster, number=1, extra=f"{extra}\n{limits}", broker=broker)
    if isinstance(other, _TlsGateway) and authority is not None:
        other.authority = authority
        other.ws_url = other.ws_url.replace("ws://", "wss://")
    try:
        other.start()
        other.await_ready()
        yield other
    finally:
        other.kill()
    other.assert_log_is_clean()
