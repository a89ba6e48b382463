"""Frames that pass as acknowledgements unread, and those that must be read."""

from datetime import UTC, datetime
from uuid import UUID

import hypothesis
import pytest
from hypothesis import strategies as st

from broker.protocol.stomp import CLIENT_COMMANDS, Frame, FrameParser, Limits, serialise
from broker.protocol.websocket import Data, MessageReader, Opcode, build, mask
from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.errors import BadFrame
from gateway.live.relay.acknowledgements import (
    AUTOMATIC,
    ENDED,
    KEPT,
    NUMBERED,
    Deliveries,
    Settled,
)
from tests.unit.live.relay.fakes import FakeNotes

ID = "T_s@@session-1@@7"
KEY = b"\x01\x80\xfe\x00"


def client(payload: bytes, opcode: int = Opcode.TEXT) -> bytes:
    return build(opcode, payload, mask=KEY)


def ack(*headers: tuple[str, str], command: str = "ACK") -> bytes:
    return client(serialise(command, headers))


def subscribe(id: str, ack: str) -> Frame:
    return Frame("SUBSCRIBE", (("id", id), ("destination", "/queue/x"), ("ack", ack)))


def delivered(
    last: int, *, ack: str = "client-individual", version: str = "1.2", id: str = "s"
) -> Deliveries:
    """A session with one subscription that has brought so many messages."""
    deliveries = Deliveries("session-1", version, FakeNotes())
    deliveries.subscribed(subscribe(id, ack))
    deliveries.last = last
    return deliveries


def frame(tag: object, command: str = "ACK", *, session: str = "session-1", id: str = "s") -> Frame:
    return Frame(command, (("id", f"T_{id}@@{session}@@{tag}"),))


def settles(deliveries: Deliveries, tag: int) -> bool:
    settled = deliveries.read(frame(tag))
    assert settled is not None
    return deliveries.settle(settled, handled=True)


NEWER = [
    ack(("id", ID)),
    ack(("id", ID), command="NACK"),
    client(b"ACK\nid:" + ID.encode() + b"\n\n\0\n", Opcode.BINARY),
]
OLDER = [
    ack(("message-id", ID), ("subscription", "my one")),
    ack(("subscription", "s"), ("message-id", ID)),
]


@pytest.mark.parametrize(
    ("version", "data"),
    [*(("1.2", data) for data in NEWER), *(("1.1", data) for data in OLDER)],
)
def test_one_of_this_session_passes_and_is_what_the_parser_reads(version: str, data: bytes) -> None:
    assert delivered(7, version=version).pass_by(data) == (1, len(data))
    (event,) = MessageReader(1000, masked=True).feed(data)
    assert isinstance(event, Data)
    found = next(FrameParser(Limits(), CLIENT_COMMANDS).feed(event.payload))
    assert isinstance(found, Frame)
    assert (found.get("id") or found.get("message-id"), found.body) == (ID, b"")


@pytest.mark.parametrize(("version", "data"), [("1.1", NEWER[0]), ("1.2", OLDER[0])])
def test_rabbitmq_looks_for_the_versions_own_header(version: str, data: bytes) -> None:
    assert delivered(7, version=version).pass_by(data) == (0, 0)


