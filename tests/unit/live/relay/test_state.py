"""Relays that may move to another node, and those that must not."""

from typing import Any

import pytest

from broker.protocol.stomp import Frame
from broker.topology import Audience, Stream
from gateway.errors import BadFrame, TooMuchOpen
from gateway.live.destinations import Destination, Elsewhere, RoomQueue, RoomTopic
from gateway.live.relay.state import (
    ACKNOWLEDGEMENTS,
    NOTED,
    RECEIPTS,
    SESSIONS,
    TRANSACTIONS,
    VERDICTS,
    Ending,
    InDoubt,
    RelayState,
    Verdict,
)
from tests.unit.live.relay.fakes import FakeNotes


def frame(command: str, **headers: str) -> Frame:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Frame(command, tuple(named.items()))


def host(*, receipt: str | None = None) -> RelayState:
    state = RelayState("1.2", FakeNotes())
    assert state.move("session-1") == []
    headers = {"id": "q", "destination": "/amq/queue/t.private.7", "ack": "client-individual"}
    if receipt is not None:
        headers["receipt"] = receipt
    state.subscribed("q", RoomQueue(7), frame("SUBSCRIBE", **headers))
    return state


def test_a_private_queue_is_subscribed_again_as_before() -> None:
    state = host()
    assert state.obstacle is None
    assert state.rooms == [7]
    assert state.move("session-2") == [
        b"SUBSCRIBE\nid:q\ndestination:/amq/queue/t.private.7\nack:client-individual\n\n\0"
    ]


def test_a_receipt_that_the_client_has_is_not_asked_for_again() -> None:
    state = host(receipt="r")
    state.answered("r")
    assert b"receipt" not in state.move("session-2")[0]


def test_a_subscription_that_is_not_answered_yet_is_answered_by_the_next_node() -> None:
    state = host(receipt="r")
    assert state.obstacle is None
    assert b"receipt:r" in state.move("session-2")[0]


def test_unsubscribed_queues_stay_behind() -> None:
    state = host()
    state.unsubscribed("q", frame("UNSUBSCRIBE", id="q"))
    assert state.move("session-2") == []


def deliver(state: RelayState, tag: int) -> str:
    """The id of the newest message."""
    state.deliveries.last = tag
    return f"T_q@@session-1@@{tag}"


@pytest.mark.parametrize("command", ["SEND", "ACK", "UNSUBSCRIBE"])
def test_nobody_knows_what_became_of_an_unanswered_frame(command: str) -> None:
    state = host()
    if command == "UNSUBSCRIBE":
        state.unsubscribed("other", frame(command, id="other", receipt="r"))
    elif command == "ACK":
        state.sent(frame(command, id=deliver(state, 1), receipt="r"))
    else:
        state.sent(frame(command, destination="/queue/x", receipt="r"))
    assert state.obstacle == "a receipt is not answered"
    state.answered("r")
    assert state.obstacle is None


def test_an_id_that_is_used_again_proves_nothing_before_its_last_answer() -> None:
    state = host()
    state.doubt.proven(state.doubt.passed)
    for _ in range(3):
        state.sent(frame("SEND", destination="/queue/x", receipt="same"))
    for _ in range(2):
        state.answered("same")
        assert state.unanswered
        assert state.doubt.messages
        assert state.verdict(Ending.LOST) is Verdict.UNKNOWN
    state.answered("same")
    assert not state.unanswered
    assert state.verdict(Ending.LOST) is Verdict.MOVE


def test_one_id_for_all_frames_is_due_as_long_as_no_answer_comes_by_it() -> None:
    state = host()
    state.sent(frame("SEND", destination="/queue/x", receipt="same"))
    due = state.oldest
    state.sent(frame("SEND", destination="/queue/x", receipt="same"))
    assert state.oldest == due
    state.answered("same")
    assert state.oldest not in (due, None)
    state.answered("same")
    assert state.oldest is None
    state.sent(frame("SEND", destination="/queue/x", receipt="same"))
    assert state.oldest not in (due, None)


