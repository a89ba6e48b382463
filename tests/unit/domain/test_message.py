import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from broker.topology import Audience, Stream
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
