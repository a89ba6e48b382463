"""The journal: what has happened at the gateways, for operators."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "journal",
        sa.Column("id", number, sa.Identity(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("gateway", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("code", sa.String(100), nullable=False),
        sa.Column("detail", sa.String(300), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("client_status", sa.Integer()),
        sa.Column("user_id", sa.String(255)),
        sa.Column("ordered_by", sa.String(255)),
        sa.Column("room", number),
        sa.Column("address", sa.String(64)),
        sa.Column("node", sa.String(100)),
        sa.Column("connection", sa.String(100)),
        sa.Column("browser", sa.String(200)),
        sa.Column("since", moment),
        sa.Column("bytes_in", number),
        sa.Column("bytes_out", number),
        sa.PrimaryKeyConstraint("id", name="journal_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_at_ix", "journal", ["at"])
    for column in ("user_id", "room", "address", "connection"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"journal_{column}_at_ix",
            "journal",
            [column, "at"],
            sqlite_where=there,
            postgresql_where=there,
        )
