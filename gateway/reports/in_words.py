"""The messages of the rooms' pages in words for people: ``static/room/messages.md``. Pure.

Members may post anything, so whatever does not fit is told as it is: its own type, its own JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from gateway.domain.message import Message
from gateway.domain.order import hidden_seq
from gateway.reports.bodies import (
    choice,
    field,
    id_of,
    is_count,
    line,
    options_of,
    shown,
    text_of,
    totals_of,
)
from gateway.reports.cells import Cell, Joined, Word
from gateway.reports.polls import Polls, counted

#: The years of times that can be told in every zone.
_YEARS: Final = range(1970, 9000)


def type_of(message: Message) -> Cell:
    """The kind of message."""
    return Word(f"type {message.type}") if message.type in _KNOWN else message.type


def body_of(message: Message, polls: Polls) -> Cell:
    """The text of a message. ``polls``: those that were asked before it."""
    tell = _TELL.get(message.type)
    told = None if tell is None else tell(message, polls)
    if told is not None:
        return told
    if message.body is None and message.keep is not None:
        return Word("taken away")
    return shown(message.body)


# Each tells the body of one type; None: it does not fit.


def _answer(message: Message, _: Polls) -> Cell:
    text, quote = text_of(message.body), line(field(message.body, "quote"))
    return None if text is None else f"“{quote}” — {text}" if quote else text


def _poll(message: Message, _: Polls) -> Cell:
    if message.body is None:
        return Word("put away")
    question = line(field(message.body, "question"))
    options = " / ".join(options_of(message.body))
    return f"{question} — {options}" if question and options else question or None


def _voting(message: Message, _: Polls) -> Cell:
    if message.body is None:
        return Word("answers over")
    until = _time(field(message.body, "until"))
    return Word("answers taken") if until is None else Word("answers until", {"time": until})


def _result(message: Message, _: Polls) -> Cell:
    body = message.body
    question = line(field(body, "question"))
    if not question:
        return None
    options, totals = totals_of(body, options_of(body))
    kind = line(field(body, "kind"))
    each: list[Cell] = [
        Joined((option, counted(kind, totals[place])), ": ") if place < len(totals) else option
        for place, option in enumerate(options)
    ]
    return Joined((question, Joined(each, ", ")), " — ") if each else question


def _solution(message: Message, polls: Polls) -> Cell:
    body = message.body
    given = field(body, "right")
    if not isinstance(given, list):
        return None
    asked = polls.asked(id_of(message, "right:"))
    named = choice({"options": given}, asked[1] if asked else ())
    return " — ".join(each for each in (named, line(field(body, "explanation"))) if each)


def _prepared(message: Message, _: Polls) -> Cell:
    body = message.body
    return line(field(body, "title")) or line(field(body, "question")) or None


def _vote(message: Message, polls: Polls) -> Cell:
    id = line(field(message.body, "poll"))
    if not id:
        return None
    asked = polls.asked(id)
    if asked is None:
        return choice(message.body, ())
    question, options = asked
    return f"{question} — {choice(message.body, options)}"


def _hand(message: Message, _: Polls) -> Cell:
    if message.body is None:
        return Word("hand down")
    return Word("hand up") if field(message.body, "up") is True else None


def _called(message: Message, _: Polls) -> Cell:
    return "" if line(field(message.body, "hand")) else None


def _done(message: Message, _: Polls) -> Cell:
    seq = field(message.body, "answer")
    if is_count(seq):
        return Word("answered there", {"seq": seq})
    return Word("done") if field(message.body, "done") is True else None


def _settings(message: Message, _: Polls) -> Cell:
    body = message.body if message.body is not None else {}
    if not isinstance(body, dict) or message.keep is None:
        return None
    slow = body.get("slow", 0)
    rules: list[Cell] = []
    if body.get("chat") is False:
        rules.append(Word("chat off"))
    if is_count(slow) and slow:
        rules.append(Word("slow", {"time": _lasting(slow)}))
    if body.get("approve") is True:
        rules.append(Word("approved first"))
    return Joined(rules or [Word("no rules")], "; ")


def _muted(message: Message, _: Polls) -> Cell:
    if message.keep is None:
        return None
    user = message.of or message.keep.partition(":")[2]
    return Word("unmuted", {"user": user}) if message.body is None else user


def _hidden(message: Message, _: Polls) -> Cell:
    seq = None if message.keep is None else hidden_seq(message.keep)
    if seq is None:
        return None
    return Word("shows" if message.body is None else "hides", {"seq": seq})


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(line(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None and found.year in _YEARS else None


def _lasting(seconds: int) -> Cell:
    """A time that lasts, in hours, minutes and seconds as far as there are some."""
    parts = (("hours", seconds // 3600), ("min", seconds // 60 % 60), ("s", seconds % 60))
    return Joined([Word(unit, {"count": count}) for unit, count in parts if count], " ")


_TELL: Final = MappingProxyType[str, Callable[[Message, Polls], Cell]](
    {
        "answer": _answer,
        "poll": _poll,
        "voting": _voting,
        "poll-closed": _result,
        "poll-right": _solution,
        "poll-set": _prepared,
        "vote": _vote,
        "hand": _hand,
        "hand-taken": _called,
        "question-done": _done,
        "settings": _settings,
        "muted": _muted,
        "hidden": _hidden,
    }
)

#: The types that have a word.
_KNOWN: Final = frozenset(
    (*_TELL, "message", "chat", "question", "kept", "pending", "refused", "deleted")
)