def test_several_pass_together_up_to_another_frame_a_half_one_or_a_wrong_one() -> None:
    three = b"".join(client(serialise("ACK", [("id", ID[:-1] + tag)])) for tag in "123")
    size = len(three)
    other = client(serialise("SEND", [("destination", "/queue/x")]))
    assert delivered(7).pass_by(three) == (3, size)
    assert delivered(7).pass_by(three + other + NEWER[0]) == (3, size)
    assert delivered(7).pass_by(three + b"\x81") == (3, size)
    assert delivered(7).pass_by(three + three) == (3, size)
    assert delivered(2).pass_by(three) == (2, size // 3 * 2)


@pytest.mark.parametrize("cut", range(len(NEWER[0])))
def test_half_of_one_does_not_pass(cut: int) -> None:
    assert delivered(7).pass_by(NEWER[0][:cut]) == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        ack(("id", ID.replace("session-1", "session-2"))),
        ack(("id", "7")),
        ack(("id", ID), ("transaction", "t")),
        ack(("id", ID), ("receipt", "r")),
        client(b"ACK\nid:" + ID.encode() + b"\ncontent-length:0\n\n\0"),
        ack(("id", ID), ("id", "T_s@@session-2@@1")),
        ack(("id", "T_s@@session-2@@1"), ("message-id", ID), ("subscription", ID)),
        ack(("subscription", ID)),
        ack(("message-id", ID)),
        ack(("id", "T_a:b@@session-1@@7")),
        ack(),
        ack(("id", ID), command="BEGIN"),
        client(b"ACK\r\nid:" + ID.encode() + b"\r\n\r\n\0"),
        client(b"ACK\nid:" + ID.encode() + b"\xff\n\n\0"),
        client(b"ACK\nid:" + ID.encode() + b"\n\nbody\0"),
        client(b"ACK\nid:" + ID.encode() + b"\n\n\0ACK\nid:x\n\n\0"),
        client(b"\nACK\nid:" + ID.encode() + b"\n\n\0"),
        client(serialise("ACK", [("id", ID)]), Opcode.PING),
        client(serialise("ACK", [("id", ID)]), Opcode.CONTINUATION),
        build(Opcode.TEXT, serialise("ACK", [("id", ID)]), fin=False, mask=KEY),
        build(Opcode.TEXT, serialise("ACK", [("id", ID)])),
        ack(("id", ID + "0" * 100)),
        b"",
    ],
)
def test_frames_of_another_form_must_be_read(data: bytes) -> None:
    assert delivered(7).pass_by(data) == (0, 0)


@pytest.mark.parametrize(
    ("ack", "steps"),
    [
        # Each step: a tag that is acknowledged, and whether RabbitMQ would take it.
        ("client-individual", [(1, True), (1, False)]),
        ("client-individual", [(3, True), (1, True), (3, False), (2, True), (2, False), (4, True)]),
        ("client-individual", [(4, True), (3, True), (2, True), (1, True), (4, False), (1, False)]),
        ("client", [(3, True), (1, False), (2, False), (3, False), (4, True), (4, False)]),
        ("client", [(4, True), (4, False), (5, True)]),
    ],
)
def test_each_message_is_acknowledged_once(ack: str, steps: list[tuple[int, bool]]) -> None:
    by_frame, by_bytes = delivered(5, ack=ack), delivered(5, ack=ack)
    for tag, right in steps:
        assert settles(by_frame, tag) is right
        data = client(serialise("ACK", [("id", f"T_s@@session-1@@{tag}")]))
        assert by_bytes.pass_by(data) == ((1, len(data)) if right else (0, 0))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (frame(6), "no such message"),
        (frame(0), "no such message"),
        (frame("6", "NACK"), "NACK 'T_s@@session-1@@6'"),
    ],
)
def test_frames_for_which_rabbitmq_would_end_the_session_are_named(wrong: Frame, why: str) -> None:
    with pytest.raises(BadFrame, match=why):
        delivered(5).read(wrong)


@pytest.mark.parametrize(
    "left",
    [
        frame("x"),
        frame("1@@2"),
        frame("-1"),
        frame("9" * 20),
        frame(1, id="other"),
        Frame("ACK", (("id", "whatever"),)),
        Frame("NACK", (("message-id", ID),)),
    ],
)
def test_receipts_that_rabbitmq_sends_itself_are_left_to_it(left: Frame) -> None:
    assert delivered(5).read(left) is None


def test_the_newest_message_is_believed_if_the_count_falls_behind() -> None:
    deliveries = delivered(3)
    deliveries.newest = b"MESSAGE\nsubscription:s\nmessage-id:T_s@@session-1@@9\n\n\0"
    assert settles(deliveries, 9)
    assert settles(deliveries, 8)
    with pytest.raises(BadFrame, match="no such message"):
        deliveries.read(frame(10))
    unreadable = delivered(3)
    unreadable.newest = b"MESSAGE\nsubscription:s\n\n\0"
    with pytest.raises(BadFrame, match="no such message"):
        unreadable.read(frame(4))


def test_there_is_nothing_to_acknowledge_with_auto_or_after_unsubscribe() -> None:
    with pytest.raises(BadFrame, match="ack:auto"):
        delivered(5, ack="auto").read(frame(1))


