"""Every budget: the table that configuration, errors, metrics, dashboard and tests follow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import (
    ExportsBusy,
    FramesBusy,
    GatewayError,
    JoinsWait,
    LoginsWait,
    NoCapacity,
    PostsBusy,
    PublishingBehind,
    RateLimited,
    ReadsBusy,
    RoomBusy,
    RoomFull,
    RoomsFull,
    StateFull,
    SubscriptionsFull,
    TooManyBytes,
    TooManyChanges,
    TooManyCodes,
    TooManyConnects,
    TooManyCopies,
    TooManyDashboards,
    TooManyDials,
    TooManyExports,
    TooManyGuesses,
    TooManyHttp,
    TooManyJoins,
    TooManyKeys,
    TooManyKnocks,
    TooManyLogins,
    TooManyOfUser,
    TooManyOpenRooms,
    TooManyPosts,
    TooManyQueues,
    TooManyReads,
    TooManyRooms,
    TooManySubscriptions,
    TooManyUnknown,
    TooManyUpgrades,
    TooMuchRead,
    TooSlow,
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
    "connections by WebSocket or event stream",
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
            NoCapacity,
            "{most} connections have not sent CONNECT yet",
            retry_after=2.0,
        ),
    ),
    reason="behind one address there may be a whole school whose clients come back at once.",
)

LOGIN_CONNECTIONS: Final = Budget(
    "login_connections",
    "WebSocket connections with logins of RabbitMQ",
    Form.CAP,
    (
        Limit(
            Scope.ADDRESS,
            ("login_connections_per_address",),
            TooManyOfUser,
            "at most {most} connections with RabbitMQ's logins from one address",
            retry_after=5.0,
        ),
    ),
    reason="A login may be shared by everybody who opens a page, in a whole school.",
)

HTTP_CONNECTS: Final = Budget(
    "http_connects",
    "new HTTP connections",
    Form.RATE,
    (
        Limit(
            Scope.ADDRESS,
            ("http_connects_per_second", "http_connects_burst"),
            TooManyConnects,
            "too many new HTTP connections from your address; keep them open",
        ),
        Limit(
            Scope.USER,
            ("user_http_connects_per_second", "user_http_connects_burst"),
            TooManyConnects,
            "too many new HTTP connections of this user; keep them open",
        ),
    ),
    reason=(
        "Five hundred people who come back at once open six each. With TLS, a new one costs a"
        " millisecond."
    ),
)

UPGRADES: Final = Budget(
    "upgrades",
    "new WebSockets and event streams",
    Form.RATE,
    (
        Limit(
            Scope.ADDRESS,
            ("upgrades_per_second", "upgrades_burst"),
            TooManyUpgrades,
            "too many new connections from your address; keep one open",
        ),
        Limit(
            Scope.USER,
            ("user_upgrades_per_second", "user_upgrades_burst"),
            TooManyUpgrades,
            "too many new connections of this user; keep one open",
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
            NoCapacity,
            "the limit of {most} HTTP connections is reached",
            retry_after=2.0,
        ),
    ),
    reason=(
        "A browser opens six at once for a page, and a whole school may come from one address."
    ),
)

FRAMES: Final = Budget(
    "frames",
    "frames from a client, in units of work",
    Form.RATE,
    (Limit(Scope.CONNECTION, ("frames_per_second", "frames_burst"), None),),
    reason=(
        "A busy host acknowledges some hundred messages a second, so a classroom never reaches"
        " this limit;"
    ),
)

BYTES_IN: Final = Budget(
    "bytes_in",
    "bytes from a client",
    Form.RATE,
    (Limit(Scope.CONNECTION, ("bytes_per_second", "bytes_burst"), None),),
    reason="People send some frames a minute, of 64 KiB at most.",
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

ROOM_POSTS: Final = Budget(
    "room_posts",
    "messages posted to a room",
    Form.RATE,
    (
        Limit(
            Scope.ROOM,
            ("room_posts_per_second", "room_posts_burst"),
            RoomBusy,
            "too many messages are posted to this room; slow down",
            hosts_first=True,
        ),
    ),
    reason="Five hundred people may clap twice a second for ten seconds.",
)

POST_BYTES: Final = Budget(
    "post_bytes",
    "bytes of messages posted",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("post_bytes_per_second", "post_bytes_burst"),
            TooManyBytes,
            "you post too many bytes; slow down",
        ),
        Limit(
            Scope.ROOM,
            ("room_post_bytes_per_second", "room_post_bytes_burst"),
            RoomBusy,
            "too many bytes are posted to this room; slow down",
            hosts_first=True,
        ),
    ),
    reason="Everybody in a full classroom may send a picture of 64 KiB at the same moment.",
)

WAITING_POSTS: Final = Budget(
    "waiting_posts",
    "messages without an answer yet",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("waiting_posts_per_user",),
            TooManyPosts,
            "at most {most} messages of one user are handled at a time; wait for answers",
            retry_after=1.0,
        ),
        Limit(
            Scope.ALL,
            ("waiting_posts",),
            PostsBusy,
            "too many messages are being handled; try again",
            retry_after=1.0,
            hosts_first=True,
        ),
    ),
    reason="Everybody in twenty full classrooms may answer a poll at the same moment.",
)

WAITING_BYTES: Final = Budget(
    "waiting_bytes",
    "bytes of messages without an answer yet",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("waiting_bytes_per_user",),
            TooManyPosts,
            "at most {most} bytes of one user's messages are handled at a time; wait for answers",
            retry_after=1.0,
        ),
        Limit(
            Scope.ALL,
            ("waiting_bytes",),
            PostsBusy,
            "too many messages are being handled; try again",
            retry_after=1.0,
            hosts_first=True,
        ),
    ),
    reason="Messages of people have some hundred bytes, and wait only while the database is away.",
)

OUTBOX: Final = Budget(
    "outbox",
    "messages that are stored and that RabbitMQ has not taken yet",
    Form.CAP,
    (
        Limit(
            Scope.ALL,
            ("outbox_messages",),
            PublishingBehind,
            "{most} messages wait for the broker already; try again later",
            retry_after=5.0,
            hosts_first=True,
        ),
    ),
    reason="Five hundred people who write four messages a minute fill it in a lesson and a half.",
)

OUTBOX_BYTES: Final = Budget(
    "outbox_bytes",
    "bytes of messages that are stored and that RabbitMQ has not taken yet",
    Form.CAP,
    (
        Limit(
            Scope.ALL,
            ("outbox_bytes",),
            PublishingBehind,
            "{most} bytes of messages wait for the broker already; try again later",
            retry_after=5.0,
            hosts_first=True,
        ),
    ),
    reason="Everybody of a full classroom may send ten pictures of 64 KiB meanwhile.",
)

BODIES: Final = Budget(
    "bodies",
    "bytes of requests' bodies that are read, or not answered yet",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("body_bytes_per_user",),
            TooManyPosts,
            "at most {most} bytes of one user's requests are read at a time; wait for answers",
            retry_after=1.0,
        ),
        Limit(
            Scope.ALL,
            ("body_bytes_in_all",),
            PostsBusy,
            "too many requests are being read; try again",
            retry_after=1.0,
            hosts_first=True,
        ),
    ),
    reason="A page has a body or two under way; its messages have some hundred bytes.",
)

COPIES: Final = Budget(
    "copies",
    "subscriptions to the same destination",
    Form.CAP,
    (
        Limit(
            Scope.CONNECTION,
            ("copies",),
            TooManyCopies,
            "at most {most} subscriptions to the same destination on one connection",
        ),
        Limit(
            Scope.USER,
            ("copies_per_user",),
            TooManyCopies,
            "at most {most} subscriptions to the same destination for one user",
        ),
    ),
    reason="A page needs one, and people have a few tabs and devices.",
)

DASHBOARDS: Final = Budget(
    "dashboards",
    "open dashboards",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("dashboards_per_user",),
            TooManyDashboards,
            "at most {most} dashboards of one admin are open at a gateway; close another one",
            retry_after=5.0,
        ),
        Limit(
            Scope.ALL,
            ("dashboards",),
            NoCapacity,
            "{most} dashboards are open at this gateway already",
            retry_after=5.0,
        ),
    ),
    reason=("A few admins with a few tabs each; a dashboard is sent some kilobytes a second."),
)

BACKLOG: Final = Budget(
    "backlog",
    "bytes that wait for slow readers, or come for them in part",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("backlog_bytes_per_user",),
            TooSlow,
            "messages were not read fast enough: at most {most} bytes wait for one user",
        ),
        Limit(
            Scope.ALL,
            ("backlog_bytes_in_all",),
            TooSlow,
            "messages were not read fast enough: at most {most} bytes wait for all together",
        ),
    ),
    reason="Readers of a classroom are behind by some kilobytes",
)

HALF_READ: Final = Budget(
    "half_read",
    "bytes of frames that are not complete, or wait for their turn",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("half_read_bytes_per_user",),
            FramesBusy,
            "at most {most} bytes of one user's incomplete frames are kept",
        ),
        Limit(
            Scope.ALL,
            ("half_read_bytes",),
            FramesBusy,
            "at most {most} bytes of incomplete frames are kept for all together",
            retry_after=1.0,
        ),
    ),
    reason="Complete frames are taken at once, so a classroom needs nearly none.",
)

DIALS: Final = Budget(
    "dials",
    "logins to RabbitMQ",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("dials_per_second", "dials_burst"),
            TooManyDials,
            "you connect to the broker too often; keep one connection open",
        ),
    ),
    reason="RabbitMQ needs a twentieth of a second of CPU for each; a host has a few tabs.",
)

BROKER_SUBSCRIPTIONS: Final = Budget(
    "broker_subscriptions",
    "subscriptions at RabbitMQ",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("broker_subscriptions_per_second", "broker_subscriptions_burst"),
            TooManySubscriptions,
            "you subscribe at the broker too often; keep subscriptions open",
        ),
    ),
    reason="RabbitMQ writes each to its log on all nodes.",
)

BROKER_QUEUES: Final = Budget(
    "broker_queues",
    "names of durable queues given to RabbitMQ since the start",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("broker_queues_per_user",),
            TooManyQueues,
            "at most {most} durable queues of the broker may be named by one user",
        ),
        Limit(
            Scope.ALL,
            ("broker_queues",),
            TooManyQueues,
            "at most {most} durable queues of the broker may be named in all",
        ),
    ),
    reason="Rooms need none of them, and a service has some dozens.",
)

ROOMS: Final = Budget(
    "rooms",
    "rooms made, or closed",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("rooms_per_minute", "rooms_burst"),
            TooManyRooms,
            "too many rooms are made or closed in a short time; wait",
        ),
    ),
    reason="Each has a queue on all nodes of RabbitMQ, which takes a tenth of a second to make",
)

OPEN_ROOMS: Final = Budget(
    "open_rooms",
    "open rooms",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("open_rooms_per_user",),
            TooManyOpenRooms,
            "at most {most} rooms that one user has created may be open; close one",
        ),
        Limit(
            Scope.ALL,
            ("open_rooms",),
            RoomsFull,
            "at most {most} rooms may be open in all; close one",
            retry_after=60.0,
        ),
    ),
    reason="A teacher who never closes one makes some thousand in a school year.",
)

MEMBER_CHANGES: Final = Budget(
    "member_changes",
    "members added, changed or removed",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("member_changes_per_second", "member_changes_burst"),
            TooManyChanges,
            "members are changed too often; slow down",
        ),
    ),
    reason="All gateways read a room's members anew after each; a host may invite a full lecture.",
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

WAITING_LOGINS: Final = Budget(
    "waiting_logins",
    "passwords that are being checked, or wait for it",
    Form.CAP,
    (
        Limit(
            Scope.ADDRESS,
            ("waiting_logins_per_address",),
            TooManyLogins,
            "{most} logins from your address wait before yours; try again",
            retry_after=10.0,
        ),
        Limit(
            Scope.ALL,
            ("waiting_logins",),
            LoginsWait,
            "{most} logins wait before yours; try again",
            retry_after=10.0,
        ),
    ),
    reason="A school that logs in at once is through in half a minute.",
)

JOINS: Final = Budget(
    "joins",
    "calls with class codes",
    Form.RATE,
    (
        Limit(
            Scope.ADDRESS,
            ("joins_per_second", "joins_burst"),
            TooManyJoins,
            "too many are coming in from your address at once; wait",
        ),
        Limit(
            Scope.ALL,
            ("all_joins_per_second", "all_joins_burst"),
            TooManyJoins,
            "too many are coming in at once; wait",
        ),
    ),
    reason="Five hundred people come at the bell behind one address, with three calls each.",
)

ENTRIES: Final = Budget(
    "entries",
    "people who enter, or knock, by a class code",
    Form.RATE,
    (
        Limit(
            Scope.ROOM,
            ("room_joins_per_second", "room_joins_burst"),
            JoinsWait,
            "too many enter the room at once; wait",
        ),
    ),
    reason="A lecture enters at once; a code that got around must not fill the room all the time.",
)

GUESTS: Final = Budget(
    "guests",
    "guests and knocks of one room from one address",
    Form.RATE,
    (
        Limit(
            Scope.ROOM,
            ("room_guests_per_minute", "room_guests_burst"),
            TooManyJoins,
            "too many have come into this room from your address; ask the host",
        ),
    ),
    reason="A lecture of five hundred comes from one address; a script at another one takes so many"
    " of the room's places, and then a few, so that the class finds some.",
)

WRONG_CODES: Final = Budget(
    "wrong_codes",
    "wrong class codes of an address",
    Form.RATE,
    (
        Limit(
            Scope.ADDRESS,
            ("wrong_codes_per_minute",),
            TooManyCodes,
            "too many wrong class codes from your address; wait before the next one",
        ),
    ),
    reason="Of five hundred people behind one address one in ten types the code wrong.",
)

ALL_WRONG_CODES: Final = Budget(
    "all_wrong_codes",
    "wrong class codes from addresses where none was right in the last hour",
    Form.RATE,
    (
        Limit(
            Scope.ALL,
            ("all_wrong_codes_per_minute",),
            TooManyCodes,
            "too many wrong class codes; wait before the next one",
        ),
    ),
    reason="There are eleven million codes: with a hundred in use a guess a second needs a day.",
)

KNOCKS: Final = Budget(
    "knocks",
    "people who wait at the door of a room",
    Form.CAP,
    (
        Limit(
            Scope.ROOM,
            ("room_knocks",),
            TooManyKnocks,
            "{most} people wait at the door already; try again when the host has let some in",
            retry_after=10.0,
        ),
    ),
    reason="A lecture knocks at once.",
)

KEPT: Final = Budget(
    "kept",
    "entries of a room's kept state",
    Form.CAP,
    (
        Limit(
            Scope.ROOM,
            ("kept_of_room",),
            TooManyKeys,
            "the state has {most} entries of the room already; clear some, with a body of null",
        ),
        Limit(
            Scope.USER,
            ("kept_of_user",),
            TooManyKeys,
            "the room's state has {most} entries of this user already; clear some, with a body of"
            " null",
        ),
    ),
    reason="A class that votes five times in each lesson of a year writes eight hundred a person.",
)

KEPT_BYTES: Final = Budget(
    "kept_bytes",
    "bytes of the entries that participants have in a room's kept state",
    Form.CAP,
    (
        Limit(
            Scope.ROOM,
            ("kept_bytes_of_users",),
            StateFull,
            "the entries of all participants may have {most} bytes in the room's state; clear or"
            " shorten some",
        ),
        Limit(
            Scope.USER,
            ("kept_bytes_of_user",),
            StateFull,
            "the entries of one user may have {most} bytes in the room's state; clear or shorten"
            " some",
        ),
    ),
    reason="Whoever comes in gets them all. A year of votes is a hundred kilobytes a person.",
)

STATE_READS: Final = Budget(
    "state_reads",
    "reads of rooms' kept state",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("state_reads_per_user",),
            TooManyReads,
            "at most {most} reads of the rooms' state at a time are allowed for one user",
            retry_after=1.0,
        ),
        Limit(
            Scope.ALL,
            ("state_reads",),
            ReadsBusy,
            "too many clients are reading the rooms' state",
            retry_after=1.0,
            hosts_first=True,
        ),
    ),
    reason="Everybody of a full classroom may come in at once.",
)

STATE_BYTES: Final = Budget(
    "state_bytes",
    "bytes of rooms' kept state read",
    Form.RATE,
    (
        Limit(
            Scope.USER,
            ("state_bytes_per_second", "state_bytes_burst"),
            TooMuchRead,
            "you read too much of the rooms' state; ask for what has changed, with after",
        ),
        Limit(
            Scope.ALL,
            ("all_state_bytes_per_second", "all_state_bytes_burst"),
            ReadsBusy,
            "too many clients are reading the rooms' state",
            hosts_first=True,
        ),
    ),
    reason="The state of a lesson is some ten kilobytes, that of a year some megabytes.",
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

EXPORTS: Final = Budget(
    "exports",
    "exports of rooms",
    Form.CAP,
    (
        Limit(
            Scope.USER,
            ("exports_per_user",),
            TooManyExports,
            "at most {most} exports at a time are allowed for one user; wait for the others",
            retry_after=5.0,
        ),
        Limit(
            Scope.ALL,
            ("exports",),
            ExportsBusy,
            "{most} rooms are being exported already",
            retry_after=5.0,
        ),
    ),
    reason="A host takes the four tables of a lesson and the page at once, all hosts at the bell.",
)

EXPORT_BYTES: Final = Budget(
    "export_bytes",
    "bytes of exports",
    Form.RATE,
    (Limit(Scope.USER, ("export_bytes_per_second", "export_bytes_burst"), None),),
    reason="A lesson is there at once; a hundred thousand messages take some seconds.",
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
    BODIES,
    CONNECTIONS,
    UNKNOWN_CONNECTIONS,
    LOGIN_CONNECTIONS,
    UPGRADES,
    HTTP_CONNECTIONS,
    HTTP_CONNECTS,
    FRAMES,
    BYTES_IN,
    SUBSCRIPTIONS,
    COPIES,
    DASHBOARDS,
    BACKLOG,
    HALF_READ,
    DIALS,
    BROKER_SUBSCRIPTIONS,
    BROKER_QUEUES,
    POSTS,
    ROOM_POSTS,
    POST_BYTES,
    FAILED_LOGINS,
    USER_LOGINS,
    WAITING_LOGINS,
    JOINS,
    ENTRIES,
    GUESTS,
    WRONG_CODES,
    ALL_WRONG_CODES,
    KNOCKS,
    WAITING_POSTS,
    WAITING_BYTES,
    OUTBOX,
    OUTBOX_BYTES,
    KEPT,
    KEPT_BYTES,
    STATE_READS,
    STATE_BYTES,
    READS,
    READ_BYTES,
    EXPORTS,
    EXPORT_BYTES,
    ROOM_MEMBERS,
    MEMBER_CHANGES,
    ROOMS,
    OPEN_ROOMS,
)
