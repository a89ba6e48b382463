"""A row for each login, so that any gateway can end it; a counter for the order of the endings."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("proof", sa.String(16), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("revision", number),
        sa.PrimaryKeyConstraint("id", name="sessions_pk"),
    )
    op.create_index("sessions_user_id_ix", "sessions", ["user_id"])
    op.create_index("sessions_until_ix", "sessions", ["until"])
    op.create_index("sessions_revision_ix", "sessions", ["revision"])
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", number, nullable=False),
        sa.PrimaryKeyConstraint("name", name="counters_pk"),
    )
    op.bulk_insert(counters, [{"name": "session endings", "value": 0}])
