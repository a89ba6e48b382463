"""No frame of a room reaches a non-member, by any trick of a destination or a header."""

from collections.abc import Iterator

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import Witness, queues, waiting, witness
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

#: Ways to ask for what is not one's own. {room} is a room of others.
FOREIGN = {
    "the public topic": "/topic/{prefix}.public.{room}",
    "the private topic": "/topic/{prefix}.private.{room}",
    "the private queue": "/queue/{prefix}.private.{room}",
    "the private queue as it is": "/amq/queue/{prefix}.private.{room}",
    "every room": "/topic/{prefix}.public.*",
    "everything under the prefix": "/topic/{prefix}.#",
    "everything": "/topic/#",
    "a wildcard audience": "/topic/{prefix}.*.{room}",
    "the exchange by its name": "/exchange/amq.topic/{prefix}.public.{room}",
    "the exchange with everything": "/exchange/amq.topic/#",
    "the exchange without a key": "/exchange/amq.topic",
    "another exchange": "/exchange/amq.rabbitmq.trace/#",
    "another queue": "/queue/somebody",
    "a temp queue": "/temp-queue/mine",
    "a reply queue": "/reply-queue/amq.gen-x",
    "an escaped slash": "/topic%2F{prefix}.public.{room}",
    "an escaped dot": "/topic/{prefix}%2Epublic.{room}",
    "an escaped slash behind": "/topic/{prefix}.public.{room}%2F",
    "a double slash": "/topic//{prefix}.public.{room}",
    "upper case": "/TOPIC/{prefix}.public.{room}",
    "a blank before": " /topic/{prefix}.public.{room}",
    "a blank behind": "/topic/{prefix}.public.{room} ",
    "a line end inside": "/topic/{prefix}.public.{room}\n",
    "a leading zero": "/topic/{prefix}.public.0{room}",
    "a room with a sign": "/topic/{prefix}.public.+{room}",
    "no kind": "{prefix}.public.{room}",
    "the gateway's own": "/gateway/token",
}


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    """Every subscription that passes gets a relay of its own, which the broker can tell of."""
    return {"extra": 'fanout = "passthrough"'}


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def own(gateway: GatewayProcess) -> int:
    """The outsider's room."""
    return gateway.room("olga")


@pytest.fixture
def hears(cluster_of_session: Cluster) -> Iterator[Witness]:
    with witness(cluster_of_session) as heard:
        yield heard


@pytest.fixture
def outsider(
    gateway: GatewayProcess, connect: Connect, own: int, cluster_of_session: Cluster
) -> Iterator[StompClient]:
    """Of another room. At the end the broker must not have heard of her."""
    before, logins = queues(cluster_of_session), gateway.relay_logins()
    yield connect("olga")
    assert gateway.relay_logins() == logins
    assert queues(cluster_of_session) <= before
    assert gateway.history(own, "olga")["head"] == 0


@pytest.mark.parametrize("destination", FOREIGN.values(), ids=FOREIGN)
def test_an_outsider_cannot_subscribe_to(
    destination: str, room: int, outsider: StompClient
) -> None:
    asked = destination.format(prefix=PREFIX, room=room)
    outsider.send("SUBSCRIBE", {"destination": asked, "id": "s"})
    error, code = outsider.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)
    assert error.body


@pytest.mark.parametrize("destination", FOREIGN.values(), ids=FOREIGN)
def test_an_outsider_cannot_send_to(
    destination: str, gateway: GatewayProcess, room: int, outsider: StompClient, hears: Witness
) -> None:
    asked = destination.format(prefix=PREFIX, room=room)
    outsider.send("SEND", {"destination": asked}, b'"hear me"')
    error, code = outsider.error()
    expected = ("token_invalid", 4001) if asked == "/gateway/token" else ("access_refused", 4003)
    assert (error.headers["message"], code) == expected
    assert hears.heard() == []
    assert gateway.history(room, "hana")["head"] == 0
    assert gateway.history(room, "hana", audience="private")["head"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"x-queue-name": "{prefix}.private.{room}"},
        {"x-queue-name": "mine", "durable": "true", "auto-delete": "false"},
        {"durable": "true"},
        {"persistent": "true"},
        {"auto-delete": "false"},
        {"exclusive": "false"},
        {"x-queue-type": "stream"},
        {"x-expires": "1"},
        {"x-dead-letter-exchange": "amq.topic"},
        {"X-QUEUE-NAME": "x", "x-Queue-Name": "x"},
    ],
    ids=str,
)
def test_no_header_of_a_subscription_to_ones_own_room_shapes_a_queue(
    headers: dict[str, str], room: int, own: int, outsider: StompClient
) -> None:
    filled = {name: value.format(prefix=PREFIX, room=room) for name, value in headers.items()}
    outsider.send(
        "SUBSCRIBE", {"destination": f"/topic/{PREFIX}.public.{own}", "id": "s", **filled}
    )
    error, code = outsider.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)


