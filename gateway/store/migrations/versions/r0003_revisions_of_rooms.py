"""How often a room's memberships have changed, so that one look tells whether they have."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("rooms", sa.Column("revision", number, nullable=False, server_default="0"))
