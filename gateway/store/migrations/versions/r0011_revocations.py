"""The origin and last use of each login; the list of those whose access was ended."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.add_column("sessions", sa.Column("last_seen", moment))
    op.add_column("sessions", sa.Column("address", sa.String(64)))
    op.add_column("sessions", sa.Column("device", sa.String(200)))
    op.add_column("sessions", sa.Column("token_id", sa.String(255)))
    op.add_column("sessions", sa.Column("token_subject", sa.String(255)))
    op.add_column("sessions", sa.Column("reason", sa.String(200)))
    op.create_index("sessions_token_id_ix", "sessions", ["token_id"])
    op.create_index("sessions_token_subject_ix", "sessions", ["token_subject"])
    op.create_table(
        "revocations",
        sa.Column("target", sa.String(4), nullable=False),
        sa.Column("value", sa.String(255), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.Column("kept_out_until", moment),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("ordered_by", sa.String(255), nullable=False),
        sa.Column("revision", number, nullable=False),
        sa.PrimaryKeyConstraint("target", "value", name="revocations_pk"),
    )
    op.create_index("revocations_until_ix", "revocations", ["until"])
    op.create_index("revocations_revision_ix", "revocations", ["revision"])
