"""Bytes that a gateway writes to find out whether the database can be written."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gateways", sa.Column("probe", sa.LargeBinary()))
