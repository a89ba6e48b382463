"""Orders to delete a room, or what a user has left, and the record of them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    none = sa.text("0")
    op.create_table(
        "erasures",
        sa.Column("id", number, sa.Identity(), nullable=False),
        sa.Column("room", number),
        sa.Column("user_id", sa.String(255)),
        sa.Column("ordered_by", sa.String(255), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("ordered_at", moment, nullable=False),
        sa.Column("done_at", moment),
        sa.Column("rooms", number, nullable=False, server_default=none),
        sa.Column("messages", number, nullable=False, server_default=none),
        sa.Column("stays", number, nullable=False, server_default=none),
        sa.Column("revision", number, nullable=False),
        sa.PrimaryKeyConstraint("id", name="erasures_pk"),
    )
    op.create_index("erasures_revision_ix", "erasures", ["revision"])
    counters = sa.table("counters", sa.column("name"), sa.column("value"))
    op.bulk_insert(counters, [{"name": "erasures", "value": 0}])