@pytest.mark.parametrize("answered", [False, True])
def test_no_other_frame_is_answered_by_a_subscription_that_had_the_same_id(
    *, answered: bool
) -> None:
    state = host(receipt="same")
    if answered:
        state.answered("same")
    state.sent(frame("ACK", id=deliver(state, 1), receipt="same"))
    assert state.obstacle == "a receipt is not answered"
    for _ in range(1 if answered else 2):
        state.answered("same")
    assert state.obstacle is None
    assert b"receipt" not in state.move("session-2")[0]


def test_of_two_subscriptions_with_the_same_id_the_next_node_answers_the_one_that_is_due() -> None:
    state = host(receipt="same")
    state.answered("same")
    consume(state, id="p", receipt="same")
    assert state.obstacle is None
    first, second = state.move("session-2")
    assert b"receipt" not in first
    assert b"receipt:same" in second
    state.answered("same")
    assert not state.unanswered


@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_an_open_transaction_lived_on_the_node(end: str) -> None:
    state = host()
    state.sent(frame("BEGIN", transaction="t"))
    state.sent(frame("SEND", transaction="t", destination="/queue/x"))
    assert state.obstacle == "a transaction is open"
    state.sent(frame(end, transaction="t"))
    state.doubt.proven(state.doubt.passed)
    assert state.obstacle is None


@pytest.mark.parametrize("destination", [RoomTopic(Stream(Audience.PUBLIC, 1)), Elsewhere()])
def test_a_transient_subscription_would_come_back_with_a_hole(destination: Destination) -> None:
    state = host()
    state.subscribed("t", destination, frame("SUBSCRIBE", id="t", destination="/topic/x"))
    assert state.obstacle == "a subscription lived on the node"


def application(
    destination: str = "/queue/orders", ack: str = "client-individual", **headers: str
) -> RelayState:
    """A client of an access rule, or with a login of RabbitMQ."""
    state = RelayState("1.2", FakeNotes())
    state.move("session-1")
    consume(state, destination, ack, **headers)
    return state


def consume(
    state: RelayState,
    destination: str = "/queue/orders",
    ack: str = "client-individual",
    id: str = "q",
    **headers: str,
) -> None:
    headers = {"id": id, "destination": destination, "ack": ack, **headers}
    state.subscribed(id, Elsewhere(), frame("SUBSCRIBE", **headers))


@pytest.mark.parametrize("destination", ["/queue/orders", "/amq/queue/orders"])
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_a_queue_that_rabbitmq_keeps_is_subscribed_again_as_it_was(
    destination: str, ack: str
) -> None:
    state = application(destination, ack, prefetch_count="5", durable="true")
    consume(state, "/queue/others", id="p")
    assert state.obstacle is None
    assert state.rooms == []
    assert state.verdict(Ending.LOST) is Verdict.MOVE
    again = f"SUBSCRIBE\nid:q\ndestination:{destination}\nack:{ack}\nprefetch-count:5\ndurable:true"
    assert state.move("session-2") == [
        again.encode() + b"\n\n\0",
        b"SUBSCRIBE\nid:p\ndestination:/queue/others\nack:client-individual\n\n\0",
    ]


@pytest.mark.parametrize(
    ("destination", "headers"),
    [
        ("/queue/orders", {"ack": "auto"}),
        ("/queue/orders", {"durable": "false"}),
        ("/queue/orders", {"persistent": "False"}),
        ("/queue/orders", {"auto-delete": "true"}),
        ("/queue/orders", {"exclusive": "true"}),
        ("/queue/orders", {"x-queue-type": "stream"}),
        ("/amq/queue/orders", {"x-stream-offset": "next"}),
        ("/temp-queue/orders", {}),
        ("/reply-queue/orders", {}),
        ("/topic/orders", {"durable": "true"}),
        ("/exchange/orders/key", {}),
    ],
)
def test_what_would_be_lost_or_read_anew_is_not_subscribed_again(
    destination: str, headers: dict[str, str]
) -> None:
    assert application(destination, **headers).obstacle == "a subscription lived on the node"
    also = application()
    consume(also, destination, id="p", **headers)
    assert also.obstacle == "a subscription lived on the node"
    also.unsubscribed("p", frame("UNSUBSCRIBE", id="p"))
    assert also.obstacle is None


def test_messages_are_not_repeated_to_an_application_without_need() -> None:
    state = application()
    assert not state.would_repeat
    name = deliver(state, 1)
    assert state.would_repeat
    state.sent(frame("ACK", id=name))
    assert not state.would_repeat
    hosts = host()
    deliver(hosts, 1)
    assert not hosts.would_repeat


