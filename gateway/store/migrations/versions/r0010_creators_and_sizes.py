"""The creator of each room and the size of each message in the outbox, for their limits.

Older rooms have no creator, and count among all rooms only; older messages in the outbox have no
size.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("rooms", sa.Column("created_by", sa.String(255)))
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "rooms_created_by_ix",
        "rooms",
        ["created_by"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.add_column("outbox", sa.Column("size", number, nullable=False, server_default="0"))
    # Rooms are created one after the other, so that their limits are exact: each creation locks
    # this row.
    counters = sa.table("counters", sa.column("name"), sa.column("value"))
    op.bulk_insert(counters, [{"name": "rooms created", "value": 0}])
