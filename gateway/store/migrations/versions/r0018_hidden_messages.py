"""Messages that a host has hidden."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    no = sa.false()
    op.add_column("messages", sa.Column("hidden", sa.Boolean(), nullable=False, server_default=no))