_FROM_STREAM = b"MESSAGE\nsubscription:q\nmessage-id:T_q@@session-1@@1\nx-stream-offset:7\n\n"
_FROM_QUEUE = b"MESSAGE\nsubscription:q\nmessage-id:T_q@@session-1@@1\n\nx\nx-stream-offset:7\n\n"


def test_a_stream_shows_by_its_first_message_and_is_not_read_anew() -> None:
    state = application("/amq/queue/orders", prefetch_count="5")
    streams = state.deliveries.streams
    assert streams
    # Not even a planned move: its first message would tell too late.
    assert state.would_repeat
    assert not state.deliveries.reads_stream(_FROM_STREAM)
    assert not streams
    assert state.obstacle == "a stream was read, and only its consumer knows how far"
    state.unsubscribed("q", frame("UNSUBSCRIBE", id="q"))
    assert state.obstacle is None


def test_messages_may_be_missing_before_the_first_one_of_a_stream_after_a_move() -> None:
    state = application("/amq/queue/orders", prefetch_count="5")
    state.move("session-2")
    assert not state.deliveries.reads_stream(_FROM_STREAM.replace(b"T_q@@", b"T_other@@"))
    assert state.deliveries.reads_stream(_FROM_STREAM)


def test_a_subscription_whose_name_holds_the_mark_is_known_by_its_messages() -> None:
    state = RelayState("1.2", FakeNotes())
    state.move("session-1")
    consume(state, "/amq/queue/orders", id="q@@1", prefetch_count="5")
    message = _FROM_STREAM.replace(b"T_q@@", b"T_q@@1@@")
    assert state.destination_of(frame("MESSAGE", message_id="T_q@@1@@session-1@@1")) == Elsewhere()
    state.move("session-2")
    assert state.deliveries.reads_stream(message.replace(b"session-1", b"session-2"))
    assert state.obstacle == "a stream was read, and only its consumer knows how far"


def test_a_queue_is_not_taken_for_a_stream_whatever_its_messages_hold() -> None:
    state = application("/amq/queue/orders", prefetch_count="5")
    head = _FROM_QUEUE[: _FROM_QUEUE.index(b"\n\n") + 2]
    assert not state.deliveries.reads_stream(head)
    state.move("session-2")
    assert not state.deliveries.streams
    assert state.obstacle is None
    assert not application("/amq/queue/orders").deliveries.streams


def test_what_a_node_had_given_may_come_back_and_is_not_refused_for_good() -> None:
    state = application()
    state.doubt.proven(state.doubt.passed)
    state.ended()
    state.move("session-2")
    assert state.returning
    assert state.verdict(Ending.CLOSED) is Verdict.UNKNOWN
    assert state.verdict(Ending.LOST) is Verdict.MOVE
    # Whatever else is in doubt: it is not known to be the reason.
    state.sent(frame("SEND", destination="/exchange/nowhere/key"))
    assert state.verdict(Ending.CLOSED) is Verdict.UNKNOWN
    state.doubt.proven(1)
    assert not state.returning
    assert state.verdict(Ending.CLOSED) is Verdict.REFUSED


def test_a_request_at_which_two_nodes_end_the_session_is_suspected() -> None:
    state = application()
    assert state.verdict(Ending.LOST) is Verdict.MOVE
    state.ended()
    state.move("session-2")
    assert not state.returning
    assert state.verdict(Ending.LOST) is Verdict.SUSPECT
    assert state.verdict(Ending.CLOSED) is Verdict.REFUSED
    state.doubt.proven(state.doubt.passed)
    assert state.verdict(Ending.LOST) is Verdict.MOVE
    state.ended()
    state.move("session-3")
    assert state.returning
    assert state.verdict(Ending.LOST) is Verdict.MOVE


def test_a_queue_that_two_nodes_say_nothing_about_is_to_be_asked_for_later() -> None:
    new, given = application(), application()
    given.doubt.proven(given.doubt.passed)
    for state, times in ((new, 1), (given, 2)):
        for _ in range(times):
            assert state.verdict(Ending.SILENT) is Verdict.MOVE
            state.ended()
            state.move("the next")
    assert new.verdict(Ending.SILENT) is Verdict.UNKNOWN
    assert given.verdict(Ending.SILENT) is Verdict.UNKNOWN
    assert given.verdict(Ending.CLOSED) is Verdict.UNKNOWN
    assert given.verdict(Ending.LOST) is Verdict.MOVE
    assert new.verdict(Ending.LOST) is Verdict.SUSPECT


