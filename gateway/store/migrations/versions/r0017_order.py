"""Order in rooms: who is muted, whether participants may speak, and how often."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    no = sa.false()
    op.add_column("rooms", sa.Column("chat_off", sa.Boolean(), nullable=False, server_default=no))
    op.add_column("rooms", sa.Column("slow", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("members", sa.Column("muted", sa.Boolean(), nullable=False, server_default=no))
