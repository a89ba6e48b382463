"""The main job: people in a room talk, whichever way their messages take."""

import pytest

from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

_ORDERED = 200


@pytest.fixture(
    scope="module", params=["shared", "passthrough"], ids=["one feed for all", "a relay each"]
)
def gateway_options(request: pytest.FixtureRequest) -> dict[str, object]:
    return {"extra": f'fanout = "{request.param}"'}


def test_members_exchange_messages(gateway: GatewayProcess, connect: Connect) -> None:
    room = gateway.room("hana", "paul", "pia")
    topic = f"/topic/{PREFIX}.public.{room}"
    clients = [connect(user) for user in ("hana", "paul", "pia")]
    for client in clients:
        client.subscribe(topic)
    status, receipt = gateway.post(room, "paul", {"text": "안녕, world"}, type="chat")
    assert (status, receipt["seq"], receipt["published"]) == (201, 1, True)
    for client in clients:
        message = client.message()
        assert message.headers["subscription"] == "s"
        assert message.headers["destination"] == topic
        assert message.headers["content-type"] == "application/json"
        assert message.headers["seq"] == "1"
        assert message.headers["room"] == str(room)
        assert message.headers["audience"] == "public"
        assert message.headers["sender"] == "paul"
        assert message.json == {
            "id": receipt["id"],
            "room": room,
            "audience": "public",
            "seq": 1,
            "sender": "paul",
            "role": "participant",
            "sent_at": receipt["sent_at"],
            "type": "chat",
            "body": {"text": "안녕, world"},
        }


def test_everyone_hears_messages_in_the_order_of_their_numbers(
    gateway: GatewayProcess, connect: Connect
) -> None:
    room = gateway.room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    hana, paul = connect("hana"), connect("paul")
    hana.subscribe(topic)
    paul.subscribe(topic)
    for number in range(_ORDERED):
        # Two writers in turn; SEND without a receipt does not wait for the one before.
        writer = (hana, paul)[number % 2]
        writer.send("SEND", {"destination": topic}, str(number).encode())
    heard = {
        name: [client.message() for _ in range(_ORDERED)]
        for name, client in (("hana", hana), ("paul", paul))
    }
    for messages in heard.values():
        assert [message.json["seq"] for message in messages] == list(range(1, _ORDERED + 1))
        for name in ("hana", "paul"):
            own = [int(m.json["body"]) for m in messages if m.json["sender"] == name]
            assert own == sorted(own)
    assert [m.body for m in heard["hana"]] == [m.body for m in heard["paul"]]


def test_a_private_message_reaches_the_host_and_no_participant(
    gateway: GatewayProcess, connect: Connect
) -> None:
    room = gateway.room("hana", "paul", "pia")
    hana, pia = connect("hana"), connect("pia")
    hana.subscribe(f"/topic/{PREFIX}.private.{room}")
    pia.subscribe(f"/topic/{PREFIX}.public.{room}")
    gateway.post(room, "paul", "may I ask?", audience="private")
    gateway.post(room, "paul", "afterwards")
    assert hana.message().json["body"] == "may I ask?"
    assert pia.message().json["body"] == "afterwards"


def test_an_unsubscribed_topic_is_heard_no_more_and_the_others_are(
    gateway: GatewayProcess, connect: Connect
) -> None:
    first, second = gateway.room("hana"), gateway.room("hana")
    hana = connect("hana")
    hana.subscribe(f"/topic/{PREFIX}.public.{first}", "one")
    hana.subscribe(f"/topic/{PREFIX}.public.{second}", "two")
    hana.request("UNSUBSCRIBE", {"id": "one"})
    gateway.post(first, "hana", "unheard")
    gateway.post(second, "hana", "heard")
    assert hana.message().json["body"] == "heard"


def test_disconnect_is_answered_by_its_receipt_and_a_normal_close(
    gateway: GatewayProcess, connect: Connect
) -> None:
    room = gateway.room("hana")
    hana = connect("hana")
    hana.subscribe(f"/topic/{PREFIX}.public.{room}")
    hana.request("DISCONNECT", {})
    assert hana.closed() == 1000


def test_disconnect_of_a_client_without_a_relay_is_answered_likewise(connect: Connect) -> None:
    hana = connect("hana")
    hana.request("DISCONNECT", {})
    assert hana.closed() == 1000