def test_one_that_comes_when_its_subscription_has_ended_is_late_not_wrong() -> None:
    left = delivered(5)
    assert not left.is_stale(frame(1))
    left.unsubscribed(Frame("UNSUBSCRIBE", (("id", "s"),)))
    assert left.is_stale(frame(1))
    assert left.pass_by(client(serialise("ACK", [("id", ID)]))) == (0, 0)
    assert not left.is_stale(frame(1, id="other"))
    # RabbitMQ goes by the name alone.
    left.subscribed(subscribe("s", "client-individual"))
    assert not left.is_stale(frame(1))
    assert settles(left, 1)


def test_only_the_last_subscriptions_that_have_ended_are_kept() -> None:
    deliveries = delivered(5)
    for number in range(ENDED + 1):
        deliveries.subscribed(subscribe(str(number), "client"))
        deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", str(number)),)))
    assert not deliveries.is_stale(frame(1, id="0"))
    assert deliveries.is_stale(frame(1, id="1"))


def test_acknowledgements_of_an_earlier_session_are_stale_and_no_others() -> None:
    deliveries = Deliveries("session-1", "1.2", FakeNotes(), earlier={"session-0"})
    deliveries.subscribed(subscribe("s", "client-individual"))
    assert deliveries.is_stale(frame(1, session="session-0"))
    assert not deliveries.is_stale(frame(1))
    assert not deliveries.is_stale(Frame("ACK", (("id", "whatever"),)))
    foreign = frame(1, session="session-2")
    assert not deliveries.is_stale(foreign)
    with pytest.raises(BadFrame, match="this connection has got no such message"):
        deliveries.read(foreign)
    with pytest.raises(BadFrame, match="this connection has got no such message"):
        deliveries.read(frame("+1", session="session-2"))
    # RabbitMQ says so itself.
    assert deliveries.read(frame(1, session="session-2", id="other")) is None
    assert deliveries.read(frame("x", session="session-2")) is None


def test_one_that_never_came_by_a_subscription_that_has_ended_is_not_late() -> None:
    left = delivered(5)
    left.unsubscribed(Frame("UNSUBSCRIBE", (("id", "s"),)))
    assert left.is_stale(frame(5))
    assert not left.is_stale(frame(6))
    assert not left.is_stale(frame("x"))


def test_a_client_that_leaves_one_out_for_thousands_is_forgotten_about_that_one() -> None:
    deliveries = delivered(3 * KEPT)
    for tag in range(2, 2 * KEPT):
        assert settles(deliveries, tag)
    # Of those nobody knows; they pass, and the session's end would tell.
    oldest, newest = deliveries.read(frame(1)), deliveries.read(frame(2 * KEPT - 1))
    assert oldest is not None
    assert newest is not None
    assert not deliveries.knows(oldest)
    assert settles(deliveries, 1)
    assert deliveries.knows(newest)
    assert not deliveries.settle(newest, handled=True)
    assert settles(deliveries, 2 * KEPT)


def arrive(deliveries: Deliveries, *names: str) -> None:
    """The next messages of the session, by what is before the mark in their ids."""
    for name in names:
        deliveries.last += 1
        if deliveries.mixed:
            id = f"{name}@@session-1@@{deliveries.last}"
            deliveries.passed(f"MESSAGE\nsubscription:s\nmessage-id:{id}\n\n".encode())


def mixed() -> Deliveries:
    """A session with a subscription of ``ack:auto`` beside one of ``client-individual``."""
    deliveries = delivered(0)
    deliveries.subscribed(subscribe("a", "auto"))
    return deliveries


def test_what_needs_no_acknowledgement_gets_none_by_the_name_of_another_subscription() -> None:
    deliveries = mixed()
    arrive(deliveries, "T_s", "T_a", "T_s", "T_a", "T_s")
    for wrong in (2, 4):
        assert not settles(deliveries, wrong)
        assert deliveries.pass_by(ack_bytes(wrong)) == (0, 0)
    assert [settles(deliveries, tag) for tag in (5, 1, 3)] == [True, True, True]
    assert not any(settles(deliveries, tag) for tag in range(1, 6))


def test_what_came_before_anything_was_to_be_acknowledged_needs_it_not_later_either() -> None:
    deliveries = delivered(3, ack="auto", id="a")
    assert not deliveries.mixed
    deliveries.subscribed(subscribe("s", "client-individual"))
    arrive(deliveries, "T_a", "T_s")
    assert [settles(deliveries, tag) for tag in range(1, 6)] == [False] * 4 + [True]


