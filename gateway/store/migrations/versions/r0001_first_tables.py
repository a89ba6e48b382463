"""Rooms, members, streams, messages, outbox, accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "rooms",
        sa.Column("id", _NUMBER, sa.Identity(), nullable=False),
        sa.Column("title", sa.String(1000), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("closed_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="rooms_pk"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "members",
        sa.Column("room", _NUMBER, nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("role", sa.String(11), nullable=False),
        sa.PrimaryKeyConstraint("room", "user_id", name="members_pk"),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name="members_rooms_fk"),
        sa.CheckConstraint("role IN ('host', 'participant')", name=op.f("members_role_ck")),
    )
    op.create_index("members_user_id_room_ix", "members", ["user_id", "room"])
    op.create_table(
        "streams",
        sa.Column("room", _NUMBER, nullable=False),
        sa.Column("audience", sa.String(7), nullable=False),
        sa.Column("head", _NUMBER, nullable=False),
        sa.Column("first", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("room", "audience", name="streams_pk"),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name="streams_rooms_fk"),
        sa.CheckConstraint("audience IN ('public', 'private')", name=op.f("streams_audience_ck")),
        sa.CheckConstraint(
            "head >= 0 AND first BETWEEN 1 AND head + 1", name=op.f("streams_range_ck")
        ),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room", _NUMBER, nullable=False),
        sa.Column("audience", sa.String(7), nullable=False),
        sa.Column("seq", _NUMBER, nullable=False),
        sa.Column("sender", sa.String(255), nullable=False),
        sa.Column("sent_at", _TIME, nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="messages_pk"),
        sa.UniqueConstraint("room", "audience", "seq", name="messages_room_audience_seq_uq"),
        sa.ForeignKeyConstraint(
            ["room", "audience"], ["streams.room", "streams.audience"], name="messages_streams_fk"
        ),
    )
    op.create_index(
        "messages_room_audience_sender_seq_ix", "messages", ["room", "audience", "sender", "seq"]
    )
    op.create_table(
        "outbox",
        sa.Column("room", _NUMBER, nullable=False),
        sa.Column("audience", sa.String(7), nullable=False),
        sa.Column("seq", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("room", "audience", "seq", name="outbox_pk"),
        sa.ForeignKeyConstraint(
            ["room", "audience", "seq"],
            ["messages.room", "messages.audience", "messages.seq"],
            name="outbox_messages_fk",
        ),
    )
    op.create_table(
        "accounts",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="accounts_pk"),
    )
