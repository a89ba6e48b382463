"""The revision that a program must know to use the tables; :mod:`gateway.store.schema` fills it."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("compatibility", sa.Column("oldest", sa.String(32), nullable=False))
