"""Work that is due on a room's private queue, so that the end of a gateway does not forget it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rooms", sa.Column("queue_due", sa.String(8)))
    due = sa.text("queue_due IS NOT NULL")
    op.create_index(
        "rooms_queue_due_ix", "rooms", ["queue_due"], sqlite_where=due, postgresql_where=due
    )