def test_a_private_queue_is_asked_for_as_long_as_its_nodes_are_silent() -> None:
    state = host()
    for number in range(2, 6):
        assert state.verdict(Ending.SILENT) is Verdict.MOVE
        state.ended()
        state.move(f"session-{number}")


def test_a_planned_move_makes_no_request_suspect() -> None:
    state = application()
    state.move("session-2")
    assert state.verdict(Ending.LOST) is Verdict.MOVE


def test_a_temp_queue_lived_on_the_node() -> None:
    state = host()
    state.sent(frame("SEND", destination="/queue/x", reply_to="/temp-queue/mine", receipt="r"))
    state.answered("r")
    assert state.obstacle == "a temp queue lived on the node"


def test_acknowledgements_of_a_dead_session_are_stale() -> None:
    state = host()
    first = frame("ACK", id="T_q@@session-1@@5")
    second = frame("ACK", id="T_q@@session-2@@1")
    assert not state.is_stale(first)
    state.move("session-2")
    assert state.is_stale(first)
    assert not state.is_stale(second)
    assert not state.is_stale(frame("SEND", id="T_q@@session-1@@5"))


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
def test_frames_that_rabbitmq_answers_with_an_error_pass_and_are_in_doubt(wrong: Frame) -> None:
    state = host()
    deliver(state, 1)
    state.doubt.proven(state.doubt.passed)
    assert not state.is_stale(wrong)
    state.sent(wrong)
    assert state.verdict(Ending.CLOSED) is Verdict.REFUSED


def test_acknowledgements_of_a_transaction_count_when_it_is_committed() -> None:
    state = host()
    name = deliver(state, 1)
    acknowledge = frame("ACK", id=name, transaction="t")
    for end in ("ABORT", "COMMIT"):
        state.sent(frame("BEGIN", transaction="t"))
        state.sent(acknowledge)
        state.sent(frame(end, transaction="t"))
    state.sent(frame("BEGIN", transaction="t"))
    state.sent(acknowledge)
    with pytest.raises(BadFrame, match="acknowledged before"):
        state.sent(frame("COMMIT", transaction="t"))


