"""RabbitMQ's own users: login and passcode of CONNECT, judged by RabbitMQ as it judges them without
the gateway."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_accounts import Accounts
from tests.acceptance.broker_view import wait_for
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Received, StompClient

APP = "webapp"
LIFETIME = 2.0
#: More guesses at one login are slowed down.
_GUESSES = 5


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {
        "auth": f"[auth.rabbitmq]\nrights_lifetime = {LIFETIME}",
        "broker": 'vhosts = ["billing", "empty"]',
        "tail": '[[access]]\nroles = ["clerk"]\nvhosts = ["billing"]\nsubscribe = ["/topic/#"]\n'
        'send = ["/topic/#"]\n',
    }


@pytest.fixture
def accounts(cluster_of_session: Cluster) -> Iterator[Accounts]:
    made = Accounts(cluster_of_session)
    for vhost in ("billing", "empty"):
        made.vhost(vhost)
    yield made
    made.clean_up()


@pytest.fixture
def password(accounts: Accounts, gateway: GatewayProcess) -> str:
    """The password of the user `webapp`, who may do everything in "/" and "billing"."""
    chosen = secrets.token_urlsafe(18)
    accounts.user(APP, chosen)
    accounts.permit(APP)
    accounts.permit(APP, vhost="billing")
    gateway.never_shows(chosen)
    return chosen


@pytest.fixture
def single(accounts: Accounts, gateway: GatewayProcess) -> tuple[str, str]:
    """A user of one test alone, with the password: RabbitMQ lists connections that have ended for
    some seconds more."""
    user, chosen = f"single-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    accounts.user(user, chosen)
    accounts.permit(user)
    gateway.never_shows(chosen)
    return user, chosen


@pytest.fixture
def clients(gateway: GatewayProcess) -> Iterator["Clients"]:
    with ExitStack() as stack:
        yield Clients(gateway, stack)


class Clients:
    """Connections through the gateway and straight to a node, closed with the test."""

    def __init__(self, gateway: GatewayProcess, stack: ExitStack) -> None:
        self._gateway = gateway
        self._stack = stack

    def connect(self, passcode: str, login: str = APP, **headers: str) -> StompClient:
        client = self.open()
        answer = log_in(client, login=login, passcode=passcode, **headers)
        assert answer.command == "CONNECTED", answer
        return client

    def open(self) -> StompClient:
        return self._stack.enter_context(StompClient(self._gateway.ws_url))

    def direct(self) -> StompClient:
        node = self._gateway.cluster.node(1)
        return self._stack.enter_context(StompClient(node.web_stomp_url))


def log_in(client: StompClient, **headers: str) -> Received:
    client.send("CONNECT", {"accept-version": "1.2", **headers})
    return client.receive()


def _relays(gateway: GatewayProcess, user: str) -> list[dict[str, Any]]:
    """RabbitMQ's own list of the user's connections."""
    node = gateway.cluster.node(1)
    found = node.management("GET", "/api/connections", gateway.cluster.admin) or []
    return [each for each in found if each["user"] == user]


def test_rabbitmqs_user_subscribes_and_sends_as_at_rabbitmq(
    clients: Clients, password: str, gateway: GatewayProcess
) -> None:
    asked = gateway.relay_logins()
    client = clients.connect(password, host="/")
    client.subscribe("/exchange/amq.topic/orders.*", id="1")
    client.send("BEGIN", {"transaction": "t"})
    client.send("SEND", {"destination": "/topic/orders.new", "transaction": "t"}, b"book")
    client.request("COMMIT", {"transaction": "t"})
    message = client.message()
    assert (message.body, message.headers["destination"]) == (b"book", "/topic/orders.new")
    client.request("DISCONNECT", {})
    assert client.closed() == 1000
    # RabbitMQ has asked the gateway nothing about its own user, as it does about all others.
    assert gateway.relay_logins() == asked
    clerk = clients.open()
    clerk.connect(gateway.token("carla", "clerk"), host="billing")
    clerk.request("SEND", {"destination": "/topic/orders.new"})
    assert gateway.relay_logins() > asked


def test_it_is_this_user_who_is_logged_in_at_rabbitmq(
    clients: Clients, single: tuple[str, str], gateway: GatewayProcess
) -> None:
    user, password = single
    client = clients.connect(password, user)
    client.subscribe("/queue/of-the-app", id="1")
    wait_for(lambda: _relays(gateway, user))


def test_a_login_that_rabbitmq_has_just_taken_costs_it_no_second_one(
    clients: Clients, single: tuple[str, str], gateway: GatewayProcess
) -> None:
    user, password = single
    first = clients.connect(password, user)
    wait_for(lambda: len(_relays(gateway, user)) == 1)
    others = [clients.connect(password, user) for _ in range(5)]
    for client in others:
        client.request("SEND", {"destination": "/gateway/ping"})
    first.request("SEND", {"destination": "/topic/orders.new"})
    others[0].request("SEND", {"destination": "/topic/orders.new"})
    # That one needed a relay, and is the last one to come.
    wait_for(lambda: len(_relays(gateway, user)) == 2)


@pytest.mark.parametrize(
    "headers",
    [
        {"passcode": "wrong", "host": "/"},
        {"passcode": "wrong"},
        {"login": "nobody"},
        {"host": "empty"},
        {"host": "nowhere"},
        {"host": "nowhere", "passcode": "wrong"},
        {"login": "guest", "passcode": "guest"},
    ],
    ids=str,
)
def test_a_login_is_refused_with_rabbitmqs_own_words(
    headers: dict[str, str], clients: Clients, password: str
) -> None:
    sent = {"login": APP, "passcode": password, **headers}
    client = clients.open()
    refused, directly = log_in(client, **sent), log_in(clients.direct(), **sent)
    same = ("message", "version", "content-type")
    assert [refused.headers.get(name) for name in same] == [
        directly.headers.get(name) for name in same
    ]
    # RabbitMQ 3.10 ends the line, 4.3 does not.
    assert refused.command == directly.command
    assert refused.body.removesuffix(b"\n") == directly.body.removesuffix(b"\n")
    assert client.closed() in (4001, 4003)


def test_the_gateways_own_account_is_not_for_clients(
    clients: Clients, accounts: Accounts, cluster_of_session: Cluster
) -> None:
    own = cluster_of_session.gateway
    client = clients.open()
    error = log_in(client, login=own.name, passcode=own.password)
    assert (error.headers["message"], client.closed()) == ("Bad CONNECT", 4001)


def test_guessing_at_a_login_is_slowed_down(
    clients: Clients, accounts: Accounts, gateway: GatewayProcess
) -> None:
    right = secrets.token_urlsafe(18)
    gateway.never_shows(right)
    accounts.user("guessed", right)
    accounts.permit("guessed")
    for number in range(_GUESSES):
        error = log_in(clients.open(), login="guessed", passcode=f"guess {number}")
        assert error.headers["message"] == "Bad CONNECT"
    log_in(clients.open(), login="guessed", passcode="one more")
    client = clients.open()
    error = log_in(client, login="guessed", passcode=right)
    assert (error.headers["message"], client.closed()) == ("too_many_guesses", 1013)
    assert int(error.headers["retry-after"]) > 0


def test_a_token_as_passcode_stays_a_token(clients: Clients, gateway: GatewayProcess) -> None:
    room = gateway.room("hana", "paul")
    client = clients.open()
    assert log_in(client, login="paul", passcode=gateway.token("paul")).command == "CONNECTED"
    client.subscribe(f"/topic/{PREFIX}.public.{room}")
    gateway.post(room, "hana", "hello")
    assert client.message().json["body"] == "hello"


@pytest.mark.parametrize(
    "destination",
    [
        "/topic/{prefix}.public.{room}",
        "/topic/#",
        "/topic/*.*.interact.public.*",
        "/exchange/amq.topic/#",
        "/exchange/amq.topic/{prefix}.private.{room}",
        "/exchange/{prefix}.kept/#",
        "/queue/{prefix}.private.{room}",
        "/amq/queue/{prefix}.private.{room}",
        "/topic/{prefix}.gateways",
    ],
)
def test_rooms_are_closed_to_rabbitmqs_users_whatever_rabbitmq_permits(
    destination: str, clients: Clients, password: str, gateway: GatewayProcess
) -> None:
    room = gateway.room("hana", APP)
    client = clients.connect(password)
    named = destination.format(prefix=PREFIX, room=room)
    client.send("SUBSCRIBE", {"destination": named, "id": "1"})
    error, code = client.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)


@pytest.mark.parametrize(
    "destination", ["/topic/{prefix}.public.{room}", "/exchange/amq.fanout/{prefix}.public.{room}"]
)
def test_nobody_posts_to_a_room_by_a_login_of_rabbitmq(
    destination: str, clients: Clients, password: str, gateway: GatewayProcess
) -> None:
    room = gateway.room("hana", APP)
    client = clients.connect(password)
    named = destination.format(prefix=PREFIX, room=room)
    client.send("SEND", {"destination": named}, b"forged")
    error, code = client.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)
    assert gateway.history(room, "hana")["messages"] == []


def test_a_room_queue_is_not_taken_by_its_name_in_a_header(
    clients: Clients, password: str, gateway: GatewayProcess
) -> None:
    room = gateway.room("hana")
    queue = f"{PREFIX}.private.{room}"
    client = clients.connect(password)
    client.send("SUBSCRIBE", {"destination": "/topic/a", "id": "1", "x-queue-name": queue})
    assert client.error()[0].headers["message"] == "access_refused"


def test_what_rabbitmq_refuses_a_user_is_refused(
    clients: Clients, accounts: Accounts, password: str
) -> None:
    accounts.permit_topics(APP, read=r"^news\.")
    client = clients.connect(password)
    client.subscribe("/topic/news.today", id="1")
    client.send("SUBSCRIBE", {"destination": "/topic/secret", "id": "2", "receipt": "r"})
    while (frame := client.receive()).command != "ERROR":
        assert frame.command != "RECEIPT"
    client.closed()


def test_host_chooses_the_virtual_host(clients: Clients, password: str) -> None:
    here, billing = clients.connect(password, host="/"), clients.connect(password, host="billing")
    for client in (here, billing):
        client.subscribe("/topic/invoices", id="1")
    # It is a room's name in the other one only.
    billing.subscribe(f"/topic/{PREFIX}.public.1", id="2")
    billing.request("SEND", {"destination": f"/topic/{PREFIX}.public.1"}, b"no room")
    billing.request("SEND", {"destination": "/topic/invoices"}, b"in billing")
    here.request("SEND", {"destination": "/topic/invoices"}, b"here")
    assert [billing.message().body for _ in range(2)] == [b"no room", b"in billing"]
    assert here.message().body == b"here"


def test_a_token_opens_in_a_virtual_host_what_the_rules_for_it_open(
    clients: Clients, password: str, gateway: GatewayProcess
) -> None:
    app = clients.connect(password, host="billing")
    app.subscribe("/topic/invoices", id="1")
    clerk = clients.open()
    assert clerk.connect(gateway.token("carla", "clerk"), host="billing").command == "CONNECTED"
    clerk.request("SEND", {"destination": "/topic/invoices"}, b"paid")
    assert app.message().body == b"paid"
    clerk.send("SUBSCRIBE", {"destination": "/queue/other", "id": "1"})
    assert clerk.error()[0].headers["message"] == "access_refused"


def test_a_rule_for_one_virtual_host_opens_nothing_in_another(
    clients: Clients, accounts: Accounts, gateway: GatewayProcess
) -> None:
    clerk = clients.open()
    clerk.connect(gateway.token("carla", "clerk"), host="/")
    clerk.send("SEND", {"destination": "/topic/invoices"}, b"paid")
    assert clerk.error()[0].headers["message"] == "access_refused"


def test_the_hub_serves_a_topic_as_long_as_rabbitmq_lets_the_user_read_it(
    clients: Clients, accounts: Accounts, single: tuple[str, str], gateway: GatewayProcess
) -> None:
    user, password = single
    accounts.permit_topics(user, read=r"^(shared|news)\.")
    followers = [clients.connect(password, user) for _ in range(2)]
    for follower in followers:
        follower.subscribe("/topic/shared.#")
    followers[0].subscribe("/topic/news.a", id="2")
    clients.connect(password, user).request("SEND", {"destination": "/topic/shared.a"}, b"hello")
    for follower in followers:
        assert follower.message().body == b"hello"
    assert len(_relays(gateway, user)) <= 1, "only who has sent has a relay"
    accounts.permit_topics(user, read=r"^news\.")
    for follower in followers:
        error, code = follower.error()
        assert (error.headers["message"], code) == ("broker_refused", 4003)
        assert b"shared.#" in error.body


def test_a_user_who_is_removed_is_gone_within_the_lifetime_of_the_answer(
    clients: Clients, accounts: Accounts, password: str
) -> None:
    relayed, known = clients.connect(password), clients.connect(password)
    relayed.subscribe("/topic/orders", id="1", ack="client")
    accounts.remove(APP)
    # RabbitMQ ends the session of the one, with a subscription that nobody can take along.
    assert relayed.error()[1] == 1012
    error, code = known.error()
    assert (error.headers["message"], error.body, code) == (
        "Bad CONNECT",
        b"Access refused for user 'webapp'\n",
        4001,
    )
    assert log_in(clients.open(), login=APP, passcode=password).command == "ERROR"


def test_a_login_ends_with_its_password(
    clients: Clients, accounts: Accounts, password: str, gateway: GatewayProcess
) -> None:
    before = clients.connect(password)
    other = secrets.token_urlsafe(18)
    gateway.never_shows(other)
    accounts.user(APP, other)
    after = clients.connect(other)
    assert before.error()[1] == 4001
    after.request("SEND", {"destination": "/topic/orders"})


def test_a_login_ends_with_the_permission_for_the_virtual_host(
    clients: Clients, accounts: Accounts, password: str, cluster_of_session: Cluster
) -> None:
    client, elsewhere = clients.connect(password, host="billing"), clients.connect(password)
    admin = cluster_of_session.admin
    node = cluster_of_session.node(1)
    assert node.management("DELETE", f"/api/permissions/billing/{APP}", admin) is not None
    assert client.error()[1] in (4001, 4003)
    elsewhere.request("SEND", {"destination": "/topic/orders"})


def test_no_passcode_is_written_anywhere(
    clients: Clients, password: str, gateway: GatewayProcess
) -> None:
    client = clients.connect(password)
    client.request("SEND", {"destination": "/topic/orders"})
    status, connections = gateway.call(
        "GET", "/api/admin/connections", user="ann", roles=("admin",)
    )
    assert status == 200
    assert password not in str(connections)
    assert password not in gateway.metrics()
    for file in Path(gateway.log).parent.iterdir():
        assert password.encode() not in file.read_bytes(), file.name


def test_a_login_without_a_passcode_is_refused(clients: Clients, accounts: Accounts) -> None:
    client = clients.open()
    error = log_in(client, login=APP)
    assert error.command == "ERROR"
    assert client.closed() == 4001


def test_what_a_refused_client_still_sends_goes_nowhere(
    clients: Clients, password: str, gateway: GatewayProcess
) -> None:
    listener = clients.connect(password)
    listener.subscribe("/topic/orders", id="1")
    client = clients.open()
    client.send("CONNECT", {"accept-version": "1.2", "login": APP, "passcode": "wrong"})
    client.send("SEND", {"destination": "/topic/orders"}, b"smuggled")
    assert client.closed() == 4001
    listener.request("SEND", {"destination": "/topic/orders"}, b"sentinel")
    assert listener.message().body == b"sentinel"


def test_after_the_loss_of_its_node_the_relay_logs_in_elsewhere_as_the_same_user(
    clients: Clients, single: tuple[str, str], gateway: GatewayProcess, cluster: Cluster
) -> None:
    user, password = single
    client = clients.connect(password, user)
    client.request("SEND", {"destination": "/topic/orders"}, b"before")
    (relay,) = wait_for(lambda: _relays(gateway, user))
    lost = next(node for node in cluster.nodes if relay["node"] == node.name)
    other = next(node for node in cluster.nodes if node is not lost)
    cluster.kill_node(lost.number)

    def moved() -> bool:
        found = other.management("GET", "/api/connections", cluster.admin) or []
        return any(each["user"] == user and each["node"] != lost.name for each in found)

    wait_for(moved)
    client.request("SEND", {"destination": "/topic/orders"}, b"after")
