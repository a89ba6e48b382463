"""Topics outside rooms, from the hub: RabbitMQ's own frames, through the loss of a node."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pika
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pika.adapters.blocking_connection import BlockingChannel

from devenv.cluster import Cluster
from tests.acceptance.broker_view import (
    amqp,
    nodes_of,
    nodes_of_feeds,
    on_khepri,
    queues,
    wait_for,
)
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.logins import SOON
from tests.acceptance.stomp_client import Closed, StompClient

_RULES = """
[[access]]
roles = ["service"]
subscribe = ["**"]
send = ["**"]

[[access]]
roles = ["apart"]
subscribe = ["/topic/#"]
send = ["/topic/#"]
shared = false
"""
#: The exchanges of the test: their names and types.
_EXCHANGES = {"shared.topic": "topic", "shared.direct": "direct", "shared.fanout": "fanout"}
#: What is subscribed, and what is published to an exchange by a key that it matches.
_DESTINATIONS = {
    "/topic/diff.one": ("amq.topic", "diff.one"),
    "/topic/word.*.b": ("amq.topic", "word.x y.b"),
    "/topic/words.#": ("amq.topic", "words.학교/%.c"),
    "/exchange/amq.direct/diff": ("amq.direct", "diff"),
    "/exchange/amq.fanout": ("amq.fanout", "any"),
    "/exchange/shared.topic/a.#": ("shared.topic", "a.b"),
    "/exchange/shared.direct/k": ("shared.direct", "k"),
    "/exchange/shared.fanout/ignored": ("shared.fanout", ""),
}
#: What differs from one subscriber to the next.
_OWN = re.compile(rb"^(subscription|message-id):.*$", re.MULTILINE)
_TOPIC = "/topic/loss.#"


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"tail": _RULES}


def _permit(cluster: Cluster) -> None:
    """Let the gateway read, and ask for the type of, what this test shares."""
    own = r"acdm\.mo\.interact\.|stomp-subscription-|amq\.gen-"
    reads = rf"^({own}|amq\.(topic|direct|fanout)$|shared\.)"
    cluster.node(1).control(
        "set_permissions", cluster.gateway.name, rf"^({own}|shared\.)", reads, reads
    )


@pytest.fixture
def exchanges(cluster: Cluster) -> Iterator[BlockingChannel]:
    _permit(cluster)
    with amqp(cluster) as channel:
        for name, kind in _EXCHANGES.items():
            channel.exchange_declare(name, kind, durable=True)
        channel.confirm_delivery()
        yield channel
        for name in _EXCHANGES:
            channel.exchange_delete(name)


def _direct(cluster: Cluster, number: int = 3) -> StompClient:
    """A client of RabbitMQ itself, as its administrator."""
    client = StompClient(cluster.node(number).web_stomp_url)
    admin = cluster.admin
    headers = {"accept-version": "1.2", "host": "/"}
    client.send("CONNECT", {**headers, "login": admin.name, "passcode": admin.password})
    assert client.receive().command == "CONNECTED"
    return client


def _through(gateway: GatewayProcess, role: str = "service") -> StompClient:
    client = StompClient(gateway.ws_url)
    assert client.connect(gateway.token("robot", role)).command == "CONNECTED"
    return client


def _shared(gateway: GatewayProcess) -> int:
    return _metric(gateway, "gateway_patterns")


def _metric(gateway: GatewayProcess, name: str) -> int:
    (line,) = (each for each in gateway.metrics().splitlines() if each.startswith(f"{name} "))
    return int(float(line.split()[1]))


def _payload(client: StompClient) -> bytes:
    while not (data := client.payload()).strip(b"\r\n"):
        pass
    head, blank, body = data.strip(b"\r\n").partition(b"\n\n")
    return _OWN.sub(rb"\1:...", head) + blank + body


_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_names = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)
_short = _texts.filter(lambda text: len(text.encode()) < 250)
_values = st.one_of(
    _texts,
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.none(),
    st.sampled_from([Decimal("1.5"), datetime(2026, 1, 2, tzinfo=UTC), [1, "two"], {"a": "b"}]),
)
_properties = st.fixed_dictionaries(
    {},
    optional={
        "content_type": _short,
        "content_encoding": _short,
        "headers": st.dictionaries(
            st.one_of(
                _names,
                st.sampled_from(
                    [
                        "subscription",
                        "destination",
                        "seq",
                        "receipt",
                        "content-length",
                        "message-id",
                    ]
                ),
            ),
            _values,
            max_size=5,
        ),
        "delivery_mode": st.sampled_from([1, 2]),
        "priority": st.integers(0, 255),
        "correlation_id": _short,
        "reply_to": st.one_of(
            _short, st.sampled_from(["/queue/q", "/topic/t", "/temp-queue/x", "amq.gen-1"])
        ),
        "expiration": st.integers(60_000, 10**9).map(str),
        "message_id": _short,
        "timestamp": st.integers(0, 2**40),
        "type": _short,
        "app_id": _short,
    },
)
_messages = st.lists(
    st.tuples(_properties, st.one_of(st.binary(max_size=300), _texts.map(str.encode))),
    min_size=1,
    max_size=8,
)


def test_the_hub_gives_the_frames_that_rabbitmq_gives(
    gateway: GatewayProcess, cluster: Cluster, exchanges: BlockingChannel
) -> None:
    compared = count()
    with ExitStack() as stack:
        pairs = []
        for destination, source in _DESTINATIONS.items():
            both = [stack.enter_context(each) for each in (_through(gateway), _direct(cluster))]
            for client in both:
                client.subscribe(destination)
            pairs.append((source, both))
        assert _shared(gateway) == len(_DESTINATIONS)

        # Without shrinking: what one failure leaves unread is taken for the next one's.
        @settings(
            max_examples=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=[Phase.generate],
        )
        @given(_messages)
        def compare(messages: list[tuple[dict[str, Any], bytes]]) -> None:
            for properties, body in messages:
                for source, _ in pairs:
                    exchanges.basic_publish(*source, body, pika.BasicProperties(**properties))
            for _, (through, direct) in pairs:
                for properties, _ in messages:
                    assert _payload(through) == _payload(direct), properties
                    next(compared)

        compare()
        assert gateway.relay_logins() == 0, "a relay has served somebody"
    assert next(compared) > 200


def test_overlapping_patterns_of_one_client_and_equal_messages_all_come(
    gateway: GatewayProcess, cluster: Cluster, exchanges: BlockingChannel
) -> None:
    wanted = {
        "a": "/topic/over.*",
        "b": "/topic/over.#",
        "c": "/topic/over.x",
        "d": "/topic/over.x",
    }
    with _through(gateway) as client:
        for id, destination in wanted.items():
            client.subscribe(destination, id=id)
        for _ in range(3):
            exchanges.basic_publish("amq.topic", "over.x", b"the same")
        frames = [client.message() for _ in range(3 * len(wanted))]
        by_id = [(frame.headers["subscription"], frame.body) for frame in frames]
        assert sorted(by_id) == sorted((id, b"the same") for id in wanted for _ in range(3))
        for id in wanted:
            own = [f.headers["message-id"] for f in frames if f.headers["subscription"] == id]
            assert len(set(own)) == 3
        client.request("UNSUBSCRIBE", {"id": "a"})
        exchanges.basic_publish("amq.topic", "over.x", b"after")
        assert sorted(client.message().headers["subscription"] for _ in range(3)) == ["b", "c", "d"]


def _pattern_queues(cluster: Cluster) -> set[str]:
    """The queues of patterns: each has the name of its feed's queue, and a number."""
    names = queues(cluster)
    return {name for name in names if name.rpartition(".")[0] in names and name[-1].isdigit()}


