"""What moves to another node, and what must not."""

from typing import Any

import pytest

from broker.protocol.stomp import Frame
from broker.topology import Audience, Stream
from gateway.errors import BadFrame, NoCapacity
from gateway.live.destinations import Destination, Elsewhere, RoomQueue, RoomTopic
from gateway.live.relay.state import (
    ACKNOWLEDGEMENTS,
    TRANSACTIONS,
    VERDICTS,
    Ending,
    Standing,
    Verdict,
)


def frame(command: str, **headers: str) -> Frame:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Frame(command, tuple(named.items()))


def host(*, receipt: str | None = None) -> Standing:
    standing = Standing("1.2")
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


def deliver(standing: Standing, tag: int) -> str:
    """The id of the newest message."""
    standing.deliveries.last = tag
    return f"T_q@@session-1@@{tag}"


@pytest.mark.parametrize("command", ["SEND", "ACK", "UNSUBSCRIBE"])
def test_nobody_knows_what_became_of_an_unanswered_frame(command: str) -> None:
    standing = host()
    if command == "UNSUBSCRIBE":
        standing.unsubscribed("other", frame(command, id="other", receipt="r"))
    elif command == "ACK":
        standing.sent(frame(command, id=deliver(standing, 1), receipt="r"))
    else:
        standing.sent(frame(command, destination="/queue/x", receipt="r"))
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
    standing.doubt.proven(standing.doubt.passed)
    assert standing.obstacle is None


@pytest.mark.parametrize("destination", [RoomTopic(Stream(Audience.PUBLIC, 1)), Elsewhere()])
def test_a_transient_subscription_would_come_back_with_a_hole(destination: Destination) -> None:
    standing = host()
    standing.subscribed("t", destination, frame("SUBSCRIBE", id="t", destination="/topic/x"))
    assert standing.obstacle == "a subscription lived on the node"


def test_a_temp_queue_lived_on_the_node() -> None:
    standing = host()
    standing.sent(frame("SEND", destination="/queue/x", reply_to="/temp-queue/mine", receipt="r"))
    standing.answered("r")
    assert standing.obstacle == "a temp queue lived on the node"


def test_acknowledgements_of_a_dead_session_are_stale() -> None:
    standing = host()
    first = frame("ACK", id="T_q@@session-1@@5")
    second = frame("ACK", id="T_q@@session-2@@1")
    assert not standing.is_stale(first)
    standing.move("session-2")
    assert standing.is_stale(first)
    assert not standing.is_stale(second)
    assert not standing.is_stale(frame("SEND", id="T_q@@session-1@@5"))


@pytest.mark.parametrize(
    "wrong",
    [
        frame("ACK", id="whatever"),
        frame("ACK"),
        frame("COMMIT", transaction="t"),
        frame("ABORT", transaction="t"),
        frame("BEGIN"),
        frame("SEND", destination="/queue/x", transaction="t"),
        frame("ACK", id="T_q@@session-1@@1", transaction="t"),
    ],
)
def test_what_rabbitmq_answers_with_an_error_passes_and_is_in_doubt(wrong: Frame) -> None:
    standing = host()
    deliver(standing, 1)
    standing.doubt.proven(standing.doubt.passed)
    assert not standing.is_stale(wrong)
    standing.sent(wrong)
    assert standing.verdict(Ending.CLOSED) is Verdict.REFUSED


def test_acknowledgements_of_a_transaction_count_when_it_is_committed() -> None:
    standing = host()
    name = deliver(standing, 1)
    acknowledge = frame("ACK", id=name, transaction="t")
    for end in ("ABORT", "COMMIT"):
        standing.sent(frame("BEGIN", transaction="t"))
        standing.sent(acknowledge)
        standing.sent(frame(end, transaction="t"))
    standing.sent(frame("BEGIN", transaction="t"))
    standing.sent(acknowledge)
    with pytest.raises(BadFrame, match="acknowledged before"):
        standing.sent(frame("COMMIT", transaction="t"))


