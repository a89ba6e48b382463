"""The number of changes of a room's memberships, so that one query tells whether they have
changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("rooms", sa.Column("revision", number, nullable=False, server_default="0"))
