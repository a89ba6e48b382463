"""The stays of members in rooms."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "attendance",
        sa.Column("room", number, autoincrement=False, nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("gateway", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(11), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("until", moment),
        sa.Column("seen", moment, nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name="attendance_rooms_fk"),
        sa.PrimaryKeyConstraint("room", "user_id", "since", "gateway", name="attendance_pk"),
    )
    lasts = sa.text("until IS NULL")
    op.create_index(
        "attendance_gateway_ix",
        "attendance",
        ["gateway"],
        sqlite_where=lasts,
        postgresql_where=lasts,
    )
    op.create_index("attendance_seen_ix", "attendance", ["seen"])
