"""What moves to another node, and what must not."""

import pytest

from broker.stomp import Frame
from broker.topology import Audience, Stream
from gateway.live.destinations import Destination, Elsewhere, RoomQueue, RoomTopic
from gateway.live.standing import Standing


def frame(command: str, **headers: str) -> Frame:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Frame(command, tuple(named.items()))


def host(*, receipt: str | None = None) -> Standing:
    standing = Standing()
    assert standing.move("session-1") == []
    headers = {"id": "q", "destination": "/amq/queue/t.private.7", "ack": "client-individual"}
    if receipt is not None:
        headers["receipt"] = receipt
    standing.subscribed("q", RoomQueue(7), frame("SUBSCRIBE", **headers))
    return standing


def test_a_private_queue_is_subscribed_again_as_before() -> None:
    standing = host()
    assert standing.obstacle is None
    assert standing.rooms == [7]
    assert standing.move("session-2") == [
        b"SUBSCRIBE\nid:q\ndestination:/amq/queue/t.private.7\nack:client-individual\n\n\0"
    ]


def test_a_receipt_that_the_client_has_is_not_asked_for_again() -> None:
    standing = host(receipt="r")
    standing.answered("r")
    assert b"receipt" not in standing.move("session-2")[0]


def test_a_subscription_that_is_not_answered_yet_is_answered_by_the_next_node() -> None:
    standing = host(receipt="r")
    assert standing.obstacle is None
    assert b"receipt:r" in standing.move("session-2")[0]


def test_what_was_unsubscribed_stays_behind() -> None:
    standing = host()
    standing.unsubscribed("q", frame("UNSUBSCRIBE", id="q"))
    assert standing.move("session-2") == []


@pytest.mark.parametrize("command", ["SEND", "ACK", "UNSUBSCRIBE"])
def test_nobody_knows_what_became_of_an_unanswered_frame(command: str) -> None:
    standing = host()
    if command == "UNSUBSCRIBE":
        standing.unsubscribed("other", frame(command, id="other", receipt="r"))
    else:
        standing.sent(frame(command, receipt="r"))
    assert standing.obstacle == "a receipt is not answered"
    standing.answered("r")
    assert standing.obstacle is None


@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_an_open_transaction_lived_on_the_node(end: str) -> None:
    standing = host()
    standing.sent(frame("BEGIN", transaction="t"))
    standing.sent(frame("SEND", transaction="t", destination="/queue/x"))
    assert standing.obstacle == "a transaction is open"
    standing.sent(frame(end, transaction="t"))
    assert standing.obstacle is None


@pytest.mark.parametrize("destination", [RoomTopic(Stream(Audience.PUBLIC, 1)), Elsewhere()])
def test_a_transient_subscription_would_come_back_with_a_hole(destination: Destination) -> None:
    standing = host()
    standing.subscribed("t", destination, frame("SUBSCRIBE", id="t", destination="/topic/x"))
    assert standing.obstacle == "a subscription lived on the node"


@pytest.mark.parametrize("header", ["id", "message_id"])
def test_acknowledgements_of_a_dead_session_are_stale(header: str) -> None:
    standing = host()
    first = frame("ACK", **{header: "T_q@@session-1@@5"})
    second = frame("ACK", **{header: "T_q@@session-2@@1"})
    assert not standing.is_stale(first)
    standing.move("session-2")
    assert standing.is_stale(first)
    assert not standing.is_stale(second)


def test_a_name_that_is_not_rabbitmqs_is_for_the_broker_to_refuse() -> None:
    assert not host().is_stale(frame("ACK", id="whatever"))
    assert not host().is_stale(frame("ACK"))