def test_what_a_transaction_may_hold_has_a_limit() -> None:
    standing = host()
    name = deliver(standing, 1)
    for number in range(TRANSACTIONS):
        standing.sent(frame("BEGIN", transaction=f"t{number}"))
    with pytest.raises(NoCapacity):
        standing.sent(frame("BEGIN", transaction="one more"))
    for _ in range(ACKNOWLEDGEMENTS):
        standing.sent(frame("ACK", id=name, transaction="t0"))
    with pytest.raises(NoCapacity):
        standing.sent(frame("ACK", id=name, transaction="t0"))


#: What was sent last, and what is to be done if the session is lost then, or RabbitMQ ends it.
_SEND = ("SEND", {"destination": "/queue/x"})
_ENDINGS: dict[str, tuple[list[Any], Verdict, Verdict]] = {
    "a subscription": ([], Verdict.MOVE, Verdict.REFUSED),
    "one that was taken": (["proof"], Verdict.MOVE, Verdict.MOVE),
    "a message": (["proof", _SEND], Verdict.UNKNOWN, Verdict.REFUSED),
    "one with a receipt": (
        ["proof", ("SEND", {"destination": "/queue/x", "receipt": "r"})],
        Verdict.UNKNOWN,
        Verdict.REFUSED,
    ),
    "a message that was taken": (["proof", _SEND, "proof"], Verdict.MOVE, Verdict.MOVE),
    "one before a confirmed one": (
        [_SEND, ("SEND", {"destination": "/queue/x", "receipt": "r"}), "answer"],
        Verdict.MOVE,
        Verdict.MOVE,
    ),
    "one before an answer that tells nothing": (
        ["proof", _SEND, ("BEGIN", {"transaction": "t", "receipt": "r"}), "answer"],
        Verdict.UNKNOWN,
        Verdict.REFUSED,
    ),
    "a transaction": (
        ["proof", ("BEGIN", {"transaction": "t"})],
        Verdict.UNKNOWN,
        Verdict.UNKNOWN,
    ),
    "an end of one": (
        ["proof", ("BEGIN", {"transaction": "t"}), ("COMMIT", {"transaction": "t"})],
        Verdict.UNKNOWN,
        Verdict.REFUSED,
    ),
    "an acknowledgement": (
        ["proof", ("ACK", {"id": "T_q@@session-1@@1"})],
        Verdict.MOVE,
        Verdict.MOVE,
    ),
    "one with a receipt of its own": (
        ["proof", ("ACK", {"id": "T_q@@session-1@@1", "receipt": "r"})],
        Verdict.UNKNOWN,
        Verdict.UNKNOWN,
    ),
}


@pytest.mark.parametrize("name", _ENDINGS)
def test_what_is_done_when_a_session_ends(name: str) -> None:
    steps, lost, closed = _ENDINGS[name]
    standing = host()
    deliver(standing, 1)
    for step in steps:
        if step == "proof":
            standing.doubt.proven(standing.doubt.passed)
        elif step == "answer":
            standing.answered("r")
        else:
            command, headers = step
            standing.sent(frame(command, **headers))
    assert (standing.verdict(Ending.LOST), standing.verdict(Ending.CLOSED)) == (lost, closed)


def test_every_end_has_a_verdict() -> None:
    assert len(VERDICTS) == len(Ending) * 2 * 2


def test_those_that_may_have_ended_it_are_named() -> None:
    standing = host()
    for number in range(7):
        standing.sent(frame("SEND", destination=f"/queue/{number}"))
    assert str(standing.doubt).endswith("SEND '/queue/6' (and 3 before)")
    standing.doubt.proven(standing.doubt.passed - 1)
    assert str(standing.doubt) == "SEND '/queue/6'"


def test_the_receipt_that_is_due_longest_is_known_unless_a_transaction_keeps_it() -> None:
    standing = host(receipt="first")
    standing.sent(frame("SEND", destination="/queue/x", receipt="second"))
    assert standing.oldest == ("first", 1)
    standing.answered("first")
    assert standing.oldest == ("second", 2)
    standing.sent(frame("BEGIN", transaction="t"))
    assert standing.oldest is None
    standing.sent(frame("ABORT", transaction="t"))
    standing.answered("second")
    assert standing.oldest is None
