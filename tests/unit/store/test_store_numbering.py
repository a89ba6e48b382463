from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.topology import Audience, Stream
from gateway.domain.message import Draft
from gateway.domain.room import MemberRole
from gateway.errors import HistoryFull, IdReused, RoomClosed, UnknownRoom
from gateway.store.numbering import Numbering
from gateway.store.quota import Quota, Usage
from gateway.store.records import Appended

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
OPEN, CLOSED, MISSING = (Stream(Audience.PUBLIC, room) for room in (1, 2, 3))


def draft(number: int, stream: Stream = OPEN, body: int = 0) -> Draft:
    return Draft(UUID(int=number), stream, "paul", NOON, "chat", body)


def numbering(head: int = 7) -> Numbering:
    before = Appended(draft(1).numbered(3), repeated=True, published=True)
    return Numbering({OPEN: head, CLOSED: 5}, frozenset({2}), {UUID(int=1): before})


def test_a_new_draft_takes_the_next_number() -> None:
    state = numbering(head=7)
    assert state.take(draft(2)) == Appended(draft(2).numbered(8), repeated=False)
    assert state.take(draft(3)) == Appended(draft(3).numbered(9), repeated=False)
    assert state.heads[OPEN] == 9


def test_a_known_id_takes_none() -> None:
    state = numbering()
    assert state.take(draft(1)) == Appended(draft(1).numbered(3), repeated=True, published=True)
    assert isinstance(state.take(draft(1, body=1)), IdReused)
    assert isinstance(state.take(draft(1, stream=CLOSED)), IdReused)
    assert state.heads[OPEN] == 7


def test_closed_and_missing_rooms_are_told_apart() -> None:
    state = numbering()
    assert isinstance(state.take(draft(2, stream=CLOSED)), RoomClosed)
    assert isinstance(state.take(draft(2, stream=MISSING)), UnknownRoom)


def of_host(number: int) -> Draft:
    return replace(draft(number), role=MemberRole.HOST)


@pytest.mark.parametrize("quota", [Quota(messages=20), Quota(bytes=20)])
def test_a_full_room_takes_nothing_more_and_its_last_tenth_is_for_hosts(quota: Quota) -> None:
    state = Numbering({OPEN: 17}, frozenset(), {}, {1: Usage(17, 17)}, quota)
    assert isinstance(state.take(draft(1), 1), Appended)
    assert isinstance(state.take(draft(2), 1), HistoryFull)
    assert isinstance(state.take(of_host(3), 1), Appended)
    assert isinstance(state.take(of_host(4), 1), Appended)
    assert isinstance(state.take(of_host(5), 1), HistoryFull)
    # The first answer again, and no number is left out.
    assert isinstance(state.take(draft(1), 1), Appended)
    assert state.heads[OPEN] == 20


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([OPEN, CLOSED]), st.integers(0, 1))))
def test_each_stream_counts_on_and_each_id_counts_once_whatever_comes(
    drafts: list[tuple[int, Stream, int]],
) -> None:
    state = Numbering({OPEN: 0, CLOSED: 10}, frozenset(), {})
    answers = [state.take(draft(*one)) for one in drafts]
    fresh = [a.message for a in answers if isinstance(a, Appended) and not a.repeated]
    assert len({message.id for message in fresh}) == len(fresh) == len({n for n, *_ in drafts})
    for stream, start in ((OPEN, 0), (CLOSED, 10)):
        numbers = [message.seq for message in fresh if message.stream == stream]
        assert numbers == list(range(start + 1, start + 1 + len(numbers)))
