"""An index of what hosts have decided about, by the time at which it was said: for forgetting."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    decided = sa.text("fate <> 'waiting'")
    op.create_index(
        "approvals_sent_at_ix",
        "approvals",
        ["sent_at"],
        sqlite_where=decided,
        postgresql_where=decided,
    )
