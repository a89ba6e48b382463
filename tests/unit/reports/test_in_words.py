"""All messages of a room as a table: in words, whatever was posted."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.domain.room import MemberRole
from gateway.reports.cells import Style
from gateway.reports.talk import Talk
from gateway.reports.words import WORDS

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
PUBLIC, PRIVATE = Audience.PUBLIC, Audience.PRIVATE
ASKED = {"question": "Why?", "options": ["yes", "no"]}


def said(
    type: str,
    body: Any,
    audience: Audience = PUBLIC,
    keep: str | None = None,
    of: str | None = None,
) -> Message:
    stream = Stream(audience, 1)
    return Message(uuid4(), stream, 1, "anna", NINE, type, body, MemberRole.HOST, keep=keep, of=of)


def told(*messages: Message, language: str = "en", zone: tzinfo = UTC) -> tuple[str, str]:
    """The type and the text of the last one."""
    row, style = Talk().rows(messages)[-1], Style(WORDS[language], zone)
    return style.text(row[6]), style.text(row[7])


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (said("message", {"text": "hi"}), "hi"),
        (said("answer", {"text": "so", "quote": "why?", "question": "1"}), "“why?” — so"),
        (said("poll", ASKED, keep="poll:7"), "Why? — yes / no"),
        (said("poll", {"question": "Why?", "kind": "text"}), "Why?"),
        (said("poll", None, keep="poll:7"), "put away"),
        (said("voting", {"until": None, "hidden": True}, keep="voting:7"), "Answers are taken."),
        (
            said("voting", {"until": "2026-05-04T09:01:00.000Z"}, keep="voting:7"),
            "Answers are taken until 2026-05-04 09:01:00.",
        ),
        (said("voting", None, keep="voting:7"), "No more answers are taken."),
        (said("poll-closed", {**ASKED, "totals": [3, 0]}), "Why? — yes: 3, no: 0"),
        (
            said("poll-closed", {**ASKED, "kind": "ranking", "totals": [3, 1]}),
            "Why? — yes: 3 points, no: 1 points",
        ),
        (said("poll-closed", {"question": "Why?", "totals": ["so", "ask"]}), "Why? — so, ask"),
        (said("poll-set", {"title": "Leaves"}, PRIVATE, "set:1"), "Leaves"),
        (said("poll-set", {**ASKED, "place": 1}, PRIVATE, "set:1:2"), "Why?"),
        (said("poll-set", None, PRIVATE, "set:1"), "taken away"),
        (said("hand", {"up": True}, PRIVATE, "hand"), "up"),
        (said("hand", None, PRIVATE, "hand", "bob"), "down"),
        (said("hand-taken", {"hand": "x"}), ""),
        (said("question-done", {"question": "1", "done": True}, PRIVATE, "fate:1"), "done"),
        (
            said("question-done", {"question": "1", "answer": 17}, PRIVATE, "fate:1"),
            "answered by message 17 to everyone",
        ),
        (
            said("settings", {"chat": False, "slow": 3690, "approve": True}, keep="settings"),
            "only hosts write to everyone; everybody writes once in 1 h 1 min 30 s; "
            "hosts look at it first",
        ),
        (said("settings", None, keep="settings"), "everybody writes as they like"),
        (said("muted", {"user": "bob"}, PRIVATE, "muted:bob"), "bob"),
        (said("muted", {"user": "안나"}, PRIVATE, "muted", "안나"), "안나"),
        (said("muted", None, PRIVATE, "muted:bob"), "bob may speak again"),
        (said("hidden", {"seq": 3}, keep="hidden:3"), "message 3"),
        (said("hidden", None, keep="hidden:3"), "message 3 is shown again"),
        (said("score", None, keep="score:1"), "taken away"),
    ],
)
def test_what_the_pages_say_is_in_words(message: Message, text: str) -> None:
    type, body = told(message)
    assert body == text
    if message.type != "score":
        assert type != message.type
        assert told(message, language="ko")[0] not in (type, message.type)


def test_a_vote_and_a_solution_name_the_options_of_their_poll() -> None:
    poll = said("poll", ASKED, keep="poll:7")
    vote = said("vote", {"poll": "7", "option": 1}, PRIVATE, "vote:7")
    assert told(poll, vote) == ("Answer to the poll", "Why? — no")
    right = said("poll-right", {"right": [0], "explanation": "Light."}, PRIVATE, "right:7")
    assert told(poll, right) == ("Right answer", "yes — Light.")
    # A poll that is not known any more.
    assert told(vote)[1] == "1"
    assert told(right)[1] == "0 — Light."


ODD = [None, True, 7, -1, 10**400, "x", [], [[1]], {}, {"text": 1}, {"until": "0001-01-01T00:00Z"}]


@pytest.mark.parametrize(
    "type",
    [
        *("message", "answer", "poll", "voting", "poll-closed", "poll-right", "poll-set", "vote"),
        *("hand", "hand-taken", "question-done", "settings", "muted", "hidden", "score"),
    ],
)
@pytest.mark.parametrize("keep", [None, "x", "muted", "hidden:x", "right:7"])
def test_whatever_was_posted_is_told(type: str, keep: str | None) -> None:
    odd = {"question": [1], "options": 7, "totals": {}, "right": [{}], "poll": 1, "answer": -1}
    for body in [*ODD, odd, {"slow": 10**400, "chat": 1, "until": 5}, {"poll": "7", "option": []}]:
        told(said(type, body, keep=keep), zone=ZoneInfo("America/New_York"))


def test_the_type_and_the_json_of_other_programs_stand_as_they_are() -> None:
    assert told(said("score", {"red": 3}, keep="score:1")) == ("score", '{"red":3}')
    # A body that is not what its type says.
    assert told(said("poll", {"red": 3})) == ("Poll", '{"red":3}')
