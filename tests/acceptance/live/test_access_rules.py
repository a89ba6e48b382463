"""Access rules: with `**` the gateway is as good as RabbitMQ; with less it opens just that."""

import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import websocket

from devenv.cluster import Cluster
from tests.acceptance.broker_view import bound, queues, wait_for
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Received, StompClient

_RULES = """
[[access]]
roles = ["service"]
subscribe = ["**"]
send = ["**"]

[[access]]
roles = ["clerk"]
subscribe = ["/queue/orders.*", "/topic/news.#"]
send = ["/queue/orders.*", "/topic/news.#"]
"""
#: What differs from one connection to the next.
_OWN = re.compile(
    r"session-[\w=-]+@@\d+|amq\.gen-[\w=-]+|stomp-subscription-[\w=-]+|T_[^@]*@@|Q_[^@]*@@"
)


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"extra": "", "tail": _RULES}


@pytest.fixture
def both(gateway: GatewayProcess, cluster_of_session: Cluster) -> Iterator[list[StompClient]]:
    """The same service through the gateway, and straight to RabbitMQ as its administrator."""
    with ExitStack() as stack:
        through = stack.enter_context(StompClient(gateway.ws_url))
        direct = stack.enter_context(StompClient(cluster_of_session.node(1).web_stomp_url))
        admin = cluster_of_session.admin
        assert through.connect(gateway.token("robot", "service")).command == "CONNECTED"
        direct.send(
            "CONNECT",
            {
                "accept-version": "1.2",
                "host": "/",
                "login": admin.name,
                "passcode": admin.password,
            },
        )
        assert direct.receive().command == "CONNECTED"
        yield [through, direct]


def _frames(client: StompClient, count: int) -> list[tuple[str, dict[str, str], bytes]]:
    """The next so many frames in an order of their own: confirms and deliveries race."""
    return sorted((_comparable(client.receive()) for _ in range(count)), key=repr)


def _comparable(frame: Received) -> tuple[str, dict[str, str], bytes]:
    return (
        frame.command,
        {name: _OWN.sub("…", value) for name, value in frame.headers.items()},
        frame.body,
    )


#: What is sent, and how many frames RabbitMQ answers it with.
CONVERSATIONS = {
    "a queue": (
        3,
        [
            "SUBSCRIBE\nid:s\ndestination:/queue/rules.a\nreceipt:1\n\n\0",
            "SEND\ndestination:/queue/rules.a\nx-own:1\nreceipt:2\n\nhello\0",
        ],
    ),
    "a topic with a wildcard": (
        3,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/rules.*.b\nreceipt:1\n\n\0",
            "SEND\ndestination:/topic/rules.x.b\nreceipt:2\n\nhello\0",
        ],
    ),
    "an exchange": (
        3,
        [
            "SUBSCRIBE\nid:s\ndestination:/exchange/amq.direct/rules.c\nreceipt:1\n\n\0",
            "SEND\ndestination:/exchange/amq.direct/rules.c\nreceipt:2\n\nhello\0",
        ],
    ),
    "a temp queue": (
        3,
        [
            "SUBSCRIBE\nid:s\ndestination:/queue/rules.d\nreceipt:1\n\n\0",
            "SEND\ndestination:/queue/rules.d\nreply-to:/temp-queue/mine\nreceipt:2\n\nask\0",
        ],
    ),
    "a committed transaction": (
        6,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/rules.e\nreceipt:1\n\n\0",
            "BEGIN\ntransaction:t\nreceipt:2\n\n\0",
            "SEND\ndestination:/topic/rules.e\ntransaction:t\n\ninside\0",
            "SEND\ndestination:/topic/rules.e\nreceipt:3\n\noutside\0",
            "COMMIT\ntransaction:t\nreceipt:4\n\n\0",
        ],
    ),
    "an aborted transaction": (
        4,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/rules.f\nreceipt:1\n\n\0",
            "BEGIN\ntransaction:t\n\n\0",
            "SEND\ndestination:/topic/rules.f\ntransaction:t\n\ninside\0",
            "ABORT\ntransaction:t\nreceipt:2\n\n\0",
            "SEND\ndestination:/topic/rules.f\nreceipt:3\n\noutside\0",
        ],
    ),
    "a named queue of a topic": (
        3,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/rules.g\nx-queue-name:rules.g\nreceipt:1\n\n\0",
            "SEND\ndestination:/topic/rules.g\nreceipt:2\n\nhello\0",
        ],
    ),
    "a durable subscription": (
        3,
        [
            "SUBSCRIBE\nid:rules.h\ndestination:/topic/rules.h\ndurable:true\nauto-delete:false\n"
            "receipt:1\n\n\0",
            "SEND\ndestination:/topic/rules.h\npersistent:true\nreceipt:2\n\nhello\0",
        ],
    ),
    "a room's topic, raw": (
        3,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/{prefix}.public.777\nreceipt:1\n\n\0",
            "SEND\ndestination:/topic/{prefix}.public.777\nreceipt:2\n\nby another producer\0",
        ],
    ),
    "every room": (
        3,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/{prefix}.public.#\nreceipt:1\n\n\0",
            "SEND\ndestination:/topic/{prefix}.public.778\nreceipt:2\n\nby another producer\0",
        ],
    ),
    "an unknown subscription": (
        2,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/rules.i\nreceipt:1\n\n\0",
            "UNSUBSCRIBE\nid:other\n\n\0",
        ],
    ),
    "an acknowledgement of nothing": (
        2,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/rules.j\nack:client\nreceipt:1\n\n\0",
            "ACK\nid:nothing\n\n\0",
        ],
    ),
    "a destination that is none": (
        2,
        [
            "SUBSCRIBE\nid:s\ndestination:/topic/rules.k\nreceipt:1\n\n\0",
            "SEND\ndestination:/nowhere/x\n\nhello\0",
        ],
    ),
}


