"""Ages of rooms: their messages are deleted at these, if the configuration keeps them longer."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rooms", sa.Column("keep_days", sa.Integer()))
