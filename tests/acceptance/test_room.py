"""The main job: people on different nodes talk in a room, and no outsider hears a word."""

from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess


def test_members_on_different_nodes_exchange_messages(
    gateway: GatewayProcess, connect: Connect
) -> None:
    room = gateway.room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    hana, paul = connect("hana"), connect("paul")
    hana.subscribe(topic)
    paul.subscribe(topic)
    status, receipt = gateway.post(room, "paul", {"text": "안녕, world"}, type="chat")
    assert (status, receipt["seq"], receipt["published"]) == (201, 1, True)
    for client in (hana, paul):
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
            "sent_at": receipt["sent_at"],
            "type": "chat",
            "body": {"text": "안녕, world"},
        }