def test_a_subscription_that_has_ended_brings_what_needs_none_a_little_longer() -> None:
    deliveries = mixed()
    deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", "a"),)))
    arrive(deliveries, "T_a", "T_s")
    assert [settles(deliveries, tag) for tag in (1, 2)] == [False, True]


def test_a_name_is_what_its_last_subscription_says() -> None:
    deliveries = mixed()
    deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", "a"),)))
    deliveries.subscribed(subscribe("a", "client"))
    arrive(deliveries, "T_a")
    assert settles(deliveries, 1)


def test_answers_by_a_temporary_queue_need_no_acknowledgement() -> None:
    deliveries = delivered(0)
    deliveries.answers_come()
    arrive(deliveries, "T_s", "T_/temp-queue/answers", "T_s")
    assert [settles(deliveries, tag) for tag in (2, 3, 1)] == [False, True, True]


def test_a_message_whose_id_is_cut_off_counts_as_one_to_acknowledge() -> None:
    deliveries = mixed()
    arrive(deliveries, "T_s")
    deliveries.last += 1
    deliveries.passed(b"MESSAGE\nsubscription:s\nmessage-id:T_a@@session-1@@2")
    assert settles(deliveries, 2)


def test_only_the_last_automatic_subscriptions_are_remembered() -> None:
    deliveries = mixed()
    for number in range(AUTOMATIC):
        deliveries.subscribed(subscribe(str(number), "auto"))
        deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", str(number)),)))
    arrive(deliveries, "T_a", f"T_{AUTOMATIC - 1}")
    assert [settles(deliveries, tag) for tag in (1, 2)] == [True, False]


@hypothesis.given(st.lists(st.booleans(), max_size=12), st.permutations(range(1, 13)))
def test_exactly_what_was_delivered_to_be_acknowledged_may_be(
    automatic: list[bool], order: list[int]
) -> None:
    deliveries = mixed()
    arrive(deliveries, *("T_a" if each else "T_s" for each in automatic))
    for tag in order:
        if tag > len(automatic):
            with pytest.raises(BadFrame, match="no such message"):
                deliveries.read(frame(tag))
        else:
            assert settles(deliveries, tag) is not automatic[tag - 1]
            assert not settles(deliveries, tag)


def ack_bytes(tag: int, id: str = "s") -> bytes:
    return client(serialise("ACK", [("id", f"T_{id}@@session-1@@{tag}")]))


@hypothesis.given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=20), st.booleans())
def test_what_is_settled_is_what_was_acknowledged_however_it_came(
    steps: list[tuple[int, bool]], cumulative: bool
) -> None:
    deliveries = delivered(7, ack="client" if cumulative else "client-individual")
    acknowledged: set[int] = set()
    for tag, by_bytes in steps:
        right = tag <= 7 and tag not in acknowledged
        if by_bytes:
            data = ack_bytes(tag)
            assert deliveries.pass_by(data) == ((1, len(data)) if right else (0, 0))
        elif tag <= 7:
            assert settles(deliveries, tag) is right
        if right:
            acknowledged |= set(range(1, tag + 1)) if cumulative else {tag}
        floor = next(n for n in range(9) if n + 1 not in acknowledged)
        assert deliveries._floor == floor
        assert deliveries._settled == {each for each in acknowledged if each > floor}


def test_a_session_expects_acknowledgements_while_a_subscription_wants_them() -> None:
    deliveries = Deliveries("session-1", "1.2", FakeNotes())
    assert (deliveries.last, deliveries.expected, deliveries._floor) == (0, False, 0)
    deliveries.subscribed(subscribe("a", "auto"))
    assert not deliveries.expected
    deliveries.subscribed(subscribe("b", "client"))
    assert deliveries.expected
    deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", "b"),)))
    assert not deliveries.expected


def test_of_what_was_forgotten_an_acknowledgement_passes_but_is_read() -> None:
    deliveries = delivered(9)
    deliveries._forgotten = deliveries._floor = 5
    assert [deliveries.knows(Settled(tag, cumulative=False)) for tag in (5, 6)] == [False, True]
    assert deliveries.pass_by(ack_bytes(5)) == (0, 0)
    assert settles(deliveries, 5)


