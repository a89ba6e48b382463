"""Access rules: the destinations outside of rooms that are open, and the system roles that may use
them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import product
from typing import Final

from gateway.auth.patterns import ANY_WORDS, ONE_WORD, Kind, Pattern, parse
from gateway.config import Access, ConfigError

#: A rule that opens everything that STOMP and RabbitMQ offer in one direction.
EVERYTHING: Final = "**"


class Direction(StrEnum):
    """The direction that a rule opens: subscribing or sending."""

    SUBSCRIBE = "subscribe"
    SEND = "send"


#: A virtual host (None: that of the rooms), a role there, and the direction.
_Holder = tuple[str | None, str, Direction]


class AccessRules:
    """The ``[[access]]`` tables of the configuration. Without one, nothing is open.

    A rule is a destination as a client writes it; ``*`` and ``#`` between its dots stand for one
    word and for any number of words, in queue names too. A rule opens its own kind only:
    ``/queue/x`` does not open ``/amq/queue/x``. A rule that covers names under the rooms' prefix
    opens them: ``/topic/#`` opens every room's topics to its roles. Temp queues, transactions and
    queue headers need ``**``.

    A rule holds in the virtual hosts that its table names, without names in that of the rooms,
    ``home``, for which None stands everywhere else.
    """

    def __init__(self, tables: Sequence[Access], *, home: str = "/") -> None:
        """Raises :class:`ConfigError` for a rule that no destination can match."""
        self._patterns: dict[_Holder, list[Pattern]] = {}
        self._everything: set[_Holder] = set()
        #: The patterns of rules with ``shared = false``, by virtual host and role; None for ``**``.
        self._own: dict[tuple[str | None, str], list[Pattern | None]] = {}
        for number, table in enumerate(tables):
            vhosts = [None if name == home else name for name in table.vhosts] or [None]
            for direction in Direction:
                holders = [(vhost, role, direction) for vhost in vhosts for role in table.roles]
                for rule in getattr(table, direction):
                    self._add(rule, holders, direction, where=f"access.{number}.{direction}")
            if not table.shared:
                own = [None if each == EVERYTHING else parse(each) for each in table.subscribe]
                for vhost, role in product(vhosts, table.roles):
                    self._own.setdefault((vhost, role), []).extend(own)

    def replace(self, other: AccessRules) -> None:
        """Apply the other's rules from now on."""
        self._patterns, self._everything = other._patterns, other._everything
        self._own = other._own

    @property
    def roles(self) -> frozenset[str]:
        """Every role that some rule names."""
        return frozenset(role for _, role, _ in (*self._patterns, *self._everything))

    def opens(
        self,
        roles: Iterable[str],
        direction: Direction,
        destination: str,
        *,
        vhost: str | None = None,
    ) -> bool:
        """Whether every name that this destination can match is open to one of the roles."""
        roles = frozenset(roles)
        if self.opens_everything(roles, direction, vhost=vhost):
            return True
        try:
            request = parse(destination)
        except ValueError:
            return False
        return any(rule.includes(request) for rule in self.patterns(roles, direction, vhost=vhost))

    def shares(self, roles: Iterable[str], requested: Pattern, *, vhost: str | None = None) -> bool:
        """Whether no rule of these roles says ``shared = false`` for the destination."""
        own = (each for role in roles for each in self._own.get((vhost, role), ()))
        return not any(each is None or each.includes(requested) for each in own)

    def opens_everything(
        self, roles: Iterable[str], direction: Direction, *, vhost: str | None = None
    ) -> bool:
        """Whether one of the roles has the rule ``**``: any destination, any header."""
        return any((vhost, role, direction) in self._everything for role in roles)

    def patterns(
        self, roles: Iterable[str], direction: Direction, *, vhost: str | None = None
    ) -> Iterator[Pattern]:
        """The patterns that are open to the roles, except ``**``."""
        for role in roles:
            yield from self._patterns.get((vhost, role, direction), ())

    def _add(
        self, rule: str, holders: Sequence[_Holder], direction: Direction, *, where: str
    ) -> None:
        if rule == EVERYTHING:
            self._everything.update(holders)
            return
        try:
            pattern = _rule(rule, direction)
        except ValueError as error:
            raise ConfigError(f"{where}: {rule!r}: {error}") from error
        for holder in holders:
            self._patterns.setdefault(holder, []).append(pattern)


def _rule(text: str, direction: Direction) -> Pattern:
    pattern = parse(text)
    wild = (ONE_WORD, ANY_WORDS)
    if any(sign in word and word != sign for word in pattern.words for sign in wild):
        raise ValueError("'*' and '#' must stand alone between dots ('**' alone opens everything)")
    if pattern.kind is Kind.REPLY_QUEUE and direction is not Direction.SEND:
        raise ValueError("nobody can subscribe to a reply queue; it can only be sent to")
    return pattern
