"""Destinations in the syntax of STOMP and RabbitMQ, and the inclusion of one pattern in another.

https://www.rabbitmq.com/docs/stomp#d names the kinds; ``rabbit_routing_util:parse_endpoint`` shows
what the broker does: the kind, a slash, the name with ``/`` as ``%2F``, no other escape.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: AMQP 0-9-1 names and routing keys are short strings: at most 255 bytes.
MAX_NAME_BYTES: Final = 255
ONE_WORD: Final = "*"
ANY_WORDS: Final = "#"


class Kind(StrEnum):
    """The kind of a destination: the part between the first slash and the name.

    Temp queues are missing: they stand in the header ``reply-to``, and nobody names them.
    """

    TOPIC = "topic"
    EXCHANGE = "exchange"
    QUEUE = "queue"
    AMQ_QUEUE = "amq/queue"
    REPLY_QUEUE = "reply-queue"


_KINDS: Final = ", ".join(f"/{kind}/" for kind in Kind)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed destination. ``exchange`` is None unless the kind is one.

    ``words`` are the routing key's or the queue name's, split at the dots; ``*`` stands for one
    word, ``#`` for any number of them (AMQP 0-9-1, section 3.1.3.3).
    """

    kind: Kind
    exchange: str | None
    words: tuple[str, ...]

    def includes(self, other: Pattern) -> bool:
        """Whether this pattern matches every name that ``other`` can match."""
        return (
            self.kind is other.kind
            and self.exchange == other.exchange
            and includes(self.words, other.words)
        )


def words(name: str) -> tuple[str, ...]:
    """The words of a name or a routing key; an empty key has none."""
    return tuple(name.split(".")) if name else ()


def includes(rule: tuple[str, ...], request: tuple[str, ...]) -> bool:
    """Whether ``rule`` matches every key that ``request`` can match.

    It never returns True wrongly. It may return False although the rule matches (``*.#`` and
    ``#.*`` are the same set): a requested ``#`` is covered by a rule's ``#`` only.
    """
    reached = _skip(rule, {0})
    for word in request:
        reached = _skip(rule, {_step(rule, at, word) for at in reached} - {None})
    return len(rule) in reached


def _step(rule: tuple[str, ...], at: int, word: str) -> int | None:
    """The place in the rule after this word of the request; None if the word does not match."""
    if at == len(rule):
        return None
    if rule[at] == ANY_WORDS:
        return at
    fits = rule[at] == word or (rule[at] == ONE_WORD and word != ANY_WORDS)
    return at + 1 if fits else None


def _skip(rule: tuple[str, ...], places: set[int | None]) -> set[int]:
    """These places and those behind each ``#`` at them, which may stand for no word at all."""
    reached: set[int] = set()
    for place in places:
        at = place
        while at is not None and at not in reached:
            reached.add(at)
            at = at + 1 if at < len(rule) and rule[at] == ANY_WORDS else None
    return reached


def parse(destination: str) -> Pattern:
    """Parse a destination as RabbitMQ does. The ``ValueError`` says what is wrong with it.

    It refuses more than RabbitMQ does: a name without a leading slash, unprintable characters, a
    name that is longer than AMQP allows, and a ``%`` that is not ``%2F``, because a reader may take
    it for an escape that the broker does not decode.
    """
    if not destination.isprintable():
        raise ValueError("contains characters that cannot be printed")
    if "%" in destination.replace("%2F", ""):
        raise ValueError("the only escape is %2F")
    if not destination.startswith("/"):
        raise ValueError(f"must start with {_KINDS}")
    pattern = parse_leniently(destination)
    if any(
        len(part.encode()) > MAX_NAME_BYTES
        for part in (".".join(pattern.words), pattern.exchange or "")
    ):
        raise ValueError(f"a name must have at most {MAX_NAME_BYTES} bytes")
    return pattern


def parse_leniently(destination: str) -> Pattern:
    """Parse whatever RabbitMQ takes for a destination, also what :func:`parse` refuses. A name
    without any slash is a queue's. Raises ``ValueError`` for what RabbitMQ refuses, and for its
    temp queues."""
    if destination and "/" not in destination:
        return _parse(Kind.QUEUE, destination)
    for kind in Kind:
        if destination.startswith(prefix := f"/{kind}/"):
            return _parse(kind, destination.removeprefix(prefix))
    raise ValueError(f"must start with {_KINDS}")


def _parse(kind: Kind, rest: str) -> Pattern:
    exchange: str | None = None
    name = rest
    if kind is Kind.EXCHANGE:
        exchange, _, name = rest.partition("/")
    if not (name if exchange is None else exchange):
        raise ValueError("has no name after its kind")
    # A reply queue's name is all the rest, including slashes.
    if "/" in name and kind is not Kind.REPLY_QUEUE:
        raise ValueError("a slash within a name must be written %2F")
    name = name.replace("%2F", "/")
    if exchange is not None:
        exchange = exchange.replace("%2F", "/")
    return Pattern(kind, exchange, words(name))


def reaches(request: tuple[str, ...], prefix: tuple[str, ...]) -> bool:
    """Whether a requested pattern matches any key that begins with the words of ``prefix``."""
    reached = _skip(request, {0})
    for word in prefix:
        reached = _skip(request, {_step(request, at, word) for at in reached} - {None})
    return bool(reached)
