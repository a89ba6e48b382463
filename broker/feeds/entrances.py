"""The names of entrances, said in few bytes. Pure.

A feed with many patterns has an entrance for each, named by the feed's own and a number
(:class:`broker.feeds.pattern_session.PatternSession`). Gateways tell each other all of them every
few seconds, so they name the feeds' own, and ranges of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

#: By a feed's entrance: the first and the last number of each range.
Ranges = dict[str, list[list[int]]]


def pack(names: Iterable[str]) -> tuple[list[str], Ranges]:
    """Those that are named in full, and the numbered ones."""
    known = dict.fromkeys(names)
    plain: list[str] = []
    numbers: dict[str, list[int]] = {}
    for name in known:
        feed, _, number = name.rpartition(".")
        if feed in known and number.isdecimal() and str(int(number)) == number:
            numbers.setdefault(feed, []).append(int(number))
        else:
            plain.append(name)
    return plain, {feed: _ranges(sorted(found)) for feed, found in numbers.items()}


def unpack(plain: Iterable[str], numbered: Mapping[str, Sequence[Sequence[int]]]) -> Iterator[str]:
    """The names that were packed."""
    yield from plain
    for feed, ranges in numbered.items():
        for first, last in ranges:
            for number in range(first, last + 1):
                yield f"{feed}.{number}"


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found
