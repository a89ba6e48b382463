"""Kept state: the newest message of each key *is* the room's state under that key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from broker.topology import Stream

#: Characters of a key.
KEY_LENGTH: Final = 150
#: What a key looks like.
KEY: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:~-]{{0,{KEY_LENGTH - 1}}}")
_PATTERN: Final = re.compile(rf"\*|{KEY.pattern}\*?")
#: Between a pattern and that of the keys that must stand.
_WHILE: Final = " while "


@dataclass(frozen=True, slots=True)
class Entry:
    """The place of one entry of the kept state. ``author`` None: the room's own entry, which hosts
    write."""

    stream: Stream
    author: str | None
    key: str


def key(value: str) -> str:
    """The value itself, if it can be a key. The ``ValueError`` says what a key must be."""
    if not KEY.fullmatch(value):
        raise ValueError(
            f"must have 1 to {KEY_LENGTH} letters, digits and the characters . _ : ~ -, and begin"
            " with a letter or digit"
        )
    return value


def pattern(value: str) -> str:
    """The value itself, if it can be a pattern of keys: ``hand``, ``cursor:*``, or ``vote:* while
    voting:*``. The ``ValueError`` says what one must be."""
    keys, is_conditional, condition = value.partition(_WHILE)
    if not _PATTERN.fullmatch(keys):
        raise ValueError('must be a key such as "hand", or the beginning of keys such as "vote:*"')
    if is_conditional:
        if not _PATTERN.fullmatch(condition):
            raise ValueError('after "while": must be a key such as "open", or as "voting:*"')
        if condition.endswith("*") and not keys.endswith("*"):
            raise ValueError('after "while": * stands for the rest of a key, and there is none')
    return value


class KeyPatterns:
    """A set of keys, given by patterns: a key, or the beginning of keys and ``*``; maybe with the
    key that must stand for it, where ``*`` is the rest of the first one."""

    def __init__(self, patterns: Iterable[str]) -> None:
        pairs = [pattern(each).partition(_WHILE) for each in patterns]
        given = {keys: condition or None for keys, _, condition in pairs}
        self._exact = {each: given[each] for each in given if not each.endswith("*")}
        beginnings = [each.removesuffix("*") for each in given if each.endswith("*")]
        #: The longest first, which says most.
        self._beginnings = tuple(sorted(beginnings, key=len, reverse=True))
        self._conditions = {each: given[f"{each}*"] for each in beginnings}

    def __contains__(self, key: str) -> bool:
        return key in self._exact or key.startswith(self._beginnings)

    def condition(self, key: str) -> str | None:
        """The key that must stand for one of the set to be written. None: none must."""
        if key in self._exact:
            return self._exact[key]
        beginning = next((each for each in self._beginnings if key.startswith(each)), None)
        condition = None if beginning is None else self._conditions[beginning]
        if condition is None or beginning is None or not condition.endswith("*"):
            return condition
        return condition.removesuffix("*") + key.removeprefix(beginning)
