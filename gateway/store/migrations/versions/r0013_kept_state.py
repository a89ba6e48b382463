"""The rooms' kept state: the keys of messages, and the newest message of each key."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("messages", sa.Column("keep", sa.String(150)))
    op.add_column("messages", sa.Column("of", sa.String(255)))
    op.add_column(
        "streams", sa.Column("forgotten", number, nullable=False, server_default=sa.text("0"))
    )
    op.create_table(
        "kept",
        sa.Column("room", number, autoincrement=False, nullable=False),
        sa.Column("audience", sa.String(7), nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("keep", sa.String(150), nullable=False),
        sa.Column("seq", number, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.String(255), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("role", sa.String(11)),
        sa.Column("sender_name", sa.String(255)),
        sa.Column("of", sa.String(255)),
        sa.PrimaryKeyConstraint("room", "audience", "author", "keep", name="kept_pk"),
        sa.ForeignKeyConstraint(
            ["room", "audience"], ["streams.room", "streams.audience"], name="kept_streams_fk"
        ),
        sa.UniqueConstraint("room", "audience", "seq", name="kept_room_audience_seq_uq"),
    )
    stands = sa.text("body <> 'null'")
    op.create_index(
        "kept_room_audience_author_ix",
        "kept",
        ["room", "audience", "author"],
        sqlite_where=stands,
        postgresql_where=stands,
    )
    cleared = sa.text("body = 'null'")
    op.create_index(
        "kept_sent_at_ix", "kept", ["sent_at"], sqlite_where=cleared, postgresql_where=cleared
    )
