"""Every budget: the table that configuration, errors, metrics, dashboard and tests follow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import (
    GatewayError,
    NoCapacity,
    RateLimited,
    TooManyGuesses,
)


class Scope(StrEnum):
    """The owner of what is added up."""

    CONNECTION = "connection"
    USER = "user"
    ROOM = "room"
    ADDRESS = "address"
    ALL = "all"


class Form(StrEnum):
    """The form of a budget. ``rate``: so much at once, then so much a second. ``cap``: so much at a
    time."""

    RATE = "rate"
    CAP = "cap"


@dataclass(frozen=True, slots=True)
class Limit:
    """One scope of a budget.

    ``keys``: of the table ``limits`` in the configuration; for a rate ``…_per_second`` or
    ``…_per_minute``, then the burst (by default what comes in that time). ``error`` is raised
    beyond it, with the text ``says``, where ``{most}`` stands for the number in force. None:
    nothing is refused, the client is read later. ``retry_after``: seconds, of a cap; a rate knows
    by itself. ``hosts_first``: a tenth is kept for hosts and admins.
    """

    scope: Scope
    keys: tuple[str, ...]
    error: type[GatewayError] | None
    says: str = ""
    retry_after: float | None = None
    hosts_first: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget. ``counts``: what is counted, in which unit; ``reason``: why the defaults are what
    they are, as ``conf/gateway.toml`` says it."""

    name: str
    counts: str
    form: Form
    limits: tuple[Limit, ...]
    reason: str

    def met(self, limit: Limit) -> str:
        """The name under which a refusal by one of the limits is known."""
        return f"{self.name}/{limit.scope}"


POSTS: Final = Budget(
    "posts",
    "messages posted",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("posts_per_second", "posts_burst"),
            RateLimited,
            "too many requests; slow down",
        ),
    ),
    reason="Nobody types or taps fifty messages a second; a program may.",
)

WAITING_POSTS: Final = Budget(
    "waiting_posts",
    "messages without an answer yet",
    Form.CAP,
    (
        Limit(
            Scope.ALL,
            ("waiting_posts",),
            NoCapacity,
            "too many messages are being handled; try again",
            retry_after=1.0,
            hosts_first=True,
        ),
    ),
    reason="Everybody in twenty full classrooms may answer a poll at the same moment.",
)

FAILED_LOGINS: Final = Budget(
    "failed_logins",
    "failed logins",
    Form.RATE,
    (
        Limit(
            Scope.ADDRESS,
            ("logins_per_minute",),
            TooManyGuesses,
            "too many failed logins from your address; wait before the next one",
        ),
    ),
    reason="Successful ones do not count, because a whole school may share one address.",
)

#: All budgets, in the order of the configuration.
TABLE: Final = (POSTS, FAILED_LOGINS, WAITING_POSTS)