def test_many_followers_cost_one_queue_for_each_feed_which_goes_with_the_last(
    gateway: GatewayProcess, cluster: Cluster
) -> None:
    before = _pattern_queues(cluster)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(_through(gateway)).subscribe("/topic/many.#")
        made = wait_for(lambda: _pattern_queues(cluster) - before, wanted=lambda new: len(new) == 2)
    wait_for(lambda: made & queues(cluster), wanted=lambda left: not left, within=60)


@pytest.mark.parametrize(
    ("role", "destination", "headers"),
    [
        ("apart", "/topic/own.#", {}),
        ("service", "/topic/own.#", {"ack": "client"}),
        ("service", "/topic/own.#", {"x_queue_name": "own"}),
        ("service", "/exchange/amq.headers/own", {}),
        ("service", "/exchange/own.headers/own", {}),
        ("service", "/queue/own", {}),
    ],
)
def test_what_cannot_or_may_not_be_shared_has_a_relay(
    gateway: GatewayProcess,
    cluster: Cluster,
    exchanges: BlockingChannel,
    role: str,
    destination: str,
    headers: dict[str, str],
) -> None:
    exchanges.exchange_declare("own.headers", "headers", durable=True)
    with _through(gateway, role) as client:
        client.subscribe(destination, **headers)
        assert wait_for(lambda: nodes_of(cluster, "robot"))


