"""The messages of a room as tables: all of them, or what was said to everyone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from broker.topology import Audience
from gateway.domain.message import Message
from gateway.reports.bodies import field as of_body
from gateway.reports.bodies import line, text_of
from gateway.reports.cells import Row, Word
from gateway.reports.in_words import body_of, type_of
from gateway.reports.polls import Polls

COLUMNS: Final = ("audience", "seq", "said at", "user", "name", "role", "type", "text", "note")
TALK: Final = ("said at", "who", "text")

#: The types of what was said to everyone.
SAID: Final = ("message", "chat", "answer", "poll")


class Talk:
    """All messages of a room: first those to everyone, which say what the votes are about, then
    those to the hosts."""

    def __init__(self) -> None:
        self._polls = Polls()

    def rows(self, messages: Iterable[Message]) -> list[Row]:
        """A row for each message, whatever its type."""
        return [self._row(message) for message in messages]

    def _row(self, message: Message) -> Row:
        if message.stream.audience is Audience.PUBLIC:
            self._polls.take((message,))
        return (
            Word(message.stream.audience),
            message.seq,
            message.sent_at,
            message.sender,
            message.sender_name,
            None if message.role is None else Word(message.role),
            type_of(message),
            body_of(message, self._polls),
            Word("hidden") if message.hidden else None,
        )


def said(messages: Iterable[Message]) -> list[Row]:
    """A row for each public message that people have read."""
    return [
        (message.sent_at, _who(message), text)
        for message in messages
        if not message.hidden and (text := _words(message)) is not None
    ]


def _words(message: Message) -> str | None:
    if message.type == "poll":
        return line(of_body(message.body, "question")) or None
    text = text_of(message.body)
    quote = line(of_body(message.body, "quote")) if message.type == "answer" else ""
    return f"“{quote}” — {text}" if quote and text is not None else text


def _who(message: Message) -> str:
    return message.sender_name or message.sender
