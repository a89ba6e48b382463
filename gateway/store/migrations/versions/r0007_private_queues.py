"""An identity for each room, a number for its private queue, and its hosts' acknowledgements."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: 16 random hexadecimal digits for each room that is older than this column.
FILL = {
    "sqlite": "UPDATE rooms SET identity = lower(hex(randomblob(8)))",
    "postgresql": "UPDATE rooms SET identity = substr("
    "md5(random()::text || clock_timestamp()::text || id::text), 1, 16)",
}


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("rooms", sa.Column("identity", sa.String(16), nullable=False, server_default=""))
    # 0: the queue was declared before queues had numbers.
    op.add_column("rooms", sa.Column("queue", number, nullable=False, server_default="0"))
    op.execute(FILL[op.get_bind().dialect.name])
    op.create_table(
        "acknowledged",
        sa.Column("room", number, autoincrement=False, nullable=False),
        sa.Column("audience", sa.String(7), nullable=False),
        sa.Column("seq", number, nullable=False),
        sa.PrimaryKeyConstraint("room", "audience", name="acknowledged_pk"),
        sa.ForeignKeyConstraint(
            ["room", "audience"],
            ["streams.room", "streams.audience"],
            name="acknowledged_streams_fk",
        ),
    )
