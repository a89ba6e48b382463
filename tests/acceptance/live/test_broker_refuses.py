"""RabbitMQ itself refuses, even if the gateway were not there to judge."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from devenv.cluster import Cluster
from gateway.auth.passcodes import LIFETIME, Passcodes
from gateway.auth.shared_secret import SharedSecret
from gateway.domain.identity import Identity
from tests.acceptance.broker_view import waiting, witness
from tests.acceptance.gateway_process import AUTH_SECRET, PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Closed, Received, StompClient


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def direct(cluster_of_session: Cluster) -> Iterator[StompClient]:
    """A connection straight to a node, as the gateway's network would allow."""
    with StompClient(cluster_of_session.node(1).web_stomp_url) as client:
        yield client


def passcode(user: str, *roles: str, age: float = 0.0) -> str:
    """As the gateway signs it for a dial, `age` seconds ago."""
    signer = Passcodes(SharedSecret(AUTH_SECRET), clock=lambda: time.time() - age)
    return signer.issue(Identity(user, frozenset(roles), time.time() + 3600))


def _log_in(client: StompClient, **headers: str) -> Received:
    client.send("CONNECT", {"accept-version": "1.2", "host": "/", **headers})
    return client.receive()


@pytest.mark.parametrize(
    "make",
    [
        lambda: {},
        lambda: {"login": "paul"},
        lambda: {"passcode": passcode("paul")},
        lambda: {"login": "guest", "passcode": "guest"},
        lambda: {"login": "paul", "passcode": ""},
        lambda: {"login": "paul", "passcode": "wrong"},
        lambda: {"login": "hana", "passcode": passcode("paul")},
        lambda: {"login": "PAUL", "passcode": passcode("paul")},
        lambda: {"login": "gateway", "passcode": passcode("gateway")[:-1]},
        lambda: {"login": "paul", "passcode": passcode("paul", age=LIFETIME + 30)},
        lambda: {"login": "paul", "passcode": passcode("paul")[:-2] + "AA"},
    ],
    ids=[
        "nothing",
        "no passcode",
        "no login",
        "guest",
        "an empty passcode",
        "a wrong passcode",
        "another's passcode",
        "another case",
        "the gateway's name",
        "an old passcode",
        "a changed passcode",
    ],
)
def test_a_login_without_a_signed_passcode_of_ones_own_is_refused(
    make: Callable[[], dict[str, str]], gateway: GatewayProcess, direct: StompClient
) -> None:
    answer = _log_in(direct, **make())
    assert (answer.command, answer.headers["message"]) == ("ERROR", "Bad CONNECT")


def test_a_users_token_is_no_passcode(gateway: GatewayProcess, direct: StompClient) -> None:
    answer = _log_in(direct, login="paul", passcode=gateway.token("paul"))
    assert answer.command == "ERROR"


def test_a_signed_passcode_logs_in(gateway: GatewayProcess, direct: StompClient) -> None:
    assert _log_in(direct, login="paul", passcode=passcode("paul")).command == "CONNECTED"


@pytest.mark.parametrize(
    "frame",
    [
        "SUBSCRIBE\nid:s\ndestination:/topic/{prefix}.public.{foreign}\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/topic/{prefix}.private.{room}\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/topic/{prefix}.public.*\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/topic/#\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/exchange/amq.topic/{prefix}.public.{foreign}\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/exchange/amq.topic/#\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/exchange/amq.fanout\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/amq/queue/{prefix}.private.{room}\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/queue/{prefix}.private.{room}\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/queue/anything\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/topic/{prefix}.public.{room}\nx-queue-name:mine\n\n\0",
        "SUBSCRIBE\nid:s\ndestination:/topic/{prefix}.public.{room}\n"
        "x-queue-name:{prefix}.private.{room}\n\n\0",
        "SEND\ndestination:/topic/{prefix}.public.{room}\n\nforged\0",
        "SEND\ndestination:/exchange/amq.topic/{prefix}.public.{room}\n\nforged\0",
        "SEND\ndestination:/queue/{prefix}.private.{room}\n\nforged\0",
        "SEND\ndestination:/amq/queue/{prefix}.private.{room}\n\nforged\0",
        "SEND\ndestination:/queue/anything\n\nforged\0",
        "SEND\ndestination:/queue/x\nreply-to:/temp-queue/y\n\nforged\0",
    ],
)
def test_the_broker_refuses_a_participant(
    frame: str,
    gateway: GatewayProcess,
    direct: StompClient,
    room: int,
    cluster_of_session: Cluster,
) -> None:
    foreign = gateway.room("olga")
    assert _log_in(direct, login="paul", passcode=passcode("paul")).command == "CONNECTED"
    with witness(cluster_of_session) as hears:
        filled = frame.format(prefix=PREFIX, room=room, foreign=foreign)
        direct.socket.send_binary(filled.encode())
        _refused(direct)
        assert hears.heard() == []
    assert waiting(cluster_of_session, f"{PREFIX}.private.{room}") == 0


def _refused(client: StompClient) -> None:
    """RabbitMQ 3.10 closes at once, and its ERROR may be lost (rabbitmq-server#6737)."""
    try:
        error = client.receive()
    except Closed:
        return
    assert error.command == "ERROR", error
    client.closed()


def test_the_broker_lets_members_hear_and_hosts_consume(
    gateway: GatewayProcess, room: int, cluster_of_session: Cluster
) -> None:
    node = cluster_of_session.node(2)
    with ExitStack() as stack:
        paul, hana = (stack.enter_context(StompClient(node.web_stomp_url)) for _ in range(2))
        _log_in(paul, login="paul", passcode=passcode("paul"))
        _log_in(hana, login="hana", passcode=passcode("hana"))
        paul.subscribe(f"/topic/{PREFIX}.public.{room}")
        hana.subscribe(f"/amq/queue/{PREFIX}.private.{room}")
        gateway.post(room, "hana", "to all")
        assert paul.message().json["body"] == "to all"
        assert hana.message().json["body"] == "to all"


def test_a_former_host_cannot_consume_any_more(
    gateway: GatewayProcess, room: int, direct: StompClient
) -> None:
    gateway.call("PUT", f"/api/rooms/{room}/members/hugo", {"role": "host"}, user="hana")
    assert _log_in(direct, login="hana", passcode=passcode("hana")).command == "CONNECTED"
    gateway.call("DELETE", f"/api/rooms/{room}/members/hana", user="hugo")
    direct.send("SUBSCRIBE", {"destination": f"/amq/queue/{PREFIX}.private.{room}", "id": "s"})
    _refused(direct)


def test_a_role_without_its_signature_opens_nothing(
    gateway: GatewayProcess, room: int, direct: StompClient, cluster_of_session: Cluster
) -> None:
    assert _log_in(direct, login="olga", passcode=passcode("olga")).command == "CONNECTED"
    direct.send("SUBSCRIBE", {"destination": f"/topic/{PREFIX}.public.{room}", "id": "s"})
    _refused(direct)
    with StompClient(cluster_of_session.node(1).web_stomp_url) as admin:
        signed = passcode("olga", "admin")
        assert _log_in(admin, login="olga", passcode=signed).command == "CONNECTED"
        admin.subscribe(f"/topic/{PREFIX}.public.{room}")
