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
    """The value itself, if it can be a pattern of keys. The ``ValueError`` says what one must
    be."""
    if not _PATTERN.fullmatch(value):
        raise ValueError('must be a key such as "hand", or the beginning of keys such as "vote:*"')
    return value


class KeyPatterns:
    """A set of keys, given by patterns: a key, or the beginning of keys and ``*``."""

    def __init__(self, patterns: Iterable[str]) -> None:
        given = [pattern(each) for each in patterns]
        self._exact = frozenset(each for each in given if not each.endswith("*"))
        self._beginnings = tuple(each.removesuffix("*") for each in given if each.endswith("*"))

    def __contains__(self, key: str) -> bool:
        return key in self._exact or key.startswith(self._beginnings)
