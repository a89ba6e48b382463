"""Any bytes as a stream that comes in pieces."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

ErrorT = TypeVar("ErrorT", bound=Exception)


def pieces(data: bytes) -> tuple[bytes, list[bytes]]:
    """A stream, whole and cut. The first byte says how many cuts there are; the next ones, where:
    each is the length of a piece."""
    if not data:
        return b"", []
    count = data[0] % 16
    lengths, stream = data[1 : 1 + count], data[1 + count :]
    cut, at = [], 0
    for length in lengths:
        cut.append(stream[at : at + length])
        at += length
    return stream, [*cut, stream[at:]]


def outcome(
    feed: Callable[[bytes], Iterable[Any]], chunks: Iterable[bytes], documented: type[ErrorT]
) -> tuple[list[Any], ErrorT | None]:
    """All events of the chunks, and the documented error that ended them. Any other is raised."""
    events: list[Any] = []
    try:
        for chunk in chunks:
            for event in feed(chunk):
                events.append(event)
    except documented as error:
        return events, error
    return events, None


def same(one: Exception | None, other: Exception | None) -> bool:
    """Whether two outcomes ended alike: with errors of the same class, or both without."""
    return type(one) is type(other)
