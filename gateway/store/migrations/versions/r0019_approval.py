"""Messages of participants that wait for a host's approval."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_WAITS = "fate = 'waiting'"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    no = sa.false()
    op.add_column("rooms", sa.Column("approve", sa.Boolean(), nullable=False, server_default=no))
    op.add_column("messages", sa.Column("place", number))
    op.create_table(
        "approvals",
        sa.Column("room", number, nullable=False, autoincrement=False),
        sa.Column("seq", number, nullable=False, autoincrement=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.String(255), nullable=False),
        sa.Column("sender_name", sa.String(255)),
        sa.Column("role", sa.String(11)),
        sa.Column("sent_at", moment, nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("fate", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", name="approvals_pk"),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name="approvals_rooms_fk"),
        sa.CheckConstraint("fate IN ('waiting', 'approved', 'refused')", name="approvals_fate_ck"),
    )
    op.create_index("approvals_room_sender_seq_ix", "approvals", ["room", "sender", "seq"])
    op.create_index(
        "approvals_room_seq_ix",
        "approvals",
        ["room", "seq"],
        sqlite_where=sa.text(_WAITS),
        postgresql_where=sa.text(_WAITS),
    )
