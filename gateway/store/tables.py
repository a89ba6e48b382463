"""The tables, as the newest migration leaves them (a test compares the two)."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    false,
    text,
)

from gateway.domain.kept import KEY_LENGTH
from gateway.domain.revocation import LONGEST_REASON, LONGEST_VALUE
from gateway.store.values import (
    NICKNAME_LENGTH,
    TITLE_LENGTH,
    TYPE_LENGTH,
    USER_LENGTH,
    UtcDateTime,
)

T = TypeVar("T")

#: The type that most messages have. It is part of an index: changing it takes a migration.
SAID: Final = "message"
NOT_SAID: Final = f"type <> '{SAID}'"

#: Whether an entry of the kept state stands, or is cleared. Parts of indices.
STANDS: Final = "body <> 'null'"
CLEARED: Final = "body = 'null'"

#: Parts of indices.
DUE: Final = "queue_due IS NOT NULL"
OPEN: Final = "closed_at IS NULL"
LASTING: Final = "until IS NULL"
WAITS: Final = "fate = 'waiting'"
DECIDED: Final = "fate <> 'waiting'"

metadata: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(referred_table_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ck": "%(table_name)s_%(constraint_name)s_ck",
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    }
)

# Only an INTEGER PRIMARY KEY numbers itself on SQLite; its integers have 64 bits anyway.
_Number = BigInteger().with_variant(Integer(), "sqlite")
_Audience = String(7)

rooms: Final = Table(
    "rooms",
    metadata,
    Column("id", _Number, Identity(), primary_key=True),
    Column("title", String(TITLE_LENGTH), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    # Grows with every change of a membership: the gateways poll it.
    Column("revision", _Number, nullable=False, server_default="0"),
    # Random, so that a database that was restored or begun anew cannot repeat it, as it repeats
    # numbers.
    Column("identity", String(16), nullable=False, server_default=""),
    # Grows whenever the room's private queue is replaced. 0: older than this column.
    Column("queue", _Number, nullable=False, server_default="0"),
    # Work that is due on it. NULL: none.
    Column("queue_due", String(8)),
    # NULL: the room is older than this column.
    Column("created_by", String(USER_LENGTH)),
    # What the entry "settings" of the kept state says: participants may not speak to everyone, or
    # every so many seconds at most; what they say waits for a host's approval.
    Column("chat_off", Boolean, nullable=False, server_default=false()),
    Column("slow", Integer, nullable=False, server_default="0"),
    Column("approve", Boolean, nullable=False, server_default=false()),
    # Messages older than so many days are deleted, whatever the configuration keeps. NULL: as that.
    Column("keep_days", Integer),
    Index(None, "queue_due", sqlite_where=text(DUE), postgresql_where=text(DUE)),
    Index(None, "created_by", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
    sqlite_autoincrement=True,
)

members: Final = Table(
    "members",
    metadata,
    Column("room", _Number, ForeignKey(rooms.c.id), primary_key=True),
    Column("user_id", String(USER_LENGTH), primary_key=True),
    Column("role", String(11), nullable=False),
    # What is shown beside the user's name.
    Column("name", String(USER_LENGTH)),
    # What the entry "muted" of the kept state says.
    Column("muted", Boolean, nullable=False, server_default=false()),
    CheckConstraint("role IN ('host', 'participant')", name="role"),
    Index(None, "user_id", "room"),
)

#: ``guests``: whom the code lets in besides people with an account.
class_codes: Final = Table(
    "class_codes",
    metadata,
    Column("room", _Number, ForeignKey(rooms.c.id), primary_key=True, autoincrement=False),
    Column("code", String(6), nullable=False),
    Column("guests", String(5), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    CheckConstraint("guests IN ('no', 'knock', 'yes')", name="guests"),
    UniqueConstraint("code"),
)

#: People without an account at the door of a room. ``id`` is random, and known to them alone;
#: ``number`` names them to hosts.
knocks: Final = Table(
    "knocks",
    metadata,
    Column("number", _Number, Identity(), primary_key=True),
    Column("id", String(32), nullable=False),
    Column("room", _Number, ForeignKey(rooms.c.id), nullable=False),
    Column("nickname", String(NICKNAME_LENGTH), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("state", String(8), nullable=False),
    CheckConstraint("state IN ('waiting', 'admitted', 'refused')", name="state"),
    UniqueConstraint("id"),
    Index(None, "room"),
)

#: Former members who were removed while the room had the code that it has now.
turned_away: Final = Table(
    "turned_away",
    metadata,
    Column("room", _Number, ForeignKey(rooms.c.id), primary_key=True, autoincrement=False),
    Column("user_id", String(USER_LENGTH), primary_key=True),
)

#: ``head``: the last seq given; it never decreases. ``first``: the lowest seq still kept.
#: ``bytes``: of the bodies kept, without those that were stored before this column.
#: ``forgotten``: the highest seq of a cleared entry of the kept state that was deleted since.
streams: Final = Table(
    "streams",
    metadata,
    Column("room", _Number, ForeignKey(rooms.c.id), primary_key=True, autoincrement=False),
    Column("audience", _Audience, primary_key=True),
    Column("head", _Number, nullable=False),
    Column("first", _Number, nullable=False),
    Column("bytes", _Number, nullable=False, server_default="0"),
    Column("forgotten", _Number, nullable=False, server_default="0"),
    CheckConstraint("audience IN ('public', 'private')", name="audience"),
    CheckConstraint("head >= 0 AND first BETWEEN 1 AND head + 1", name="range"),
)

#: ``seq``: up to here the stream's messages were acknowledged in the room's private queue.
acknowledged: Final = Table(
    "acknowledged",
    metadata,
    Column("room", _Number, primary_key=True, autoincrement=False),
    Column("audience", _Audience, primary_key=True),
    Column("seq", _Number, nullable=False),
    ForeignKeyConstraint(["room", "audience"], [streams.c.room, streams.c.audience]),
)

messages: Final = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("room", _Number, nullable=False),
    Column("audience", _Audience, nullable=False),
    Column("seq", _Number, nullable=False),
    Column("sender", String(USER_LENGTH), nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("type", String(TYPE_LENGTH), nullable=False),
    Column("body", Text, nullable=False),
    # The sender's role in the room at that time. NULL: the message is older than this column.
    Column("role", String(11)),
    # What was shown beside the sender's name at that time.
    Column("sender_name", String(USER_LENGTH)),
    # A host has hidden it: what the entry "hidden:<seq>" of the kept state says.
    Column("hidden", Boolean, nullable=False, server_default=false()),
    # The key under which it was kept, and the user whose entry it is, if it says so.
    Column("keep", String(KEY_LENGTH)),
    Column("of", String(USER_LENGTH)),
    # The seq at which it waited for approval, or of the one that was refused.
    Column("place", _Number),
    ForeignKeyConstraint(["room", "audience"], [streams.c.room, streams.c.audience]),
    UniqueConstraint("room", "audience", "seq"),
    # For a participant's sync of the private stream: only messages of this sender.
    Index(None, "room", "audience", "sender", "seq"),
    # For a sync of certain types. The type of most messages is left out.
    Index(
        None,
        "room",
        "audience",
        "type",
        "seq",
        sqlite_where=text(NOT_SAID),
        postgresql_where=text(NOT_SAID),
    ),
)

#: What participants have said to everyone that had to wait for approval; ``messages`` has its place
#: under the same ``seq`` and ``id``, without content. So no reader of the stream can meet it.
approvals: Final = Table(
    "approvals",
    metadata,
    Column("room", _Number, ForeignKey(rooms.c.id), primary_key=True, autoincrement=False),
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("id", Uuid, nullable=False),
    Column("sender", String(USER_LENGTH), nullable=False),
    Column("sender_name", String(USER_LENGTH)),
    Column("role", String(11)),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("type", String(TYPE_LENGTH), nullable=False),
    Column("body", Text, nullable=False),
    Column("fate", String(8), nullable=False),
    CheckConstraint("fate IN ('waiting', 'approved', 'refused')", name="fate"),
    Index(None, "room", "sender", "seq"),
    Index(None, "room", "seq", sqlite_where=text(WAITS), postgresql_where=text(WAITS)),
    # For forgetting.
    Index(None, "sent_at", sqlite_where=text(DECIDED), postgresql_where=text(DECIDED)),
)

#: The rooms' kept state: the newest message of each entry, whole, because the history may have
#: forgotten it. ``author``: empty for the room's own entry. A body of ``null`` clears the entry;
#: the row stays for a while, for readers who ask what has changed.
kept: Final = Table(
    "kept",
    metadata,
    Column("room", _Number, primary_key=True, autoincrement=False),
    Column("audience", _Audience, primary_key=True),
    Column("author", String(USER_LENGTH), primary_key=True),
    Column("keep", String(KEY_LENGTH), primary_key=True),
    Column("seq", _Number, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("sender", String(USER_LENGTH), nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("type", String(TYPE_LENGTH), nullable=False),
    Column("body", Text, nullable=False),
    Column("role", String(11)),
    Column("sender_name", String(USER_LENGTH)),
    Column("of", String(USER_LENGTH)),
    ForeignKeyConstraint(["room", "audience"], [streams.c.room, streams.c.audience]),
    UniqueConstraint("room", "audience", "seq"),
    # For counting what an author has.
    Index(
        None,
        "room",
        "audience",
        "author",
        sqlite_where=text(STANDS),
        postgresql_where=text(STANDS),
    ),
    # For forgetting.
    Index(None, "sent_at", sqlite_where=text(CLEARED), postgresql_where=text(CLEARED)),
)

#: The bytes of the entries in ``kept`` that stand, of each author in a stream; of all authors
#: together where ``author`` is empty. The room's own are not in it. Triggers of the database write
#: it (migration 0023), and nobody else does.
kept_sizes: Final = Table(
    "kept_sizes",
    metadata,
    Column("room", _Number, primary_key=True, autoincrement=False),
    Column("audience", _Audience, primary_key=True),
    Column("author", String(USER_LENGTH), primary_key=True),
    Column("bytes", _Number, nullable=False),
)

#: The gateways with a lease; ``expires`` is in seconds since the epoch, by the database's clock.
#: ``probe``: bytes that a gateway writes to find out whether it can. ``name``, ``hears``,
#: ``ahead``: its name on the bus, whether it hears itself there, and the seconds by which its clock
#: is ahead of the database's; NULL: it has not said.
gateways: Final = Table(
    "gateways",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("expires", Double, nullable=False),
    Column("probe", LargeBinary),
    Column("name", String(300)),
    Column("hears", Boolean),
    Column("ahead", Double),
)

#: Messages that are stored and not yet confirmed by the broker, in the order of publication. The
#: foreign key keeps every message that is still in here. ``owner`` is the gateway that publishes
#: it. It is no foreign key, because an owner without a lease counts as none, and then another
#: gateway takes the entry over.
outbox: Final = Table(
    "outbox",
    metadata,
    Column("room", _Number, primary_key=True, autoincrement=False),
    Column("audience", _Audience, primary_key=True),
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("owner", Uuid),
    # Bytes of the body; 0 if the entry is older than this column.
    Column("size", _Number, nullable=False, server_default="0"),
    ForeignKeyConstraint(
        ["room", "audience", "seq"], [messages.c.room, messages.c.audience, messages.c.seq]
    ),
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("user_id", String(USER_LENGTH), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("display_name", String(USER_LENGTH)),
)

#: Logins. ``revision``: its place in the order of endings. NULL: it goes on, or ends by its own
#: time.
sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(USER_LENGTH), nullable=False),
    Column("proof", String(16), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("revision", _Number),
    # NULL: not since the login, or the row is older than this column; so are the next ones.
    Column("last_seen", UtcDateTime),
    Column("address", String(64)),
    Column("device", String(200)),
    # The claims jti and sub of the token that was traded for the session.
    Column("token_id", String(LONGEST_VALUE)),
    Column("token_subject", String(LONGEST_VALUE)),
    Column("reason", String(LONGEST_REASON)),
    Index(None, "user_id"),
    Index(None, "until"),
    Index(None, "revision"),
    Index(None, "token_id"),
    Index(None, "token_subject"),
)

#: Whose access was ended by an order. ``revision``: as in ``sessions``.
revocations: Final = Table(
    "revocations",
    metadata,
    Column("target", String(4), primary_key=True),
    Column("value", String(LONGEST_VALUE), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("kept_out_until", UtcDateTime),
    Column("reason", String(LONGEST_REASON), nullable=False),
    Column("ordered_by", String(USER_LENGTH), nullable=False),
    Column("revision", _Number, nullable=False),
    Index(None, "until"),
    Index(None, "revision"),
)

#: Who was in which room; ``gateway`` is the one that has noted it. ``seen``: until then it is known
#: to have lasted, as every gateway notes each minute; so a stay whose gateway was killed ends, too.
#: The user need not be a member any more.
attendance: Final = Table(
    "attendance",
    metadata,
    Column("room", _Number, ForeignKey(rooms.c.id), primary_key=True, autoincrement=False),
    Column("user_id", String(USER_LENGTH), primary_key=True),
    Column("since", UtcDateTime, primary_key=True),
    Column("gateway", Uuid, primary_key=True),
    Column("role", String(11), nullable=False),
    # What was shown beside the user's name when it began.
    Column("name", String(USER_LENGTH)),
    # NULL: it lasts.
    Column("until", UtcDateTime),
    Column("seen", UtcDateTime, nullable=False),
    Index(None, "gateway", sqlite_where=text(LASTING), postgresql_where=text(LASTING)),
    Index(None, "seen"),
)

#: Orders to delete a room, or what a user has left, and what was deleted: the record of it.
#: ``revision``: as in ``sessions``, by a counter of its own.
erasures: Final = Table(
    "erasures",
    metadata,
    Column("id", _Number, Identity(), primary_key=True),
    # NULL: in all rooms. The record outlives the room.
    Column("room", _Number),
    # NULL: the room as a whole.
    Column("user_id", String(USER_LENGTH)),
    Column("ordered_by", String(USER_LENGTH), nullable=False),
    Column("reason", String(LONGEST_REASON), nullable=False),
    Column("ordered_at", UtcDateTime, nullable=False),
    # NULL: it goes on.
    Column("done_at", UtcDateTime),
    Column("rooms", _Number, nullable=False, server_default="0"),
    Column("messages", _Number, nullable=False, server_default="0"),
    Column("stays", _Number, nullable=False, server_default="0"),
    Column("revision", _Number, nullable=False),
    Index(None, "revision"),
)

#: What has happened at the gateways, for operators. A room's number may be of one that there never
#: was: somebody asked for it.
journal: Final = Table(
    "journal",
    metadata,
    # Grows with the writing; the newest and the oldest tell how many there are.
    Column("id", _Number, Identity(), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("gateway", String(100), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("code", String(100), nullable=False),
    Column("detail", String(300), nullable=False),
    Column("status", Integer),
    Column("client_status", Integer),
    Column("user_id", String(USER_LENGTH)),
    Column("ordered_by", String(USER_LENGTH)),
    Column("room", _Number),
    Column("address", String(64)),
    Column("node", String(100)),
    Column("connection", String(100)),
    Column("browser", String(200)),
    Column("since", UtcDateTime),
    Column("bytes_in", _Number),
    Column("bytes_out", _Number),
    Index(None, "at"),
    *(
        Index(None, name, "at", sqlite_where=text(there), postgresql_where=text(there))
        for name in ("user_id", "room", "address", "connection")
        for there in [f"{name} IS NOT NULL"]
    ),
    # Otherwise the number of a deleted entry may come again.
    sqlite_autoincrement=True,
)

#: Numbers that grow in the order in which transactions are committed, because the row stays locked
#: until the commit. The migrations insert the rows.
counters: Final = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", _Number, nullable=False),
)

#: The revision that a program must know to use the tables, in one row: :mod:`gateway.store.schema`.
compatibility: Final = Table(
    "compatibility", metadata, Column("oldest", String(32), nullable=False)
)


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The condition ``column IN`` the values of a parameter, which is a :func:`padded` list."""
    return column.in_(bindparam(name, expanding=True))


def padded(values: list[T]) -> list[T]:
    """As many as the next power of two, by repeating the last one.

    So a batch of any size meets one of ten statements that the driver has prepared already.
    """
    size = 1 << max(0, len(values) - 1).bit_length()
    return values + values[-1:] * (size - len(values))