def test_an_exchange_that_is_not_there_is_refused_and_not_made(
    gateway: GatewayProcess, cluster: Cluster, exchanges: BlockingChannel
) -> None:
    with _through(gateway) as other:
        other.subscribe("/topic/still.here")
        with _through(gateway) as client:
            client.send("SUBSCRIBE", {"id": "s", "destination": "/exchange/shared.none/k"})
            with suppress(Closed):
                assert client.receive().command == "ERROR"
        exchanges.basic_publish("amq.topic", "still.here", b"yes")
        assert other.message().body == b"yes"
    with amqp(cluster) as own, pytest.raises(pika.exceptions.ChannelClosedByBroker):
        own.exchange_declare("shared.none", passive=True)


class _Producer:
    """A producer of numbered messages; a hundred of them are followed by two that are always the
    same, at once."""

    def __init__(self, cluster: Cluster, *, rate: float) -> None:
        self.sent = 0
        self._cluster = cluster
        self._pause = 1 / rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Producer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with amqp(self._cluster, self._cluster.node(3)) as channel:
            while not self._stop.wait(self._pause):
                channel.basic_publish("amq.topic", "loss.numbered", b"%d" % self.sent)
                self.sent += 1
                if not self.sent % 100:
                    for _ in range(2):
                        channel.basic_publish("amq.topic", "loss.equal", b"tick")


@contextmanager
def _two_feeds(start_gateway: StartGateway, cluster: Cluster) -> Iterator[GatewayProcess]:
    """A gateway whose feeds are on the first two nodes, beside that of the module."""
    gateway = start_gateway(tail=_RULES, number=1, server='drain_time = 0.0\nname = "two-feeds"')
    gateway.use_nodes(1, 2)
    # A feed that was on the third one stays there until another one stands.
    wait_for(
        lambda: set(nodes_of_feeds(cluster, ".feed.two-feeds.")), wanted=lambda on: on == {1, 2}
    )
    yield gateway


def _kill(cluster: Cluster, number: int) -> Callable[[], None]:
    cluster.kill_node(number)
    return lambda: cluster.start_node(number)


def _pause(cluster: Cluster, number: int) -> Callable[[], None]:
    cluster.pause_node(number)
    return lambda: cluster.resume_node(number)


@pytest.mark.parametrize("lose", [_kill, _pause])
def test_the_loss_of_either_node_is_not_noticed(
    start_gateway: StartGateway,
    cluster: Cluster,
    lose: Callable[[Cluster, int], Callable[[], None]],
) -> None:
    with _two_feeds(start_gateway, cluster) as gateway, ExitStack() as stack:
        clients = [stack.enter_context(_through(gateway)) for _ in range(3)]
        for client in clients:
            client.subscribe(_TOPIC)
        with _Producer(cluster, rate=100) as producer:
            for number in (1, 2):
                wait_for(lambda: _metric(gateway, "gateway_patterns_alone") == 0, within=60)
                before = producer.sent
                back = lose(cluster, number)
                wait_for(lambda n=before: producer.sent > n + 300, within=60)  # type: ignore[misc]
                back()
            producer.stop()
        for client in clients:
            for number in range(producer.sent):
                assert client.message().body == b"%d" % number
                if not (number + 1) % 100:
                    assert [client.message().body for _ in range(2)] == [b"tick", b"tick"]


