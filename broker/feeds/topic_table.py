"""The listeners of topic keys and patterns: which of them a routing key concerns. Pure.

A queue gets a message once, however many of its bindings match, so the gateway itself has to find
out for whom the message is. ``*`` stands for one word of a key and ``#`` for any number of them
(AMQP 0-9-1, section 3.1.3.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_ONE_WORD: Final = "*"
_ANY_WORDS: Final = "#"
#: Routing keys whose patterns are remembered; a producer may invent any number of keys.
_REMEMBERED: Final = 4096


def is_pattern(key: str) -> bool:
    """Whether a binding key can match other routing keys than itself."""
    return any(word in (_ONE_WORD, _ANY_WORDS) for word in key.split("."))


def matches(pattern: str, key: str) -> bool:
    """Whether a binding key matches a routing key, as RabbitMQ's topic exchanges decide it.

    The time is bounded by the product of both numbers of words, whatever the pattern.
    """
    #: The numbers of words of the pattern that can have been matched by the words so far.
    words = _words(pattern)
    reached = _skipped(words, {0})
    for word in _words(key):
        following = set()
        for at in reached:
            if at < len(words):
                if words[at] == _ANY_WORDS:
                    following.add(at)
                elif words[at] in (_ONE_WORD, word):
                    following.add(at + 1)
        reached = _skipped(words, following)
    return len(words) in reached


def _words(key: str) -> list[str]:
    return key.split(".") if key else []


def _skipped(words: list[str], reached: set[int]) -> set[int]:
    """These places, and those behind a ``#`` that stands for no word."""
    found = set(reached)
    for at, word in enumerate(words):
        if word == _ANY_WORDS and at in found:
            found.add(at + 1)
    return found


class TopicTable(Generic[T]):
    """One value for each key or pattern, found by routing keys."""

    def __init__(self) -> None:
        self._values: dict[str, T] = {}
        self._patterns: dict[str, None] = {}
        #: The patterns that match a routing key, for the keys that came last.
        self._found: dict[str, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))

    def get(self, key: str) -> T | None:
        """The value of this very key or pattern."""
        return self._values.get(key)

    def values(self) -> tuple[T, ...]:
        return tuple(self._values.values())

    def add(self, key: str, value: T) -> None:
        """Raises ValueError for a key or pattern that has a value already."""
        if key in self._values:
            raise ValueError(f"{key} is subscribed already")
        self._values[key] = value
        if is_pattern(key):
            self._patterns[key] = None
            self._found.clear()

    def remove(self, key: str) -> bool:
        """Whether the key was there."""
        if key not in self._values:
            return False
        del self._values[key]
        if key in self._patterns:
            del self._patterns[key]
            self._found.clear()
        return True

    def concerned(self, routing_key: str) -> tuple[tuple[str, T], ...]:
        """The keys and patterns that match a routing key, with their values."""
        if not self._patterns:
            value = self._values.get(routing_key)
            return () if value is None else ((routing_key, value),)
        found = self._found.get(routing_key)
        if found is None:
            found = tuple(each for each in self._patterns if matches(each, routing_key))
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[routing_key] = found
        exact = self._values.get(routing_key)
        hit = [(routing_key, exact)] if exact is not None and routing_key not in found else []
        return (*hit, *((each, self._values[each]) for each in found))
