"""The decision about the keys of a batch: what stands, and whether one more may."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.topology import Audience, Stream
from gateway.domain.kept import Entry
from gateway.domain.message import Draft
from gateway.domain.room import MemberRole
from gateway.errors import GatewayError, NotOpen, StateFull, TooManyKeys
from gateway.store.keys import KeyBounds, Keys, condition_of
from gateway.store.numbering import Numbering
from gateway.store.records import Appended

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
PUBLIC, PRIVATE = (Stream(audience, 1) for audience in (Audience.PUBLIC, Audience.PRIVATE))
OPEN = Entry(PUBLIC, None, "open")


def draft(
    key: str | None = None,
    body: Any = 1,
    *,
    stream: Stream = PUBLIC,
    host: bool = False,
    only_while: str | None = None,
) -> Draft:
    role = MemberRole.HOST if host else MemberRole.PARTICIPANT
    made = Draft(uuid4(), stream, "paul", NOON, "chat", body, role)
    return replace(made, keep=key, only_while=only_while)


def at_most(of_room: int, of_author: int) -> KeyBounds:
    def bound(room: int | None, author: int | None) -> GatewayError | None:
        assert (room is None) != (author is None)
        if (room or 0) >= of_room or (author or 0) >= of_author:
            return TooManyKeys("full")
        return None

    return KeyBounds(number=bound)


def no_larger(of_all: int, of_author: int) -> KeyBounds:
    def bound(all_: int, author: int) -> GatewayError | None:
        return StateFull("full") if all_ > of_all or author > of_author else None

    return KeyBounds(size=bound)


def test_a_condition_is_about_the_rooms_own_public_entry() -> None:
    assert condition_of(draft(stream=PRIVATE, only_while="open")) == OPEN
    assert condition_of(draft()) is None


def test_what_has_no_row_or_is_cleared_does_not_stand() -> None:
    for stands in ({}, {OPEN: False}, {Entry(PRIVATE, None, "open"): True}):
        assert isinstance(Keys(stands).refusal(draft(only_while="open")), NotOpen)
    assert Keys({OPEN: True}).refusal(draft(only_while="open")) is None


@pytest.mark.parametrize(
    ("until", "is_open"),
    [
        ("2026-05-04T12:00:00Z", True),
        ("2026-05-04T14:00:00.000+02:00", True),
        ("2026-05-04T11:59:59.999Z", False),
        ("2026-05-04T13:59:59+02:00", False),
        ("0001-01-01T00:00:00+14:00", False),
        # What is no moment ends nothing.
        ("2026-05-03", True),
        ("2026-05-03T00:00:00", True),
        ("soon", True),
        (5, True),
        ({"until": "2020-01-01T00:00:00Z"}, True),
        (None, True),
    ],
)
def test_a_condition_ends_with_the_time_in_its_body(until: Any, is_open: bool) -> None:
    keys = Keys()
    keys.take(draft("open", {"until": until}, host=True))
    refused = keys.refusal(draft("vote", stream=PRIVATE, only_while="open"))
    assert refused is None if is_open else isinstance(refused, NotOpen)


def test_more_time_can_be_given_when_it_is_over_but_not_to_what_was_ended() -> None:
    over, longer = ({"until": f"2026-05-04T{at}:00Z"} for at in ("11:00", "12:30"))
    late = draft("vote", stream=PRIVATE, only_while="open")
    extended = draft("open", longer, host=True, only_while="open")
    keys = Keys()
    keys.take(draft("open", over, host=True))
    assert isinstance(keys.refusal(late), NotOpen)
    assert keys.refusal(extended) is None
    # Somebody's own entry of this name is another one.
    assert isinstance(keys.refusal(draft("open", longer, only_while="open")), NotOpen)
    keys.take(extended)
    assert keys.refusal(late) is None
    keys.take(draft("open", None, host=True))
    assert isinstance(keys.refusal(extended), NotOpen)
    keys.take(draft("open", over, host=True))
    keys.take(draft("open", "no time", host=True))
    assert keys.refusal(late) is None


def test_bounds_are_asked_only_for_what_would_stand_anew() -> None:
    mine = Entry(PUBLIC, "paul", "a")
    full = Counter({(PUBLIC, "paul"): 1, (PUBLIC, None): 2})
    keys = Keys({mine: True}, counts=full, bounds=at_most(2, 1))
    assert keys.refusal(draft("a", 2)) is None
    assert keys.refusal(draft("b", None)) is None
    assert isinstance(keys.refusal(draft("b")), TooManyKeys)
    assert isinstance(keys.refusal(draft("b", host=True)), TooManyKeys)
    assert keys.refusal(draft("b", stream=PRIVATE)) is None
    keys.take(draft("a", None))
    assert keys.refusal(draft("b")) is None


def test_bytes_are_asked_only_for_what_would_grow() -> None:
    keys = Keys(bounds=no_larger(15, 10))
    keys.take(draft("a"), 6)
    keys.take(draft("b"), 4)
    for key, size, fits in (("a", 6, True), ("a", 7, False), ("b", 1, True), ("c", 1, False)):
        assert (keys.refusal(draft(key), size) is None) is fits
    assert isinstance(keys.refusal(draft("c"), 1), StateFull)
    # The room's own are not counted, nor are those of the other audience.
    assert keys.refusal(draft("c", host=True), 1_000) is None
    assert keys.refusal(draft("c", stream=PRIVATE), 10) is None
    anna = replace(draft("a"), sender="anna")
    assert keys.refusal(anna, 5) is None
    assert isinstance(keys.refusal(anna, 6), StateFull)
    keys.take(draft("a", None), 4)
    assert keys.refusal(anna, 10) is None
    # What is over the bounds, because they were lowered, may get smaller.
    keys.take(draft("b"), 40)
    assert keys.refusal(draft("b"), 39) is None


def test_clearing_what_nobody_has_seen_counts_nothing() -> None:
    keys = Keys()
    keys.take(draft("a", None))
    assert keys.stands == {}
    assert not +keys.counts


def test_a_refused_draft_takes_no_number_and_no_place() -> None:
    numbering = Numbering({PUBLIC: 0}, frozenset(), {}, keys=Keys(bounds=at_most(1, 1)))
    answers = [
        numbering.take(each)
        for each in (
            draft("a", only_while="open"),
            draft("open", host=True),
            draft("other", host=True),
            draft("a", only_while="open"),
            draft("b"),
            draft(),
        )
    ]
    assert [type(each) for each in answers] == [
        *(NotOpen, Appended, TooManyKeys, Appended, TooManyKeys, Appended)
    ]
    assert numbering.heads[PUBLIC] == 3
    assert numbering.usage[1].messages == 3


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([1, None]), st.booleans()), max_size=30
    )
)
def test_what_stands_is_counted_whatever_is_said(words: list[tuple[str, Any, bool]]) -> None:
    keys = Keys()
    said: dict[Entry, Any] = {}
    sizes: dict[Entry, int] = {}
    for size, (key, body, host) in enumerate(words, 1):
        each = draft(key, body, host=host)
        keys.take(each, size)
        assert each.entry is not None
        said[each.entry] = body
        sizes[each.entry] = size
    standing = [entry for entry, body in said.items() if body is not None]
    assert {entry for entry, stands in keys.stands.items() if stands} == set(standing)
    assert +keys.counts == Counter((entry.stream, entry.author) for entry in standing)
    of_paul = sum(sizes[entry] for entry in standing if entry.author == "paul")
    assert +keys.bytes == +Counter({(PUBLIC, "paul"): of_paul, (PUBLIC, None): of_paul})
