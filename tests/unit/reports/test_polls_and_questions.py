"""Polls and questions as tables, from the messages of a room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.domain.room import MemberRole
from gateway.reports import polls as polls_module
from gateway.reports import questions as questions_module
from gateway.reports import talk
from gateway.reports.cells import Row, Word
from gateway.reports.polls import Polls
from gateway.reports.questions import Questions

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT


class Room:
    """What was said in a room."""

    def __init__(self) -> None:
        self.said: dict[Audience, list[Message]] = {audience: [] for audience in Audience}

    def say(
        self,
        audience: Audience,
        type: str,
        body: Any,
        *,
        sender: str = "anna",
        role: MemberRole | None = HOST,
        at: float = 0.0,
        id: UUID | None = None,
        keep: str | None = None,
    ) -> str:
        stream = self.said[audience]
        message = Message(
            id or uuid4(),
            Stream(audience, 1),
            len(stream) + 1,
            sender,
            NINE + timedelta(minutes=at),
            type,
            body,
            role,
            keep=keep,
        )
        stream.append(message)
        return str(message.id)

    def poll(self, *options: str, **rest: Any) -> str:
        body = {"question": "Why?", "options": list(options)} | rest
        return self.say(Audience.PUBLIC, "poll", body)

    def vote(self, poll: str, user: str = "bob", *, at: float = 1.0, **choice: Any) -> None:
        self.say(
            Audience.PRIVATE, "vote", {"poll": poll, **choice}, sender=user, role=PARTICIPANT, at=at
        )

    def of(self, audience: Audience, types: tuple[str, ...]) -> list[Message]:
        return [message for message in self.said[audience] if message.type in types]

    def polls(self) -> Polls:
        found = Polls()
        found.take(self.of(Audience.PUBLIC, polls_module.PUBLIC))
        return found

    def answers(self) -> list[Row]:
        found, votes = self.polls(), self.of(Audience.PRIVATE, polls_module.PRIVATE)
        # Page by page, as they are read.
        for vote in votes:
            found.count([vote])
        return [row for vote in votes for row in found.answers([vote])]

    def questions(self) -> list[Row]:
        found = Questions()
        found.take(self.of(Audience.PUBLIC, questions_module.PUBLIC))
        found.settle(self.of(Audience.PRIVATE, questions_module.FATES))
        return found.rows(self.of(Audience.PRIVATE, questions_module.PRIVATE))


def test_everybody_has_their_last_answer_to_each_poll() -> None:
    room = Room()
    first, second = room.poll("yes", "no"), room.poll("red", "blue")
    room.vote(first, option=0)
    room.vote(first, "chris", option=0)
    room.vote(first, option=1, at=2)
    room.vote(second, option=1, at=3)
    assert [row[:6] for row in room.answers()] == [
        (1, "Why?", "chris", None, "yes", NINE + timedelta(minutes=1)),
        (1, "Why?", "bob", None, "no", NINE + timedelta(minutes=2)),
        (2, "Why?", "bob", None, "blue", NINE + timedelta(minutes=3)),
    ]


def test_an_answer_after_the_end_says_so() -> None:
    room = Room()
    poll = room.poll("yes", "no")
    closing = {"poll": poll, "question": "Why?", "options": ["yes", "no"], "totals": [0, 0]}
    room.say(Audience.PUBLIC, "poll-closed", closing, at=5)
    room.vote(poll, option=0, at=4)
    room.vote(poll, "chris", option=0, at=6)
    assert [row[-1] for row in room.answers()] == [None, Word("late")]


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"option": 1}, "no"),
        ({"options": [0, 1]}, "yes / no"),
        ({"order": [1, 0]}, "no / yes"),
        ({"text": "because"}, "because"),
        ({"words": ["a", "b"]}, "a / b"),
        ({"value": 4}, "4"),
        ({"option": 9}, "9"),
        ({"option": True}, "true"),
        ({"option": None}, '{"option":null}'),
        ({}, "{}"),
    ],
)
def test_an_answer_is_in_words(choice: dict[str, Any], text: str) -> None:
    room = Room()
    room.vote(room.poll("yes", "no"), **choice)
    assert [row[4] for row in room.answers()] == [text]


def test_polls_and_questions_with_keys_are_named_by_them() -> None:
    room = Room()
    body = {"question": "Why?", "options": ["yes", "no"]}
    room.say(Audience.PUBLIC, "poll", body, keep="poll:7")
    room.vote("7", option=1)
    assert [row[4] for row in room.answers()] == ["no"]
    asked = {"text": "when?"}
    room.say(
        *(Audience.PRIVATE, "question", asked),
        sender="bob",
        role=PARTICIPANT,
        keep="question:9",
    )
    room.say(Audience.PRIVATE, "question-done", {"question": "9", "done": True}, keep="fate:9")
    assert [row[5] for row in room.questions()] == [Word("done")]


@pytest.mark.parametrize(
    ("poll", "totals", "shown"),
    [
        ({"kind": "scale", "from": 1, "to": 3}, [0, 4, 2], [("1", 0), ("2", 4), ("3", 2)]),
        ({"kind": "cloud"}, [["blue", 3], ["red", 1]], [("blue", 3), ("red", 1)]),
        ({"kind": "text"}, ["because", "so"], [("because", None), ("so", None)]),
        ({"kind": "text"}, "nonsense", [("", None)]),
        (
            {"kind": "ranking", "options": ["red", "blue"]},
            [3, 2],
            [("red", Word("points", {"count": 3})), ("blue", Word("points", {"count": 2}))],
        ),
    ],
)
def test_results_of_every_kind_are_rows(
    poll: dict[str, Any], totals: Any, shown: list[tuple[str, int | Word | None]]
) -> None:
    room = Room()
    room.say(Audience.PUBLIC, "poll", {"question": "Why?", **poll}, keep="poll:1")
    result = {"poll": "1", "question": "Why?", **poll, "totals": totals}
    room.say(Audience.PUBLIC, "poll-closed", result, keep="result:1")
    assert [tuple(row[3:5]) for row in room.polls().totals()] == shown


def test_what_participants_call_a_poll_is_none() -> None:
    room = Room()
    body = {"question": "Why?", "options": ["a"]}
    fake = room.say(Audience.PUBLIC, "poll", body, sender="bob", role=PARTICIPANT)
    room.vote(fake, option=0)
    assert room.answers() == []
    assert room.polls().totals() == []


def test_results_are_those_that_were_shown_first() -> None:
    room = Room()
    poll = room.poll("yes", "no", right=[1])
    for totals in ([3, 4], [9, 9]):
        body = {"poll": poll, "question": "Why?", "options": ["yes", "no"], "totals": totals}
        room.say(Audience.PUBLIC, "poll-closed", body)
    assert room.polls().totals() == [
        (1, "Why?", NINE, "yes", 3, None),
        (None, None, None, "no", 4, Word("right")),
    ]


def test_bodies_of_any_form_break_nothing() -> None:
    room = Room()
    for body in (None, 1, "x", [], [1], {}, {"poll": 1}, {"options": [1, {"text": "a"}, None]}):
        for audience, types in (
            (Audience.PUBLIC, (*polls_module.PUBLIC, *questions_module.PUBLIC, *talk.SAID)),
            (Audience.PRIVATE, ("vote", "question", "message", "question-done")),
        ):
            for type in types:
                room.say(audience, type, body)
                room.say(audience, type, body, role=PARTICIPANT)
    room.answers()
    room.questions()
    room.polls().totals()
    for audience in Audience:
        assert len(talk.Talk().rows(room.said[audience])) == len(room.said[audience])
    talk.said(room.said[Audience.PUBLIC])


def ask(room: Room, text: str) -> str:
    body = {"text": text}
    return room.say(Audience.PRIVATE, "question", body, sender="bob", role=PARTICIPANT)


def test_a_question_stands_beside_its_answer() -> None:
    room = Room()
    first, second, _ = ask(room, "when?"), ask(room, "who?"), ask(room, "what?")
    answer = {"text": "at noon", "question": first, "quote": "when?"}
    room.say(Audience.PUBLIC, "answer", answer, at=3)
    room.say(Audience.PRIVATE, "question-done", {"question": second}, at=4)
    # An answer outweighs that it is done, whatever came first.
    room.say(Audience.PRIVATE, "question-done", {"question": first}, at=5)
    assert [(row[0], row[4], row[5], row[6], row[7]) for row in room.questions()] == [
        (1, "when?", Word("answered"), "at noon", "anna"),
        (2, "who?", Word("done"), None, "anna"),
        (3, "what?", Word("open"), None, None),
    ]


def test_answers_beyond_what_is_held_are_told_without_their_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(questions_module, "_TEXT", 10)
    room = Room()
    for text in ("12345678", "12345678"):
        answer = {"text": text, "question": ask(room, "?"), "quote": "?"}
        room.say(Audience.PUBLIC, "answer", answer)
    assert [row[6] for row in room.questions()] == ["12345678", "…"]


def test_votes_beyond_what_is_held_are_all_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls_module, "_VOTES", 1)
    room = Room()
    poll = room.poll("yes", "no")
    for user in ("bob", "chris", "chris", "bob"):
        room.vote(poll, user, option=0)
    assert [row[2] for row in room.answers()] == ["chris", "chris", "bob"]


def test_options_without_a_text_take_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls_module, "_TEXT", 1_000)
    room = Room()
    first, other = room.poll(*[""] * 10_000), room.poll("yes", "no")
    for poll, totals in ((first, [1] * 10_000), (other, [["word", 1]] * 10_000)):
        room.say(Audience.PUBLIC, "poll-closed", {"poll": poll, "totals": totals})
    polls = Polls()
    polls.take(room.said[Audience.PUBLIC])
    # Each poll has a row, and the first one some of its options.
    numbers = [row[0] for row in polls.totals()]
    assert 1 < len(numbers) < 20
    assert [number for number in numbers if number] == [1, 2]
    assert sum(len(poll.totals) for poll in polls._polls.values()) < 20


def test_the_talk_has_the_quoted_question_with_its_answer() -> None:
    room = Room()
    room.say(Audience.PUBLIC, "message", {"text": "hello"})
    room.poll("yes", "no")
    room.say(Audience.PUBLIC, "answer", {"text": "noon", "question": "x", "quote": "when?"})
    room.say(Audience.PUBLIC, "message", {"no": "text"})
    assert talk.said(room.said[Audience.PUBLIC]) == [
        (NINE, "anna", "hello"),
        (NINE, "anna", "Why?"),
        (NINE, "anna", "“when?” — noon"),
    ]