def test_the_older_half_is_forgotten_when_more_is_kept_than_may_be() -> None:
    deliveries = delivered(2 * KEPT)
    deliveries._settled = set(range(2, KEPT + 1))
    assert settles(deliveries, KEPT + 1)
    assert deliveries.knows(Settled(1, cumulative=False))
    assert settles(deliveries, KEPT + 2)
    middle = 2 + KEPT // 2
    assert (deliveries._floor, deliveries._forgotten) == (middle, middle)
    assert deliveries._settled == set(range(middle + 1, KEPT + 3))


def test_the_longest_frame_that_needs_no_further_length_passes_and_no_longer_one() -> None:
    """A longer one, read as if it were short, would mean something else here than it means."""
    room = 125 - len(serialise("ACK", [("id", "T_@@session-1@@7")]))
    for extra, passes in ((0, True), (1, False)):
        id = "s" * (room + extra)
        data = serialise("ACK", [("id", f"T_{id}@@session-1@@7")])
        made = bytes((0x81, 0x80 + len(data))) + KEY + mask(KEY, data)
        assert delivered(7, id=id).pass_by(made) == ((1, len(made)) if passes else (0, 0))


def test_a_newest_message_without_this_session_s_mark_tells_nothing() -> None:
    deliveries = delivered(3)
    deliveries.newest = b"x" * (len(deliveries.mark) - 1) + b"9"
    with pytest.raises(BadFrame, match="no such message"):
        deliveries.read(frame(9))


def test_a_wrong_acknowledgement_is_told_by_its_beginning() -> None:
    id = "s" * 300
    with pytest.raises(BadFrame) as wrong:
        delivered(5, id=id).read(frame(6, id=id))
    name = f"T_{id}"[:200]
    assert wrong.value.detail.startswith(f"ACK {name!r}: no such message")


def test_what_is_settled_below_the_first_gap_is_not_kept_one_by_one() -> None:
    deliveries = delivered(9)
    for tag in (2, 1):
        assert deliveries.pass_by(ack_bytes(tag))[0] == 1
    assert (deliveries._floor, deliveries._settled) == (2, set())
    for tag in (4, 6, 7, 9):
        assert settles(deliveries, tag)
    assert deliveries.settle(Settled(5, cumulative=True), handled=True)
    assert (deliveries._floor, deliveries._settled) == (7, {9})
    assert deliveries.pass_by(ack_bytes(8))[0] == 1
    assert (deliveries._floor, deliveries._settled) == (9, set())


PUBLIC, PRIVATE = Stream(Audience.PUBLIC, 7), Stream(Audience.PRIVATE, 7)


def of_queue(ack: str = "client-individual") -> tuple[Deliveries, FakeNotes]:
    """A session that consumes the private queue of room 7, beside another subscription."""
    notes = FakeNotes()
    deliveries = Deliveries("session-1", "1.2", notes)
    deliveries.given.came(PUBLIC, 3)
    deliveries.subscribed(subscribe("q", ack), 7)
    deliveries.subscribed(subscribe("other", ack))
    return deliveries, notes


def head(tag: int, *headers: str, id: str = "q", body: str = "") -> bytes:
    lines = ["MESSAGE", f"subscription:{id}", f"message-id:T_{id}@@session-1@@{tag}", *headers]
    return "\n".join([*lines, "", body]).encode()


def bring(deliveries: Deliveries, *messages: tuple[str, int]) -> None:
    for audience, seq in messages:
        deliveries.last += 1
        deliveries.came(head(deliveries.last, f"audience:{audience}", f"seq:{seq}"))


def test_the_numbers_of_a_private_queue_s_messages_are_noted_and_so_are_their_acks() -> None:
    deliveries, notes = of_queue()
    assert deliveries.numbered
    bring(deliveries, ("public", 4), ("private", 1), ("public", 5))
    assert notes.noted == [
        ("delivered", PUBLIC, 4),
        ("delivered", PRIVATE, 1),
        ("delivered", PUBLIC, 5),
    ]
    notes.noted.clear()
    assert deliveries.pass_by(ack_bytes(1, "q"))[0] == 1
    assert settles_in_queue(deliveries, 3)
    assert notes.noted == [("acknowledged", PUBLIC, 4), ("acknowledged", PUBLIC, 5)]


