"""What a private queue has dropped reaches its consumer from the history, in order and once."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from broker.protocol.stomp import Frame, serialise
from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.errors import BadFrame, StoreUnavailable
from tests.integration.live.relay.test_uplink import Stage, commands, staged, until
from tests.unit.live.relay.fakes import FakeNotes

ROOM = 7
PUBLIC, PRIVATE = Stream(Audience.PUBLIC, ROOM), Stream(Audience.PRIVATE, ROOM)
_TIMEOUT = 10.0

pytestmark = pytest.mark.gen_test(timeout=_TIMEOUT)


def message(seq: int, stream: Stream = PUBLIC) -> Message:
    id = UUID(int=1000 * (stream == PRIVATE) + seq)
    return Message(id, stream, seq, "paul", datetime(2026, 1, 2, tzinfo=UTC), "chat", f"#{seq}")


def deliver(stage: Stage, tag: int, seq: int, stream: Stream = PUBLIC) -> str:
    """RabbitMQ brings a message; its id."""
    said = message(seq, stream)
    headers = [("seq", str(seq)), ("audience", str(stream.audience)), ("room", str(ROOM))]
    return stage.first.session.deliver("s", tag, said.encode(), headers)


def heard(stage: Stage) -> list[str]:
    """Of all that the client has got: the stream and number of each message, in order."""
    found = re.findall(rb'"audience":"([a-z]+)","seq":([0-9]+)', stage.heard)
    return [f"{audience.decode()} {seq.decode()}" for audience, seq in found]


def name(seq: int, stream: Stream = PUBLIC) -> str:
    """The id of a message from the history."""
    return f"T_s@@session-r1-1@@{stream.audience}-{seq}"


def acknowledged(notes: FakeNotes) -> list[int]:
    return [seq for what, stream, seq in notes.noted if what == "acknowledged" and stream == PUBLIC]


def acks(stage: Stage) -> list[str | None]:
    """What RabbitMQ has been told to be acknowledged."""
    return [frame.get("id") for frame in stage.first.received if frame.command == "ACK"]


async def begun(
    stage: Stage, *headers: tuple[str, str], ack: str = "client-individual", id: str = "s"
) -> None:
    await stage.subscribe(*headers, ack=ack, id=id)
    await until(stage.first.subscribed)


async def test_what_is_missing_before_a_message_comes_before_it_and_is_acknowledged_here() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1), message(5, PRIVATE), message(2)]
        await begun(stage)
        own = deliver(stage, 1, 3)
        await stage.hears(b'"seq":3')
        assert heard(stage) == ["public 1", "private 5", "public 2", "public 3"]
        [gap] = stage.missed.asked
        assert (gap.stream, gap.seq, gap.seen) == (PUBLIC, 3, {})
        first = stage.heard[stage.heard.index(b"MESSAGE") :].partition(b"\n\n")[0]
        assert b"subscription:s\n" in first
        assert b"destination:/topic/acdm.mo.interact.public.7\n" in first
        assert b"redelivered:true\n" in first
        assert f"ack:{name(1)}\n".encode() in first
        assert not stage.send("ACK", ("id", name(1)))
        assert not stage.send("ACK", ("id", name(5, PRIVATE)))
        assert stage.send("ACK", ("id", own))
        await until(lambda: acks(stage) == [own])
        assert acknowledged(stage.notes) == [1, 3]
        assert ("acknowledged", PRIVATE, 5) in stage.notes.noted
        # Nothing is missing any more.
        deliver(stage, 2, 4)
        await stage.hears(b'"seq":4')
        assert len(stage.missed.asked) == 1


async def test_a_copy_that_comes_after_all_is_left_out_and_acknowledged_with_the_message() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2)]
        await begun(stage)
        deliver(stage, 1, 3)
        copy = deliver(stage, 2, 2)
        last = deliver(stage, 3, 4)
        await stage.hears(b'"seq":4')
        assert heard(stage) == [f"public {n}" for n in (1, 2, 3, 4)]
        # Until then RabbitMQ keeps it, for whoever comes after this client.
        assert acks(stage) == []
        assert not stage.send("ACK", ("id", name(2)))
        await until(lambda: acks(stage) == [copy])
        assert stage.send("ACK", ("id", last))
        with pytest.raises(BadFrame):
            stage.send("ACK", ("id", copy))


async def test_a_client_gets_no_more_than_its_prefetch_count_allows() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2)]
        await begun(stage, ("prefetch-count", "1"))
        deliver(stage, 1, 3)
        await stage.hears(b'"seq":1')
        # Its answers do not wait behind what it has not acknowledged.
        assert heard(stage) == ["public 1"]
        stage.send("ACK", ("id", name(1)))
        await stage.hears(b'"seq":2')
        assert heard(stage) == ["public 1", "public 2"]
        stage.send("ACK", ("id", name(2)))
        await stage.hears(b'"seq":3')
        assert heard(stage) == ["public 1", "public 2", "public 3"]


@pytest.mark.parametrize("ack", ["client", "client-individual"])
async def test_a_client_that_acknowledges_seldom_gets_as_much_as_rabbitmq_would_send(
    ack: str,
) -> None:
    async with staged() as stage:
        stage.missed.messages = [message(seq) for seq in range(1, 1001)]
        await begun(stage, ack=ack)
        deliver(stage, 1, 1001)
        await stage.hears(b'"seq":1001')
        assert heard(stage) == [f"public {n}" for n in range(1, 1002)]


async def test_the_prefetch_count_is_for_both_sources_together() -> None:
    async with staged() as stage:
        await begun(stage, ("prefetch-count", "2"))
        own = deliver(stage, 1, 1)
        await stage.hears(b'"seq":1')
        stage.missed.messages = [message(2), message(3)]
        deliver(stage, 2, 4)
        await stage.hears(b'"seq":2')
        assert heard(stage) == ["public 1", "public 2"]
        stage.send("ACK", ("id", own))
        await stage.hears(b'"seq":3')
        assert heard(stage) == ["public 1", "public 2", "public 3"]
        stage.send("ACK", ("id", name(2)))
        await stage.hears(b'"seq":4')


async def test_what_a_subscription_that_has_ended_had_not_acknowledged_counts_no_more() -> None:
    async with staged() as stage:
        await begun(stage, ("prefetch-count", "1"))
        deliver(stage, 1, 1)
        await stage.hears(b'"seq":1')
        sent = (("id", "s"),)
        stage.uplink.unsubscribe(
            "s", Frame("UNSUBSCRIBE", sent, raw=serialise("UNSUBSCRIBE", sent))
        )
        await until(lambda: not stage.first.subscribed())
        await begun(stage, ("prefetch-count", "1"))
        stage.missed.messages = [message(1)]
        deliver(stage, 2, 2)
        await stage.hears(name(1).encode())


async def test_a_cumulative_acknowledgement_counts_across_both_sources() -> None:
    async with staged() as stage:
        await begun(stage, ack="client")
        for tag, seq in ((1, 1), (2, 2)):
            deliver(stage, tag, seq)
        await stage.hears(b'"seq":2')
        stage.missed.messages = [message(3), message(4), message(5)]
        deliver(stage, 3, 6)
        await stage.hears(b'"seq":6')
        # Of a message from the history: for RabbitMQ's before it …
        stage.send("ACK", ("id", name(4)))
        await until(lambda: acks(stage) == ["T_s@@session-r1-1@@2"])
        assert acknowledged(stage.notes) == [3, 4, 1, 2]
        # … and of RabbitMQ's for those from the history before it.
        stage.send("ACK", ("id", "T_s@@session-r1-1@@3"))
        await until(lambda: len(acks(stage)) == 2)
        assert sorted(acknowledged(stage.notes)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_client_that_has_enough_is_not_held_up(*, leaves: bool) -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2)]
        await begun(stage, ("prefetch-count", "1"))
        deliver(stage, 1, 3)
        await stage.hears(b'"seq":1')
        if leaves:
            await stage.uplink.leave()
            assert commands(stage.first)[-1] == "DISCONNECT"
            assert heard(stage) == ["public 1"]
        else:
            stage.uplink.unsubscribe(
                "s", Frame("UNSUBSCRIBE", (("id", "s"),), raw=b"UNSUBSCRIBE\nid:s\n\n\0")
            )
            await stage.hears(b'"seq":3')
            assert heard(stage) == ["public 1", "public 3"]
        assert stage.ended is None


async def test_a_database_that_is_away_for_a_moment_is_a_pause() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2)]
        stage.missed.breaks_after = 1
        await begun(stage)
        deliver(stage, 1, 3)
        await until(lambda: stage.missed.away)
        stage.missed.away = False
        await stage.hears(b'"seq":3')
        assert heard(stage) == ["public 1", "public 2", "public 3"]
        assert stage.ended is None


async def test_the_time_that_a_client_takes_is_none_in_which_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.relay.conversation.OUTAGE", 0.1)
    loop = asyncio.get_running_loop()
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2), message(3)]
        stage.missed.breaks_after = 2
        await begun(stage, ("prefetch-count", "1"))
        deliver(stage, 1, 4)
        await stage.hears(b'"seq":1')
        began = loop.time()
        await until(lambda: loop.time() > began + 0.1)
        stage.send("ACK", ("id", name(1)))
        await until(lambda: stage.missed.away)
        stage.missed.away = False
        stage.send("ACK", ("id", name(2)))
        await stage.hears(b'"seq":3')
        assert stage.ended is None


async def test_a_history_that_cannot_be_read_ends_the_client_rather_than_make_a_hole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.relay.conversation.OUTAGE", 0.2)
    async with staged() as stage:
        stage.missed.away = True
        await begun(stage)
        deliver(stage, 1, 3)
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, StoreUnavailable)


async def test_a_move_forgets_nothing_that_the_client_has() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2)]
        await begun(stage)
        deliver(stage, 1, 3)
        await stage.hears(b'"seq":3')
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        assert not stage.send("ACK", ("id", name(2)))
        assert acknowledged(stage.notes) == [2]
        headers = [("seq", "3"), ("audience", "public")]
        stage.second.session.deliver("s", 1, b"again", headers)
        await stage.hears(b"again")
        assert len(stage.missed.asked) == 1


@pytest.mark.parametrize("id", ["a:b", "s" * 500])
async def test_a_hole_shows_whatever_the_subscription_is_called(id: str) -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1)]
        await begun(stage, id=id)
        headers = [("sender", "\N{GRINNING FACE}" * 255), ("seq", "2"), ("audience", "public")]
        own = stage.first.session.deliver(id, 1, message(2).encode(), headers)
        await stage.hears(b'"seq":2')
        assert heard(stage) == ["public 1", "public 2"]
        assert not stage.send("ACK", ("id", f"T_{id}@@session-r1-1@@public-1"))
        assert stage.send("ACK", ("id", own))
        await until(lambda: acks(stage) == [own])
        assert acknowledged(stage.notes) == [1, 2]


async def test_a_cumulative_acknowledgement_names_none_of_another_subscription() -> None:
    async with staged() as stage:
        await begun(stage, ack="client")
        own = deliver(stage, 1, 1)
        # Of a subscription with ack:auto: RabbitMQ ends a session that acknowledges it.
        stage.first.session.deliver("other", 2, b"other")
        await stage.hears(b"other")
        stage.missed.messages = [message(2)]
        deliver(stage, 3, 3)
        await stage.hears(b'"seq":3')
        stage.send("ACK", ("id", name(2)))
        await until(lambda: acks(stage) == [own])


async def test_a_message_that_was_refused_comes_when_rabbitmq_brings_it_after_all() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1)]
        await begun(stage)
        deliver(stage, 1, 2)
        await stage.hears(b'"seq":2')
        assert not stage.send("NACK", ("id", name(1)))
        late = deliver(stage, 2, 1)
        deliver(stage, 3, 3)
        await stage.hears(b'"seq":3')
        assert heard(stage) == [f"public {n}" for n in (1, 2, 1, 3)]
        assert late.encode() in stage.heard
        assert acks(stage) == []


async def test_any_form_of_an_acknowledgement_makes_room_for_more() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1)]
        await begun(stage, ("prefetch-count", "3"), ack="client")
        own = deliver(stage, 1, 2)
        await stage.hears(b'"seq":2')
        stage.missed.messages = [message(3), message(4)]
        deliver(stage, 2, 5)
        await stage.hears(b'"seq":3')
        assert stage.send("ACK", ("id", own), ("receipt", "r"))
        await stage.hears(b'"seq":4')


def unsubscribe(stage: Stage) -> None:
    stage.uplink.unsubscribe(
        "s", Frame("UNSUBSCRIBE", (("id", "s"),), raw=b"UNSUBSCRIBE\nid:s\n\n\0")
    )


async def test_what_was_not_given_before_an_unsubscribe_is_missing_after_the_next_subscribe() -> (
    None
):
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2)]
        await begun(stage, ("prefetch-count", "1"))
        deliver(stage, 1, 3)
        await stage.hears(b'"seq":1')
        unsubscribe(stage)
        await stage.hears(b'"seq":3')
        await until(lambda: not stage.first.subscribed())
        await begun(stage)
        deliver(stage, 2, 4)
        await stage.hears(b'"seq":4')
        assert heard(stage) == [f"public {n}" for n in (1, 3, 1, 2, 4)]
        assert [dict(gap.seen) for gap in stage.missed.asked] == [{}, {}]


async def test_a_late_acknowledgement_of_a_subscription_that_has_ended_goes_nowhere() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1)]
        await begun(stage)
        deliver(stage, 1, 2)
        await stage.hears(b'"seq":2')
        unsubscribe(stage)
        await until(lambda: not stage.first.subscribed())
        await begun(stage)
        assert not stage.send("ACK", ("id", name(1)))
        assert acks(stage) == []
        assert acknowledged(stage.notes) == []


async def test_a_hole_that_shows_while_the_client_leaves_holds_nothing_up() -> None:
    async with staged() as stage:
        await begun(stage, ("prefetch-count", "1"))
        deliver(stage, 1, 1)
        await stage.hears(b'"seq":1')
        stage.missed.messages = [message(2), message(3)]
        stage.send("SEND", ("destination", "/queue/x"))
        stage.first.cruel = lambda frame: frame.command == "BEGIN" and not deliver(stage, 2, 4)
        await stage.uplink.leave()
        assert stage.ended is None
        assert heard(stage) == ["public 1"]
        assert stage.missed.asked == []


async def test_a_copy_of_what_is_acknowledged_already_is_acknowledged_at_once() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1)]
        await begun(stage)
        deliver(stage, 1, 2)
        await stage.hears(b'"seq":2')
        assert not stage.send("ACK", ("id", name(1)))
        copy = deliver(stage, 2, 1)
        await until(lambda: acks(stage) == [copy])


async def test_a_copy_is_refused_with_its_message() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1)]
        await begun(stage)
        deliver(stage, 1, 2)
        copy = deliver(stage, 2, 1)
        deliver(stage, 3, 3)
        await stage.hears(b'"seq":3')
        assert not stage.send("NACK", ("id", name(1)))
        await until(
            lambda: (
                [each.get("id") for each in stage.first.received if each.command == "NACK"]
                == [copy]
            )
        )
        assert acknowledged(stage.notes) == []


async def test_a_copy_that_comes_again_after_a_move_is_left_out_again() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1)]
        await begun(stage)
        deliver(stage, 1, 2)
        deliver(stage, 2, 1)
        deliver(stage, 3, 3)
        await stage.hears(b'"seq":3')
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        headers = [("seq", "1"), ("audience", "public")]
        copy = stage.second.session.deliver("s", 1, message(1).encode(), headers)
        headers = [("seq", "4"), ("audience", "public")]
        stage.second.session.deliver("s", 2, message(4).encode(), headers)
        await stage.hears(b'"seq":4')
        assert heard(stage) == [f"public {n}" for n in (1, 2, 3, 4)]
        assert not stage.send("ACK", ("id", name(1)))
        await until(
            lambda: (
                [each.get("id") for each in stage.second.received if each.command == "ACK"]
                == [copy]
            )
        )


@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
async def test_an_acknowledgement_in_a_transaction_counts_when_it_is_committed(end: str) -> None:
    async with staged() as stage:
        await begun(stage, ack="client")
        own = deliver(stage, 1, 1)
        await stage.hears(b'"seq":1')
        stage.missed.messages = [message(2)]
        deliver(stage, 2, 3)
        await stage.hears(b'"seq":3')
        assert stage.send("BEGIN", ("transaction", "t"))
        assert not stage.send("ACK", ("id", name(2)), ("transaction", "t"))
        assert acknowledged(stage.notes) == []
        assert stage.send(end, ("transaction", "t"))
        await until(lambda: end in commands(stage.first))
        if end == "COMMIT":
            await until(lambda: acks(stage) == [own])
            assert acknowledged(stage.notes) == [2, 1]
        else:
            assert acknowledged(stage.notes) == []
            assert not stage.send("ACK", ("id", name(2)))
            await until(lambda: acks(stage) == [own])


async def test_a_move_widens_no_window_and_ends_no_cumulative_acknowledgement() -> None:
    async with staged() as stage:
        stage.missed.messages = [message(1), message(2)]
        await begun(stage, ("prefetch-count", "3"), ack="client")
        deliver(stage, 1, 3)
        await stage.hears(b'"seq":3')
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        stage.missed.messages = [message(4), message(5)]
        headers = [("seq", "6"), ("audience", "public")]
        stage.second.session.deliver("s", 1, message(6).encode(), headers)
        await stage.hears(b'"seq":4')
        assert heard(stage) == [f"public {n}" for n in (1, 2, 3, 4)]
        assert not stage.send("ACK", ("id", "T_s@@session-r2-1@@public-4"))
        assert acknowledged(stage.notes) == [1, 2, 4]
        await stage.hears(b'"seq":6')
        assert heard(stage) == [f"public {n}" for n in range(1, 7)]
