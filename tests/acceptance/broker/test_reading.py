"""RabbitMQ says to the gateway what it would say to its user's own SUBSCRIBE."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence

import pytest

from broker.dialling import LoginRefused
from broker.feeds.reading import QUEUE_PREFIX, Source, may_read
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from devenv.cluster import Cluster
from tests.acceptance.broker_accounts import Accounts
from tests.acceptance.broker_view import amqp, wait_for
from tests.acceptance.stomp_client import Closed, StompClient

pytestmark = pytest.mark.cluster

_USER = "reader"
_EXCHANGES = {"told": "topic", "straight": "direct", "loud": "fanout", "closed": "topic"}
_SOURCES: tuple[Source, ...] = (
    ("amq.topic", "news.today"),
    ("amq.topic", "news.#"),
    ("amq.topic", "news.*.x"),
    ("amq.topic", "secret"),
    ("amq.topic", "#"),
    ("told", "anything"),
    ("told", "#"),
    ("straight", "k"),
    ("loud", ""),
    ("closed", "k"),
    ("missing", "k"),
)


@pytest.fixture
def passcode(cluster: Cluster) -> Iterator[str]:
    """Of a user who may read some exchanges, and `amq.topic` below `news` only."""
    accounts, chosen = Accounts(cluster), secrets.token_urlsafe(12)
    accounts.user(_USER, chosen)
    accounts.permit(
        _USER,
        configure="^stomp-subscription-",
        write="^stomp-subscription-",
        read=r"^(stomp-subscription-.*|amq\.topic|told|straight|loud|missing)$",
    )
    accounts.permit_topics(_USER, read=r"^news\.")
    with amqp(cluster) as channel:
        for name, kind in _EXCHANGES.items():
            channel.exchange_declare(name, kind)
        yield chosen
        for name in _EXCHANGES:
            channel.exchange_delete(name)
    accounts.clean_up()


def ask(
    node: Node, passcode: str, sources: Sequence[Source], *, vhost: str = "/"
) -> Mapping[Source, str | None]:
    return asyncio.run(
        may_read(
            node,
            Credentials(_USER, passcode, vhost),
            sources,
            queue=f"{QUEUE_PREFIX}{secrets.token_hex(16)}",
            timeout=10,
            tls=None,
        )
    )


def _queues(cluster: Cluster) -> list[str]:
    found = cluster.node(1).management("GET", "/api/queues", cluster.admin)
    assert found is not None
    return [queue["name"] for queue in found if queue["name"].startswith(QUEUE_PREFIX)]


def _subscribes(cluster: Cluster, passcode: str, source: Source) -> bool:
    """Whether the user's own SUBSCRIBE at Web-STOMP stands."""
    exchange, key = source
    with StompClient(cluster.node(1).web_stomp_url) as client:
        client.send(
            "CONNECT",
            {"accept-version": "1.2", "host": "/", "login": _USER, "passcode": passcode},
        )
        assert client.receive().command == "CONNECTED"
        destination = f"/exchange/{exchange}/{key}" if key else f"/exchange/{exchange}"
        client.send("SUBSCRIBE", {"destination": destination, "id": "1", "receipt": "r"})
        try:
            return client.receive().command == "RECEIPT"
        except Closed:
            return False


def test_the_answers_are_those_of_the_users_own_subscribe(
    cluster: Cluster, nodes: list[Node], passcode: str
) -> None:
    answers = ask(nodes[1], passcode, _SOURCES)
    directly = {source: _subscribes(cluster, passcode, source) for source in _SOURCES}
    assert {source: reason is None for source, reason in answers.items()} == directly
    assert directly[("amq.topic", "news.#")]
    assert not directly[("amq.topic", "#")]
    assert "access to topic 'secret'" in (answers["amq.topic", "secret"] or "")
    assert "no exchange 'missing'" in (answers["missing", "k"] or "")


def test_who_may_declare_no_queue_may_read_nothing(
    cluster: Cluster, nodes: list[Node], passcode: str
) -> None:
    Accounts(cluster).permit(_USER, configure="^$")
    answers = ask(nodes[0], passcode, _SOURCES[:2])
    assert all("ACCESS_REFUSED" in (reason or "") for reason in answers.values())


def test_a_question_leaves_no_queue_and_takes_no_message(
    cluster: Cluster, nodes: list[Node], passcode: str
) -> None:
    with amqp(cluster) as channel:
        for _ in range(3):
            channel.basic_publish("amq.topic", "news.today", b"x")
        assert ask(nodes[0], passcode, [("amq.topic", "news.#")]) == {("amq.topic", "news.#"): None}
    # RabbitMQ deletes it with the connection.
    wait_for(lambda: _queues(cluster), wanted=lambda names: not names)


@pytest.mark.parametrize(("wrong", "vhost"), [(True, "/"), (False, "nowhere")])
def test_a_login_that_rabbitmq_does_not_take_is_told_apart(
    wrong: bool, vhost: str, nodes: list[Node], passcode: str
) -> None:
    with pytest.raises(LoginRefused) as refused:
        ask(nodes[0], "wrong" if wrong else passcode, [], vhost=vhost)
    assert refused.value.message.startswith("403 " if wrong else "530 ")
    assert passcode not in str(refused.value)


def test_without_a_source_only_the_login_is_tried(nodes: list[Node], passcode: str) -> None:
    assert ask(nodes[0], passcode, []) == {}
