"""Which messages of the history a session of a private queue has missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from broker.timing.tasks import Tasks
from broker.topology import Audience, Queued, Stream, Topology
from gateway.domain.message import Message
from gateway.live.relay.missed import Gap
from gateway.queues.acknowledged import Acknowledgements
from gateway.queues.missed import Missed
from gateway.store.records import Page
from tests.virtual_time import run

ROOM = 7
PUBLIC, PRIVATE = Stream(Audience.PUBLIC, ROOM), Stream(Audience.PRIVATE, ROOM)
START = datetime(2026, 1, 2, tzinfo=UTC)


def message(seq: int, stream: Stream = PUBLIC, *, at: float = 0.0) -> Message:
    id = UUID(int=1000 * (stream == PRIVATE) + seq)
    return Message(id, stream, seq, "paul", START + timedelta(seconds=at or seq), "chat", seq)


@dataclass
class FakeHistory:
    """The stored messages, and what is stored of the acknowledgements; ``later``: what another
    gateway stores a second later."""

    messages: dict[Stream, list[Message]] = field(default_factory=dict)
    places: dict[Stream, int] = field(default_factory=dict)
    later: dict[Stream, int] = field(default_factory=dict)

    async def read(self, stream: Stream, *, after: int, limit: int) -> Page:
        found = [each for each in self.messages.get(stream, ()) if (each.seq or 0) > after]
        return Page(found[:limit], head=len(found), first=1)

    async def acknowledged(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        places = {stream: self.places.get(stream, 0) for stream in streams}
        self.places |= self.later
        return places

    async def acknowledge(self, seqs: Any) -> None:
        self.places |= seqs


def missed(
    history: FakeHistory,
    gap: Gap,
    *,
    acknowledged: Sequence[int] = (),
    hours: float = 1.0,
    queued: Queued = Queued.EVERYTHING,
) -> list[str]:
    """The messages, as text."""

    async def whole() -> list[str]:
        loop = asyncio.get_running_loop()
        notes = Acknowledgements(history, clock=loop.time, tasks=Tasks())
        for seq in acknowledged:
            notes.acknowledged(PUBLIC, seq)
        now = START + timedelta(hours=hours)
        found = Missed(history, notes, Topology(queued=queued), utc=lambda: now)
        return [f"{each.stream.audience} {each.seq}" async for each in found.before(gap)]

    return run(whole())


def public(*seqs: int) -> list[str]:
    return [f"public {seq}" for seq in seqs]


def gap(seq: int, stream: Stream = PUBLIC, **seen: int) -> Gap:
    return Gap(stream, seq, {Stream(Audience(each), ROOM): n for each, n in seen.items()}, b"T_s")


def test_all_between_what_is_acknowledged_and_what_comes_is_missing() -> None:
    history = FakeHistory({PUBLIC: [message(n) for n in range(1, 9)]}, {PUBLIC: 2})
    assert missed(history, gap(6)) == public(3, 4, 5)
    assert missed(history, gap(3)) == []


def test_what_the_queue_never_gets_is_not_missing() -> None:
    history = FakeHistory(
        {
            PUBLIC: [message(n) for n in range(1, 9)],
            PRIVATE: [message(n, PRIVATE) for n in range(1, 4)],
        }
    )
    assert missed(history, gap(3, PRIVATE), queued=Queued.QUESTIONS) == ["private 1", "private 2"]
    # From before the configuration changed.
    assert missed(history, gap(6), queued=Queued.QUESTIONS) == []


def test_in_the_middle_of_a_session_it_is_what_is_between() -> None:
    history = FakeHistory({PUBLIC: [message(n) for n in range(1, 9)]}, {PUBLIC: 2})
    assert missed(history, gap(8, public=5)) == public(6, 7)


def test_what_another_host_has_acknowledged_meanwhile_is_not_missing() -> None:
    """The session goes on after a move, or a new SUBSCRIBE, and had to wait for its turn."""
    history = FakeHistory({PUBLIC: [message(n) for n in range(1, 9)]}, {PUBLIC: 6})
    assert missed(history, gap(8, public=2)) == public(7)


def test_what_is_acknowledged_out_of_order_is_not_missing() -> None:
    history = FakeHistory({PUBLIC: [message(n) for n in range(1, 9)]}, {PUBLIC: 1})
    assert missed(history, gap(6), acknowledged=[3, 4]) == public(2, 5)


def test_what_another_gateway_has_heard_of_and_is_about_to_store_is_not_missing() -> None:
    history = FakeHistory(
        {PUBLIC: [message(n) for n in range(1, 9)]}, {PUBLIC: 2}, later={PUBLIC: 5}
    )
    assert missed(history, gap(6)) == []


def test_before_a_session_s_first_message_the_other_stream_is_missing_too() -> None:
    """Of that stream the queue may have nothing left that would show it."""
    history = FakeHistory(
        {
            PUBLIC: [message(n) for n in range(1, 9)],
            PRIVATE: [message(1, PRIVATE, at=3.5), message(2, PRIVATE, at=6.5)],
        },
        {PUBLIC: 2},
    )
    assert missed(history, gap(6)) == ["public 3", "private 1", "public 4", "public 5"]
    assert missed(history, gap(6, private=0)) == public(3, 4, 5)


def test_of_a_room_whose_queue_nobody_has_used_only_a_day_is_missing() -> None:
    hours = [message(n, at=3600 * n) for n in range(1, 31)]
    assert missed(FakeHistory({PUBLIC: hours}), gap(30), hours=30) == public(*range(6, 30))
    assert missed(FakeHistory({PUBLIC: hours}, {PUBLIC: 2}), gap(6), hours=300) == public(3, 4, 5)


def test_a_number_that_the_history_does_not_know_shows_nothing() -> None:
    history = FakeHistory({PUBLIC: [message(n) for n in range(1, 9)]})
    assert missed(history, gap(99)) == []


def test_what_the_history_does_not_keep_any_more_is_not_waited_for() -> None:
    history = FakeHistory({PUBLIC: [message(n) for n in range(4, 9)]}, {PUBLIC: 1})
    assert missed(history, gap(6)) == public(4, 5)
