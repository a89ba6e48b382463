"""The gateways' entries about themselves: their names on the bus, whether they hear it, and their
clocks."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gateways", sa.Column("name", sa.String(300)))
    op.add_column("gateways", sa.Column("hears", sa.Boolean()))
    op.add_column("gateways", sa.Column("ahead", sa.Double()))