def test_the_content_of_a_transaction_has_a_limit() -> None:
    state = host()
    name = deliver(state, 1)
    for number in range(TRANSACTIONS):
        state.sent(frame("BEGIN", transaction=f"t{number}"))
    with pytest.raises(TooMuchOpen):
        state.sent(frame("BEGIN", transaction="one more"))
    for _ in range(ACKNOWLEDGEMENTS):
        state.sent(frame("ACK", id=name, transaction="t0"))
    with pytest.raises(TooMuchOpen):
        state.sent(frame("ACK", id=name, transaction="t0"))


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
    "an aborted one": (
        ["proof", ("BEGIN", {"transaction": "t"}), ("ABORT", {"transaction": "t"})],
        Verdict.MOVE,
        Verdict.MOVE,
    ),
    "a message before an answered acknowledgement": (
        ["proof", _SEND, ("ACK", {"id": "T_q@@session-1@@1", "receipt": "r"}), "answer"],
        Verdict.UNKNOWN,
        Verdict.REFUSED,
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
def test_the_action_when_a_session_ends(name: str) -> None:
    steps, lost, closed = _ENDINGS[name]
    state = host()
    deliver(state, 1)
    for step in steps:
        if step == "proof":
            state.doubt.proven(state.doubt.passed)
        elif step == "answer":
            state.answered("r")
        else:
            command, headers = step
            state.sent(frame(command, **headers))
    assert (state.verdict(Ending.LOST), state.verdict(Ending.CLOSED)) == (lost, closed)


def test_every_end_has_a_verdict() -> None:
    assert len(VERDICTS) == len(Ending) * len(InDoubt) * 2


def test_those_that_may_have_ended_it_are_named() -> None:
    state = host()
    for number in range(7):
        state.sent(frame("SEND", destination=f"/queue/{number}"))
    assert str(state.doubt).endswith("SEND '/queue/6' (and 3 before)")
    state.doubt.proven(state.doubt.passed - 1)
    assert str(state.doubt) == "SEND '/queue/6'"


def test_the_receipt_that_is_due_longest_is_known_unless_a_transaction_keeps_it() -> None:
    state = host(receipt="first")
    state.sent(frame("SEND", destination="/queue/x", receipt="second"))
    assert state.oldest == ("first", 1, 0)
    state.answered("first")
    assert state.oldest == ("second", 2, 0)
    state.sent(frame("BEGIN", transaction="t"))
    assert state.oldest is None
    state.sent(frame("ABORT", transaction="t"))
    state.answered("second")
    assert state.oldest is None


def test_before_a_session_nothing_is_in_doubt_and_no_acknowledgement_late() -> None:
    state = RelayState("1.2", FakeNotes())
    assert not state.doubt.any
    assert not state.is_stale(frame("ACK", id="T_q@@session-1@@5"))


def test_an_acknowledgement_of_a_session_that_this_client_never_had_is_wrong() -> None:
    state = host()
    state.move("session-2")
    for number in (0, 3):
        foreign = frame("ACK", id=f"T_q@@session-{number}@@1")
        assert not state.is_stale(foreign)
        with pytest.raises(BadFrame, match="no such message"):
            state.sent(foreign)


def test_as_many_earlier_sessions_are_known_as_there_is_room_for() -> None:
    state = host()
    for number in range(2, SESSIONS + 3):
        state.move(f"session-{number}")
    assert not state.is_stale(frame("ACK", id="T_q@@session-1@@1"))
    assert state.is_stale(frame("ACK", id="T_q@@session-2@@1"))
    assert state.is_stale(frame("ACK", id=f"T_q@@session-{SESSIONS + 1}@@1"))


@pytest.mark.parametrize("command", ["SUBSCRIBE", "UNSUBSCRIBE"])
def test_the_answer_to_a_subscription_or_its_end_tells_of_all_before_it(command: str) -> None:
    state = host()
    state.sent(frame("SEND", destination="/queue/x"))
    if command == "SUBSCRIBE":
        state.subscribed(
            "p", RoomQueue(8), frame(command, id="p", destination="/amq/queue/p", receipt="r")
        )
    else:
        state.unsubscribed("q", frame(command, id="q", receipt="r"))
    assert state.unanswered
    state.answered("r")
    assert not state.unanswered
    assert not state.doubt.any


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    state = host()
    state.sent(frame("SEND", destination="/queue/x"))
    state.answered("whatever")
    assert state.doubt.messages


def test_a_message_that_a_transaction_holds_is_not_proven_by_its_receipt() -> None:
    state = host()
    state.doubt.proven(state.doubt.passed)
    state.sent(frame("BEGIN", transaction="t"))
    state.sent(frame("SEND", destination="/queue/x", transaction="t", receipt="r"))
    state.answered("r")
    assert state.doubt.any


def test_acknowledgements_of_a_subscription_that_has_ended_are_stale() -> None:
    state = host()
    assert not state.is_stale(frame("ACK", id=deliver(state, 1)))
    state.unsubscribed("q", frame("UNSUBSCRIBE", id="q"))
    assert state.is_stale(frame("ACK", id=deliver(state, 1)))


def test_a_message_s_subscription_is_known_by_its_id() -> None:
    state = host()
    topic = RoomTopic(Stream(Audience.PUBLIC, 1))
    state.subscribed("t", topic, frame("SUBSCRIBE", id="t", destination="/topic/x"))
    found = [
        state.destination_of(frame("MESSAGE", message_id=f"{name}@@session-1@@1"))
        for name in ("T_q", "T_t", "T_other", "")
    ]
    assert found == [RoomQueue(7), topic, None, None]
    assert state.destination_of(frame("MESSAGE")) is None


def test_in_a_new_session_only_the_subscriptions_are_in_doubt_until_they_are_answered() -> None:
    state = host(receipt="r")
    state.sent(frame("SEND", destination="/queue/x"))
    state.move("session-2")
    assert not state.doubt.messages
    assert str(state.doubt) == "SUBSCRIBE '/amq/queue/t.private.7'"
    assert state.unanswered
    state.answered("r")
    assert not state.doubt.any
    assert not state.unanswered


def test_in_a_new_session_its_messages_are_acknowledged_once() -> None:
    state = host()
    state.move("session-2")
    state.doubt.proven(state.doubt.passed)
    state.deliveries.last = 1
    acknowledge = frame("ACK", id="T_q@@session-2@@1")
    state.sent(acknowledge)
    assert not state.doubt.any
    with pytest.raises(BadFrame, match="ACK 'T_q@@session-2@@1': this message was acknowledged"):
        state.sent(acknowledge)


@pytest.mark.parametrize(("version", "header"), [("1.2", "id"), ("1.1", "message_id")])
def test_an_acknowledgement_is_told_by_its_message_s_id_and_not_at_any_length(
    version: str, header: str
) -> None:
    state = RelayState(version, FakeNotes())
    state.move("session-1")
    long = "q" * 300
    state.subscribed(
        long,
        RoomQueue(7),
        frame("SUBSCRIBE", id=long, destination="/amq/queue/x", ack="client-individual"),
    )
    state.doubt.proven(state.doubt.passed)
    state.sent(frame("ACK", **{header: "whatever"}))
    assert str(state.doubt) == "ACK 'whatever'"
    state.deliveries.last = 1
    name = f"T_{long}@@session-1@@1"
    state.sent(frame("ACK", **{header: name}))
    with pytest.raises(BadFrame, match="acknowledged before") as refused:
        state.sent(frame("ACK", **{header: name}))
    assert refused.value.detail.startswith(f"ACK {name[:200]!r}: this")


def test_an_acknowledgement_of_which_nothing_is_known_any_more_is_in_doubt() -> None:
    state = host()
    state.doubt.proven(state.doubt.passed)
    deliver(state, 9)
    state.deliveries._forgotten = state.deliveries._floor = 5
    state.sent(frame("ACK", id="T_q@@session-1@@7"))
    assert not state.doubt.any
    state.sent(frame("ACK", id="T_q@@session-1@@3"))
    assert state.verdict(Ending.CLOSED) is Verdict.REFUSED
    assert str(state.doubt) == "ACK 'T_q@@session-1@@3'"


def test_a_message_that_rabbitmq_would_end_the_session_for_is_refused() -> None:
    with pytest.raises(BadFrame, match="expiration"):
        host().sent(frame("SEND", destination="/queue/x", expiration="soon"))


def test_unanswered_receipts_have_a_limit() -> None:
    state = host()
    for number in range(RECEIPTS):
        state.sent(frame("SEND", destination="/queue/x", receipt=str(number)))
    state.sent(frame("SEND", destination="/queue/x", receipt="0"))
    with pytest.raises(TooMuchOpen, match="65536 receipts"):
        state.sent(frame("SEND", destination="/queue/x", receipt="one more"))


def test_what_is_noted_of_headers_has_a_limit_and_what_is_over_makes_room() -> None:
    long = "x" * 16_000
    state = host()
    before = state._noted_bytes
    for number in range(NOTED // 16_000):
        state.sent(frame("SEND", destination="/queue/x", receipt=f"{number}{long}"[:16_000]))
    with pytest.raises(TooMuchOpen, match="headers"):
        state.sent(frame("SEND", destination="/queue/x", receipt=f"more {long}"))
    for number in range(NOTED // 16_000):
        state.answered(f"{number}{long}"[:16_000])
    assert state._noted_bytes == before
    state.sent(frame("BEGIN", transaction=long))
    state.sent(frame("BEGIN", transaction=long))
    state.sent(frame("ACK", id=deliver(state, 1), transaction=long))
    state.sent(frame("COMMIT", transaction=long))
    state.subscribed("l", RoomQueue(8), frame("SUBSCRIBE", id="l", selector=long, receipt=long))
    state.move("session-2")
    state.answered(long)
    state.unsubscribed("l", frame("UNSUBSCRIBE", id="l"))
    assert state._noted_bytes == before
    for number in range(NOTED // 16_100):
        key = f"{number}"
        state.subscribed(key, RoomQueue(8), frame("SUBSCRIBE", id=key, selector=long))
    with pytest.raises(TooMuchOpen, match="headers"):
        state.subscribed("one more", RoomQueue(8), frame("SUBSCRIBE", id="x", selector=long))
