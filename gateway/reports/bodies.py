"""The bodies of the room pages' messages, as far as reports read them: ``static/room/messages.md``.
Pure.

Members may post anything, so every reader takes any JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from gateway.domain.message import Message
from gateway.domain.room import MemberRole

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def text_of(body: Any) -> str | None:
    """The text in a body that is a text, or has one."""
    if isinstance(body, dict):
        body = body.get("text")
    return body if isinstance(body, str) else None


def shown(body: Any) -> str:
    """Any body as text: its own words, if it has some, else its JSON."""
    if body is None:
        return ""
    if (text := text_of(body)) is not None:
        return text
    return _ENCODER.encode(body)


def field(body: Any, name: str) -> Any:
    """The value of a field; None if the body is no object, or has no such field."""
    return body.get(name) if isinstance(body, dict) else None


def line(value: Any) -> str:
    """A value that should be a text: that text, or nothing."""
    return value if isinstance(value, str) else ""


def options_of(body: Any) -> list[str]:
    """The choices of a poll, as they are shown."""
    found = field(body, "options")
    if not isinstance(found, list):
        return []
    return [line(each) or line(field(each, "text")) or shown(each) for each in found]


def by_host(message: Message) -> bool:
    """Whether the sender was a host; of messages that are older than roles it is believed."""
    return message.role is not MemberRole.PARTICIPANT


def choice(body: Any, options: Sequence[str]) -> str:
    """The words of a vote: of the chosen options, one or several, in the order in which they were
    given; a text or a number as it is."""
    for name in ("option", "options", "order", "choice", "choices"):
        chosen = field(body, name)
        if chosen is not None:
            each = chosen if isinstance(chosen, list) else [chosen]
            return " / ".join(_option(one, options) for one in each)
    for name in ("text", "words", "value", "number"):
        given = field(body, name)
        if isinstance(given, list):
            return " / ".join(shown(one) for one in given)
        if given is not None:
            return shown(given)
    return shown({k: v for k, v in body.items() if k != "poll"}) if isinstance(body, dict) else ""


def _option(chosen: Any, options: Sequence[str]) -> str:
    if isinstance(chosen, bool) or not isinstance(chosen, int):
        return shown(chosen)
    return options[chosen] if 0 <= chosen < len(options) else str(chosen)


def id_of(message: Message, prefix: str) -> str:
    """The id by which other messages name this one: of its key, if it has one, else its own."""
    if message.keep is not None and message.keep.startswith(prefix):
        return message.keep.removeprefix(prefix)
    return str(message.id)


def totals_of(body: Any, options: Sequence[str]) -> tuple[list[str], list[int]]:
    """The result of a poll of any kind, and how often each was chosen: options, the values of a
    scale, words, or texts that are told without a number."""
    totals = field(body, "totals")
    if not isinstance(totals, list):
        return list(options), []
    pairs = [each for each in totals if isinstance(each, list) and len(each) == 2]
    if pairs:
        return [shown(word) for word, _ in pairs], [n for _, n in pairs if is_count(n)]
    if all(isinstance(each, str) for each in totals) and totals:
        return list(totals), []
    first = field(body, "from")
    if not options and is_count(first):
        options = [str(first + index) for index in range(len(totals))]
    return list(options), [each for each in totals[: len(options)] if is_count(each)]


def is_count(value: object) -> bool:
    """Whether it is a number of something."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
