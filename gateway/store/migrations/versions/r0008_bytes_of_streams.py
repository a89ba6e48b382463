"""The bytes of the bodies that each stream keeps, for the quota of its room.

What was stored before counts as nothing: adding it up would read every body.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("streams", sa.Column("bytes", number, nullable=False, server_default="0"))
