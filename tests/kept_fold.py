"""What kept state is by definition: the fold of a history."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.domain.kept import Entry
from gateway.domain.message import Message


def fold(history: Iterable[Message]) -> dict[Entry, Message]:
    """The newest message of each entry, also those that have cleared theirs."""
    newest: dict[Entry, Message] = {}
    for message in history:
        if (entry := message.entry) is not None:
            newest[entry] = message
    return newest


def standing(history: Iterable[Message]) -> list[Message]:
    """The messages that stand, in the order of seq."""
    found = [message for message in fold(history).values() if message.body is not None]
    return sorted(found, key=seq_of)


def seq_of(message: Message) -> int:
    assert message.seq is not None
    return message.seq
