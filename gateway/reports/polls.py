"""Polls with their answers, as tables. Pure.

The messages of a room are read twice: first which vote of each person is the last one, then these
votes. So what is held is small, however many there were.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.domain.message import Message
from gateway.reports.bodies import (
    by_host,
    choice,
    id_of,
    is_count,
    line,
    options_of,
    totals_of,
)
from gateway.reports.bodies import field as of_body
from gateway.reports.cells import Cell, Row, Word

#: The types of messages about polls, by audience.
PUBLIC: Final = ("poll", "voting", "poll-closed")
PRIVATE: Final = ("vote",)

ANSWERS: Final = ("no", "question", "user", "name", "answer", "answered at", "note")
TOTALS: Final = ("no", "question", "asked at", "option", "votes", "is right")

#: Characters of questions and options that are held; of further polls only the numbers are told.
_TEXT: Final = 4 * 1024 * 1024
#: What each option costs besides its characters: a body may have ten thousand empty ones.
_OPTION: Final = 64
#: Polls, and pairs of a poll and a person, that are held. Further votes are all given out.
_POLLS: Final = 10_000
_VOTES: Final = 200_000


def counted(kind: str, count: int) -> Cell:
    """A number of a result: how many have chosen it, or the points of a ranking."""
    return Word("points", {"count": count}) if kind == "ranking" else count


@dataclass(slots=True)
class _Poll:
    """A poll: its number in the report, and what was said of it so far."""

    number: int
    question: str
    options: list[str]
    asked_at: datetime
    right: frozenset[int]
    kind: str
    closed_at: datetime | None = None
    totals: list[int] = field(default_factory=list)


class Polls:
    """The polls of a room. First :meth:`take` what hosts have said, then :meth:`count` all votes,
    then :meth:`answers` gives the rows of the same votes."""

    def __init__(self) -> None:
        self._polls: dict[str, _Poll] = {}
        self._last: dict[tuple[str, str], int] = {}
        self._left = _TEXT

    def take(self, messages: Iterable[Message]) -> None:
        """Take public messages of the types :data:`PUBLIC`, in the order of seq."""
        for message in messages:
            if not by_host(message):
                continue
            if message.type == "poll" and message.body is not None:
                self._asked(message)
            elif message.type == "poll-closed" and message.body is not None:
                self._closed(message)

    def asked(self, id: str) -> tuple[str, list[str]] | None:
        """The question and the options of a poll, if it is known."""
        poll = self._polls.get(id)
        return None if poll is None else (poll.question, poll.options)

    def count(self, messages: Iterable[Message]) -> None:
        """Take private messages of the types :data:`PRIVATE`, in the order of seq."""
        for message in messages:
            pair = (line(of_body(message.body, "poll")), message.sender)
            known = pair in self._last
            if pair[0] in self._polls and (known or len(self._last) < _VOTES):
                self._last[pair] = message.seq or 0

    def answers(self, messages: Iterable[Message]) -> list[Row]:
        """The rows of the votes among these private messages: the last one of each person."""
        rows: list[Row] = []
        for message in messages:
            id = line(of_body(message.body, "poll"))
            poll = self._polls.get(id)
            if poll is None or self._last.get((id, message.sender), message.seq) != message.seq:
                continue
            is_late = poll.closed_at is not None and message.sent_at > poll.closed_at
            rows.append(
                (
                    poll.number,
                    poll.question,
                    message.sender,
                    message.sender_name,
                    choice(message.body, poll.options),
                    message.sent_at,
                    Word("late") if is_late else None,
                )
            )
        return rows

    def totals(self) -> list[Row]:
        """The rows of the results that hosts have shown; a poll without one has its options."""
        rows: list[Row] = []
        for poll in self._polls.values():
            for index, option in enumerate(poll.options or [""]):
                known = index < len(poll.totals)
                count = counted(poll.kind, poll.totals[index]) if known else None
                first = (poll.number, poll.question, poll.asked_at)
                rows.append(
                    (
                        *(first if index == 0 else (None, None, None)),
                        option,
                        count,
                        Word("right") if index in poll.right else None,
                    )
                )
        return rows

    def _asked(self, message: Message) -> None:
        id = id_of(message, "poll:")
        if id in self._polls or len(self._polls) >= _POLLS:
            return
        question = self._held(line(of_body(message.body, "question")))
        options = self._all_held(options_of(message.body))
        kind = line(of_body(message.body, "kind"))
        self._polls[id] = _Poll(
            len(self._polls) + 1, question, options, message.sent_at, _right(message), kind
        )

    def _closed(self, message: Message) -> None:
        poll = self._polls.get(line(of_body(message.body, "poll")))
        # Of two hosts who end a poll, the first one has ended it.
        if poll is None or poll.closed_at is not None:
            return
        poll.closed_at = message.sent_at
        options, poll.totals = totals_of(message.body, poll.options)
        if options != poll.options:
            poll.options = self._all_held(options)
        # Of as many as are named, and none of one that is not.
        del poll.totals[max(1, len(poll.options)) :]
        poll.right = poll.right or _right(message)

    def _all_held(self, options: Iterable[str]) -> list[str]:
        held: list[str] = []
        for option in options:
            self._left -= _OPTION
            if self._left < 0:
                break
            held.append(self._held(option))
        return held

    def _held(self, text: str) -> str:
        self._left -= len(text)
        return text if self._left >= 0 else ""


def _right(message: Message) -> frozenset[int]:
    """The numbers of the right options, if the poll says which they are."""
    given = of_body(message.body, "right")
    each = given if isinstance(given, list) else [given]
    return frozenset(one for one in each if is_count(one))