@pytest.mark.parametrize(("count", "frames"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_the_same_frames_in_give_the_same_frames_out(
    count: int, frames: list[str], both: list[StompClient], cluster_of_session: Cluster
) -> None:
    theirs = ("stomp-subscription-", *re.findall(r"x-queue-name:(\S+)", "".join(frames)))
    heard = []
    for client in both:
        for frame in frames:
            client.socket.send_binary(frame.format(prefix=PREFIX).encode())
        heard.append(_frames(client, count))
        client.socket.close(timeout=1)
        cluster_of_session.delete_queues()
        # Exclusive ones end with their connection. RabbitMQ nacks a message that is routed to a
        # queue which is just being deleted, and a SEND that is nacked gets no RECEIPT.
        wait_for(lambda: not [q for q in queues(cluster_of_session) if q.startswith(theirs)])
    through, direct = heard
    assert through == direct


def test_a_request_is_answered_through_a_temp_queue(connect: Connect) -> None:
    server, client = connect("server", "service"), connect("client", "service")
    server.subscribe("/queue/rules.rpc")
    client.send(
        "SEND", {"destination": "/queue/rules.rpc", "reply-to": "/temp-queue/answers"}, b"6 x 7?"
    )
    asked = server.message()
    server.send("SEND", {"destination": asked.headers["reply-to"]}, b"42")
    answer = client.message()
    assert (answer.body, answer.headers["subscription"]) == (b"42", "/temp-queue/answers")


def test_bodies_that_are_no_text_pass_both_ways(connect: Connect) -> None:
    robot = connect("robot", "service")
    robot.subscribe("/topic/rules.binary")
    body = bytes(range(256)) * 4
    robot.send("SEND", {"destination": "/topic/rules.binary"}, body)
    assert robot.message().body == body


def test_a_body_of_a_mebibyte_passes_both_ways(connect: Connect) -> None:
    robot = connect("robot", "service")
    robot.subscribe("/topic/rules.large")
    body = bytes(range(256)) * 4096
    robot.send("SEND", {"destination": "/topic/rules.large"}, body)
    assert robot.message().body == body


def test_text_comes_in_text_frames_and_all_else_in_binary_ones(connect: Connect) -> None:
    robot = connect("robot", "service")
    robot.subscribe("/topic/rules.kinds")
    for body, kind in (
        ("한글".encode(), websocket.ABNF.OPCODE_TEXT),
        (b"\xff\xfe", websocket.ABNF.OPCODE_BINARY),
        (b"plain", websocket.ABNF.OPCODE_TEXT),
    ):
        robot.send("SEND", {"destination": "/topic/rules.kinds"}, body)
        opcode, payload = robot.socket.recv_data()
        assert (opcode, body in payload) == (kind, True)


def test_a_durable_subscription_keeps_what_comes_meanwhile(
    connect: Connect, cluster_of_session: Cluster
) -> None:
    topic = {"destination": "/topic/rules.durable", "id": "kept"}
    lasting = {"durable": "true", "auto-delete": "false"}
    first = connect("robot", "service")
    first.request("SUBSCRIBE", topic | lasting)
    first.request("DISCONNECT", {})
    connect("other", "service").request("SEND", {"destination": topic["destination"]}, b"kept")
    again = connect("robot", "service")
    again.request("SUBSCRIBE", topic | lasting)
    assert again.message().body == b"kept"
    assert len(bound(cluster_of_session, "rules.durable")) == 1
    again.request("UNSUBSCRIBE", topic | lasting)
    wait_for(lambda: not bound(cluster_of_session, "rules.durable"))


@pytest.mark.parametrize("destination", ["/queue/orders.eu", "/topic/news.kr.seoul", "/topic/news"])
def test_a_limited_rule_opens_what_it_says(destination: str, connect: Connect) -> None:
    clerk = connect("clara", "clerk")
    clerk.subscribe(destination)
    clerk.request("SEND", {"destination": destination}, b"hello")
    assert clerk.message().body == b"hello"


@pytest.mark.parametrize("destination", ["/topic/news.#", "/topic/news.*.seoul"])
def test_a_limited_rule_opens_wildcards_within_it(destination: str, connect: Connect) -> None:
    clerk = connect("clara", "clerk")
    clerk.subscribe(destination)
    clerk.request("SEND", {"destination": "/topic/news.kr.seoul"}, b"hello")
    assert clerk.message().body == b"hello"


@pytest.mark.parametrize(
    "headers",
    [
        {"destination": "/queue/orders"},
        {"destination": "/queue/orders.eu.de"},
        {"destination": "/amq/queue/orders.eu"},
        {"destination": "/topic/#"},
        {"destination": "/topic/*.kr"},
        {"destination": "/exchange/amq.topic/news.kr"},
        {"destination": "/topic/news.kr", "x-queue-name": "mine"},
        {"destination": "/topic/news.kr", "durable": "true"},
        {"destination": "/queue/orders.eu", "x-expires": "1"},
        {"destination": "/queue/orders.eu", "transaction": "t"},
        {"destination": "/queue/orders.eu", "reply-to": "/temp-queue/mine"},
        {"destination": "/topic/" + PREFIX + ".public.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["SUBSCRIBE", "SEND"])
def test_a_limited_rule_opens_nothing_else(
    command: str, headers: dict[str, str], connect: Connect
) -> None:
    clerk = connect("clara", "clerk")
    clerk.send(command, {"id": "s", **headers})
    error, code = clerk.error()
    assert error.headers["message"] in ("access_refused", "unknown_room", "invalid_request")
    assert code in (4003, 1002)


def test_a_rule_is_for_its_roles_only(connect: Connect) -> None:
    nobody = connect("nina")
    nobody.send("SUBSCRIBE", {"destination": "/queue/orders.eu", "id": "s"})
    assert nobody.error()[1] == 4003


@pytest.mark.parametrize("kind", ["/topic", "/exchange/amq.topic"])
@pytest.mark.parametrize("command", ["SUBSCRIBE", "SEND"])
def test_not_even_two_stars_open_what_gateways_say_to_each_other(
    kind: str, command: str, connect: Connect, gateway: GatewayProcess
) -> None:
    robot = connect("robot", "service")
    destination = f"{kind}/{PREFIX}.gateways"
    robot.send(command, {"id": "s", "destination": destination, "receipt": "1"}, b"forged")
    # RabbitMQ 3.10 closes at once, and its ERROR may be lost (rabbitmq-server#6737).
    assert robot.closed() != 1000
    assert 'outcome="forged"} 0.0' in gateway.metrics()


def test_a_subscriber_of_everything_cannot_read_the_messages_among_gateways(
    connect: Connect,
) -> None:
    robot = connect("robot", "service")
    robot.subscribe(f"/topic/{PREFIX}.*")
    sealed = b64decode(robot.message().body, validate=True)
    assert b"beat" not in sealed