def test_both_feeds_gone_at_once_ends_the_subscriptions_and_says_why(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    with _two_feeds(start_gateway, cluster) as gateway, _through(gateway) as client:
        client.subscribe(_TOPIC)
        for number in (1, 2):
            cluster.pause_node(number)
        try:
            error, code = client.error()
        finally:
            for number in (1, 2):
                cluster.resume_node(number)
        assert (error.headers["message"], code) == ("broker_unavailable", 1012)


def test_a_follower_that_does_not_read_costs_the_others_nothing(
    gateway: GatewayProcess, cluster: Cluster, exchanges: BlockingChannel
) -> None:
    with _through(gateway) as slow, _through(gateway) as quick:
        slow.subscribe("/topic/slow.#")
        quick.subscribe("/topic/slow.#")
        began = time.monotonic()
        for number in range(400):
            exchanges.basic_publish("amq.topic", "slow.x", b"%d " % number + b"x" * 50_000)
            assert quick.message().body.startswith(b"%d " % number)
        assert time.monotonic() - began < 30
        gateway.await_logged("closing with 4008 too_slow")


_FEWER_RULES = """
[[access]]
roles = ["service"]
subscribe = ["/topic/stays.#"]
send = ["/queue/gone.rpc"]
"""


def test_rules_that_are_withdrawn_end_what_they_have_opened_by_the_hub_or_by_a_relay(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(tail=_RULES, number=1)
    with ExitStack() as stack:
        by_hub, stays, asks = (stack.enter_context(_through(gateway)) for _ in range(3))
        by_relay = stack.enter_context(_through(gateway, "apart"))
        by_hub.subscribe("/topic/gone.a")
        by_relay.subscribe("/topic/gone.b")
        stays.subscribe("/topic/stays.a")
        asks.request(
            "SEND", {"destination": "/queue/gone.rpc", "reply-to": "/temp-queue/answers"}, b"?"
        )
        gateway.use_tail(_FEWER_RULES)
        gateway.await_logged("reloaded: access")
        began = time.monotonic()
        for client in (by_hub, by_relay, asks):
            error, code = client.error()
            assert (error.headers["message"], code) == ("removed", 4003)
        assert time.monotonic() - began < SOON
        with amqp(cluster) as channel:
            for topic in ("gone.a", "gone.b", "stays.a"):
                channel.basic_publish("amq.topic", topic, topic.encode())
        assert stays.message().body == b"stays.a"


def test_a_pattern_that_gets_what_amqp_cannot_write_has_relays_and_the_others_are_shared(
    gateway: GatewayProcess, cluster: Cluster
) -> None:
    """RabbitMQ breaks off both feeds with each such message, and does not say for whom it was."""
    unwritable = {"destination": "/topic/unwritable.x", "correlation-id": "c" * 300}
    with _direct(cluster) as producer:
        if on_khepri():
            # RabbitMQ 4.3 ends the producer's session instead, and gives the message to nobody.
            with _through(gateway) as client, _direct(cluster) as other:
                client.subscribe("/topic/unwritable.#")
                with pytest.raises(Closed):
                    producer.request("SEND", unwritable)
                other.request("SEND", {"destination": "/topic/unwritable.x"}, b"well")
                assert client.message().body == b"well"
            return

        def is_found() -> bool:
            with _through(gateway) as client:
                client.subscribe("/topic/unwritable.#")
                producer.request("SEND", unwritable)
                client.receive()
            return "its clients are served by relays" in gateway.log.read_text()

        wait_for(is_found, within=60)
        with _through(gateway) as calm, _through(gateway) as client:
            client.subscribe("/topic/unwritable.#")
            logins = gateway.relay_logins()
            calm.subscribe("/topic/calm.#")
            assert gateway.relay_logins() == logins, "a relay serves it"
            for _ in range(3):
                producer.request("SEND", unwritable)
                assert client.message().headers["correlation-id"] == "c" * 300
            producer.request("SEND", {"destination": "/topic/calm.x"}, b"calm")
            assert calm.message().body == b"calm"