def test_of_repeated_destinations_the_first_is_judged_and_used(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    own = gateway.room("olga")
    mine, foreign = f"/topic/{PREFIX}.public.{own}", f"/topic/{PREFIX}.public.{room}"
    olga = connect("olga")
    olga.socket.send_binary(
        f"SUBSCRIBE\ndestination:{mine}\ndestination:{foreign}\nid:s\nid:t\nreceipt:r\n\n\0".encode()
    )
    assert olga.receive().command == "RECEIPT"
    gateway.post(room, "paul", "not for olga")
    gateway.post(own, "olga", "for olga")
    message = olga.message()
    assert message.json["body"] == "for olga"
    assert message.headers["subscription"] == "s"


def test_of_repeated_destinations_a_foreign_first_one_is_refused(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    own = gateway.room("olga")
    mine, foreign = f"/topic/{PREFIX}.public.{own}", f"/topic/{PREFIX}.public.{room}"
    olga = connect("olga")
    olga.socket.send_binary(
        f"SUBSCRIBE\ndestination:{foreign}\ndestination:{mine}\nid:s\n\n\0".encode()
    )
    error, code = olga.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)


def test_a_second_frame_hidden_behind_a_content_length_is_refused(
    room: int, own: int, outsider: StompClient
) -> None:
    hidden = f"SUBSCRIBE\ndestination:/topic/{PREFIX}.public.{room}\nid:t\n\n\0"
    outsider.socket.send_binary(
        f"SUBSCRIBE\ndestination:/topic/{PREFIX}.public.{own}\nid:s\n"
        f"content-length:{len(hidden) + 1}\n\n\0{hidden}\0".encode()
    )
    error, code = outsider.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)


def test_a_second_frame_hidden_in_the_body_of_a_message_stays_its_body(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    own = gateway.room("olga")
    topic = f"/topic/{PREFIX}.public.{own}"
    hidden = f"\0SUBSCRIBE\ndestination:/topic/{PREFIX}.public.{room}\nid:t\n\n\0"
    olga = connect("olga")
    olga.subscribe(topic)
    olga.send("SEND", {"destination": topic}, hidden.encode())
    gateway.post(room, "paul", "not for olga")
    assert olga.message().json["body"] == hidden
    gateway.post(own, "olga", "for olga")
    assert olga.message().json["body"] == "for olga"


@pytest.mark.parametrize(
    "destination",
    [
        "/topic/{prefix}.private.{room}",
        "/queue/{prefix}.private.{room}",
        "/amq/queue/{prefix}.private.{room}",
    ],
)
def test_a_participant_is_no_reader_of_the_private_side(
    destination: str,
    gateway: GatewayProcess,
    connect: Connect,
    room: int,
    cluster_of_session: Cluster,
) -> None:
    gateway.post(room, "paul", "a question", audience="private")
    paul = connect("paul")
    asked = destination.format(prefix=PREFIX, room=room)
    paul.send("SUBSCRIBE", {"destination": asked, "id": "s"})
    error, code = paul.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)
    assert waiting(cluster_of_session, f"{PREFIX}.private.{room}") == 1


@pytest.mark.parametrize("destination", ["/topic/{}.public.{}", "/queue/{}.private.{}"])
def test_a_room_that_does_not_exist_is_unknown(destination: str, connect: Connect) -> None:
    olga = connect("olga")
    olga.send("SUBSCRIBE", {"destination": destination.format(PREFIX, 999_999), "id": "s"})
    error, code = olga.error()
    assert (error.headers["message"], code) == ("unknown_room", 4003)


@pytest.mark.parametrize(
    "frames",
    [
        "BEGIN\ntransaction:t\n\n\0",
        "COMMIT\ntransaction:t\n\n\0",
        "ABORT\ntransaction:t\n\n\0",
        "ACK\nid:x\ntransaction:t\n\n\0",
    ],
)
def test_transactions_are_refused(frames: str, outsider: StompClient) -> None:
    outsider.socket.send_binary(frames.encode())
    error, code = outsider.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)


def test_a_user_who_may_not_read_the_history_gets_none_of_it(
    gateway: GatewayProcess, room: int
) -> None:
    gateway.post(room, "hana", "inside")
    path = f"/api/rooms/{room}/messages"
    status, problem = gateway.call("GET", path, user="olga")
    assert (status, problem["code"]) == (403, "access_refused")
    status, problem = gateway.call("POST", path, {"body": "x"}, user="olga")
    assert (status, problem["code"]) == (403, "access_refused")
    assert gateway.history(room, "hana")["head"] == 1
