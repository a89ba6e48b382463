"""Questions to the hosts with their answers, as a table. Pure.

An answer is a public message, a question a private one; so the answers are read first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.message import Message
from gateway.domain.room import MemberRole
from gateway.reports.bodies import by_host, field, id_of, line, text_of
from gateway.reports.cells import Row, Word

#: The types of messages about questions, by audience. A private ``message`` is a question, too.
PUBLIC: Final = ("answer",)
FATES: Final = ("question-done",)
PRIVATE: Final = ("question", "message")

COLUMNS: Final = (
    *("no", "asked at", "user", "name", "question", "state"),
    *("answer", "answered by", "answered at"),
)

#: Characters of answers that are held; of further ones it is only told that there is one.
_TEXT: Final = 8 * 1024 * 1024
#: Questions whose answers are held.
_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer to a question; no ``text``: it was done by word of mouth."""

    text: str | None
    by: str
    at: datetime


class Questions:
    """The questions of a room. First :meth:`take` and :meth:`settle` what hosts have said, then
    :meth:`rows` of the questions."""

    def __init__(self) -> None:
        self._answers: dict[str, _Answer] = {}
        self._left = _TEXT
        self._number = 0

    def take(self, messages: Iterable[Message]) -> None:
        """Take public messages of the types :data:`PUBLIC`, in the order of seq."""
        for message in messages:
            text = text_of(message.body)
            if not by_host(message) or text is None:
                continue
            self._left -= len(text)
            self._settle(message, text if self._left >= 0 else "…")

    def settle(self, messages: Iterable[Message]) -> None:
        """Take private messages of the types :data:`FATES`, in the order of seq."""
        for message in messages:
            if by_host(message):
                self._settle(message, None)

    def rows(self, messages: Iterable[Message]) -> list[Row]:
        """The rows of the questions among these private messages."""
        rows: list[Row] = []
        for message in messages:
            text = text_of(message.body)
            if text is None or message.role is MemberRole.HOST:
                continue
            self._number += 1
            answer = self._answers.get(id_of(message, "question:"))
            state = "open" if answer is None else "done" if answer.text is None else "answered"
            rows.append(
                (
                    self._number,
                    message.sent_at,
                    message.sender,
                    message.sender_name,
                    text,
                    Word(state),
                    None if answer is None else answer.text,
                    None if answer is None else answer.by,
                    None if answer is None else answer.at,
                )
            )
        return rows

    def _settle(self, message: Message, text: str | None) -> None:
        id = line(field(message.body, "question"))
        known = self._answers.get(id)
        if not id or (known is not None and known.text is not None):
            return
        if known is not None or len(self._answers) < _MOST:
            self._answers[id] = _Answer(text, message.sender, message.sent_at)