def settles_in_queue(deliveries: Deliveries, tag: int, *, handled: bool = True) -> bool:
    settled = deliveries.read(frame(tag, id="q"))
    assert settled is not None
    return deliveries.settle(settled, handled=handled)


def test_what_is_refused_is_not_acknowledged_though_it_is_settled() -> None:
    deliveries, notes = of_queue()
    bring(deliveries, ("public", 4), ("public", 5))
    notes.noted.clear()
    nack = ack(("id", "T_q@@session-1@@1"), command="NACK")
    assert deliveries.pass_by(nack)[0] == 1
    assert settles_in_queue(deliveries, 2, handled=False)
    assert notes.noted == []


def test_a_cumulative_acknowledgement_is_for_all_messages_up_to_it() -> None:
    deliveries, notes = of_queue("client")
    bring(deliveries, ("public", 1), ("public", 2), ("private", 1), ("public", 3))
    notes.noted.clear()
    assert deliveries.pass_by(ack_bytes(3, "q"))[0] == 1
    assert notes.noted == [
        ("acknowledged", PUBLIC, 1),
        ("acknowledged", PUBLIC, 2),
        ("acknowledged", PRIVATE, 1),
    ]


def test_what_needs_no_acknowledgement_is_acknowledged_when_it_comes() -> None:
    deliveries, notes = of_queue("auto")
    bring(deliveries, ("public", 1))
    assert notes.noted == [("acknowledged", PUBLIC, 1)]


@pytest.mark.parametrize(
    "message",
    [
        head(1, "audience:public"),
        head(1, "seq:1"),
        head(1, "audience:public", "seq:0"),
        head(1, "audience:else", "seq:1"),
        head(1, "audience:public", "seq:1", id="other"),
        head(1, body="\naudience:public\nseq:1\n"),
        b"MESSAGE\nsubscription:q\n\n",
    ],
)
def test_a_message_without_a_number_or_of_another_subscription_is_not_noted(
    message: bytes,
) -> None:
    deliveries, notes = of_queue()
    deliveries.last = 1
    deliveries.came(message)
    assert settles_in_queue(deliveries, 1)
    assert notes.noted == []


def test_what_an_ended_subscription_brings_is_not_noted() -> None:
    deliveries, notes = of_queue()
    deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", "q"),)))
    assert not deliveries.numbered
    bring(deliveries, ("public", 1))
    assert notes.noted == []


def test_the_numbers_that_are_remembered_are_bounded() -> None:
    deliveries, notes = of_queue()
    bring(deliveries, *(("public", seq) for seq in range(1, NUMBERED + 3)))
    assert len(notes.noted) == NUMBERED
    assert settles_in_queue(deliveries, NUMBERED + 2)
    assert len(notes.noted) == NUMBERED


def given(deliveries: Deliveries, stream: Stream, seq: int, id: str) -> str:
    """A message from the history that a subscription gets; its id."""
    consumer = deliveries.consumer(f"T_{id}@@session-1".encode())
    assert consumer is not None
    said = Message(UUID(int=seq), stream, seq, "paul", datetime(2026, 1, 2, tzinfo=UTC), "chat", "")
    deliveries.give(said, consumer)
    return f"T_{id}@@session-1@@{stream.audience}-{seq}"


def test_a_cumulative_acknowledgement_is_for_no_other_subscription_s_messages_of_the_history() -> (
    None
):
    """RabbitMQ does not have them: they would be lost if the client goes without them."""
    notes, other = FakeNotes(), Stream(Audience.PUBLIC, 8)
    deliveries = Deliveries("session-1", "1.2", notes)
    deliveries.subscribed(subscribe("one", "client-individual"), 7)
    deliveries.subscribed(subscribe("all", "client"), 8)
    single = given(deliveries, PUBLIC, 1, "one")
    several = given(deliveries, other, 1, "all")
    deliveries.last = 1
    deliveries.came(head(1, "audience:public", "seq:2", id="all"))
    notes.noted.clear()
    assert deliveries.handled(Frame("ACK", (("id", several),))) == []
    assert deliveries.pass_by(ack_bytes(1, "all"))[0] == 1
    assert notes.noted == [("acknowledged", other, 1), ("acknowledged", other, 2)]
    assert deliveries.handled(Frame("ACK", (("id", single),))) == []
    assert notes.noted[-1] == ("acknowledged", PUBLIC, 1)
