import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from broker.topology import Audience, Stream
from gateway.domain.kept import Entry
from gateway.domain.message import Draft, timestamp
from gateway.domain.room import MemberRole

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def draft(body: Any) -> Draft:
    return Draft(UUID(int=1), Stream(Audience.PUBLIC, 42), "폴", NOON, "chat", body)


def test_times_are_rfc_3339_in_utc_with_microseconds() -> None:
    seoul = timezone(timedelta(hours=9))
    assert timestamp(datetime(2026, 1, 1, 8, tzinfo=seoul)) == "2025-12-31T23:00:00.000000Z"


def test_a_message_is_compact_json() -> None:
    assert draft({"text": "안녕"}).numbered(3).encode().decode() == (
        '{"id":"00000000-0000-0000-0000-000000000001","room":42,"audience":"public","seq":3,'
        '"sender":"폴","role":null,"sent_at":"2026-05-04T12:00:00.000000Z","type":"chat",'
        '"body":{"text":"안녕"}}'
    )


def test_a_message_says_what_its_sender_was_when_it_was_said() -> None:
    said = replace(draft("now"), role=MemberRole.HOST).numbered(3)
    assert json.loads(said.encode())["role"] == "host"


def test_a_message_with_a_key_says_so_and_no_other_does() -> None:
    plain = draft(1).numbered(3).encode()
    kept = replace(draft(1), keep="vote:1", only_while="voting:1").numbered(3).encode()
    assert kept == plain.replace(b'"body"', b'"keep":"vote:1","body"')
    of = replace(draft(1), keep="hand", of='"김"').numbered(3).encode()
    assert of.decode() == plain.decode().replace('"body"', r'"keep":"hand","of":"\"김\"","body"')


@pytest.mark.parametrize(
    ("role", "of", "author"),
    [
        (MemberRole.HOST, None, None),
        (MemberRole.PARTICIPANT, None, "폴"),
        (None, None, "폴"),
        (MemberRole.HOST, "김", "김"),
        (MemberRole.PARTICIPANT, "김", "김"),
    ],
)
def test_an_entry_is_the_rooms_or_somebodys(
    role: MemberRole | None, of: str | None, author: str | None
) -> None:
    said = replace(draft(1), keep="hand", role=role, of=of)
    entry = Entry(Stream(Audience.PUBLIC, 42), author, "hand")
    assert said.entry == said.numbered(1).entry == entry
    assert draft(1).entry is draft(1).numbered(1).entry is None


@pytest.mark.parametrize("change", [{"keep": "b"}, {"keep": None}, {"of": "b"}, {"of": None}])
def test_another_key_or_author_is_another_message(change: dict[str, Any]) -> None:
    said = replace(draft(1), keep="a", of="a")
    assert said.numbered(1).says_the_same_as(replace(said, only_while="x"))
    assert not said.numbered(1).says_the_same_as(replace(said, **change))


@pytest.mark.parametrize("body", ["\ud800", "a\udfffb\\", {"\udc00": ["\0", "\\ud800"]}])
def test_a_lone_surrogate_travels_as_an_escape(body: Any) -> None:
    assert json.loads(draft(body).numbered(1).encode())["body"] == body


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1, "b": [2]}, {"b": [2], "a": 1}), (1.5, 1.50), ("\ud800", "\ud800"), (None, None)],
)
def test_bodies_with_the_same_json_are_the_same(one: Any, other: Any) -> None:
    assert draft(one).numbered(1).says_the_same_as(draft(other))


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (1, 1.0), (0, False), ([1], [2]), ({"a": 1}, {"a": 1.0}), ("", 0)]
)
def test_bodies_with_other_json_are_not(one: Any, other: Any) -> None:
    assert not draft(one).numbered(1).says_the_same_as(draft(other))
