"""Every budget: the table that configuration, errors, metrics, dashboard and tests follow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import (
    GatewayError,
    NoCapacity,
    RateLimited,
    ReadsBusy,
    RoomFull,
    SubscriptionsFull,
    TooManyGuesses,
    TooManyHttp,
    TooManyLogins,
    TooManyOfUser,
    TooManyReads,
    TooManyUnknown,
    TooManyUpgrades,
    TooMuchRead,
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


CONNECTIONS: Final = Budget(
    "connections",
    "WebSocket connections",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("connections_per_user",),
            TooManyOfUser,
            "at most {most} connections per user",
            retry_after=5.0,
        ),
        Limit(
            Scope.ALL,
            ("connections",),
            NoCapacity,
            "this gateway serves {most} connections",
            retry_after=5.0,
            hosts_first=True,
        ),
    ),
    reason="Some twenty full classrooms; a user has a few devices with a few tabs each.",
)

UNKNOWN_CONNECTIONS: Final = Budget(
    "unknown_connections",
    "WebSocket connections of unknown users, before CONNECT",
    Form.CAP,
    (
        Limit(
            Scope.ADDRESS,
            ("unknown_connections_per_address",),
            TooManyUnknown,
            "{most} connections from your address have not sent CONNECT yet",
            retry_after=2.0,
        ),
        Limit(
            Scope.ALL,
            ("unknown_connections",),
            TooManyUnknown,
            "{most} connections have not sent CONNECT yet",
            retry_after=2.0,
        ),
    ),
    reason="behind one address there may be a whole school whose clients come back at once.",
)

UPGRADES: Final = Budget(
    "upgrades",
    "new WebSockets",
    Form.RATE,
    (
        Limit(
            Scope.ADDRESS,
            ("upgrades_per_second", "upgrades_burst"),
            TooManyUpgrades,
            "too many new connections from your address; keep one open",
        ),
    ),
    reason="A school of 500 people with three tabs each may come back at once, and try twice.",
)

HTTP_CONNECTIONS: Final = Budget(
    "http_connections",
    "connections without a WebSocket",
    Form.CAP,
    (
        Limit(
            Scope.ADDRESS,
            ("http_connections_per_address",),
            TooManyHttp,
            "the limit of {most} HTTP connections from your address is reached",
            retry_after=2.0,
        ),
        Limit(
            Scope.ALL,
            ("http_connections",),
            TooManyHttp,
            "the limit of {most} HTTP connections is reached",
            retry_after=2.0,
        ),
    ),
    reason=(
        "A browser opens six at once for a page, and a whole school may come from one address."
    ),
)

SUBSCRIPTIONS: Final = Budget(
    "subscriptions",
    "subscriptions",
    Form.CAP,
    (
        Limit(
            Scope.CONNECTION,
            ("subscriptions",),
            SubscriptionsFull,
            "at most {most} subscriptions per connection",
        ),
    ),
    reason="A page has three or four for its room.",
)

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

USER_LOGINS: Final = Budget(
    "user_logins",
    "logins",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("user_logins_per_minute", "user_logins_burst"),
            TooManyLogins,
            "this user logs in too often; keep the session",
        ),
    ),
    reason="A class may share one account.",
)

READS: Final = Budget(
    "reads",
    "reads of the history",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("reads_per_user",),
            TooManyReads,
            "at most {most} reads of the history at a time are allowed for one user",
            retry_after=1.0,
        ),
        Limit(
            Scope.ALL,
            ("reads",),
            ReadsBusy,
            "too many clients are reading the history",
            retry_after=1.0,
            hosts_first=True,
        ),
    ),
    reason="Everybody of a full classroom may come back at once.",
)

READ_BYTES: Final = Budget(
    "read_bytes",
    "bytes of the history read",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("read_bytes_per_second", "read_bytes_burst"),
            TooMuchRead,
            "you read too much of the history; keep what you have read",
        ),
        Limit(
            Scope.ALL,
            ("all_read_bytes_per_second", "all_read_bytes_burst"),
            ReadsBusy,
            "too many clients are reading the history",
            hosts_first=True,
        ),
    ),
    reason=(
        "A lesson's messages are some hundred kilobytes, which 500 people may want at once, each"
        " for three streams."
    ),
)

ROOM_MEMBERS: Final = Budget(
    "room_members",
    "members",
    Form.CAP,
    (Limit(Scope.ROOM, ("room_members",), RoomFull, "a room may have at most {most} members"),),
    reason="A lecture has some hundreds.",
)

#: All budgets, in the order of the configuration.
TABLE: Final = (
    CONNECTIONS,
    UNKNOWN_CONNECTIONS,
    UPGRADES,
    HTTP_CONNECTIONS,
    SUBSCRIPTIONS,
    POSTS,
    FAILED_LOGINS,
    USER_LOGINS,
    WAITING_POSTS,
    READS,
    READ_BYTES,
    ROOM_MEMBERS,
)
