"""Class codes, and who knocks at the door or was turned away."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "class_codes",
        sa.Column("room", number, nullable=False, autoincrement=False),
        sa.Column("code", sa.String(6), nullable=False),
        sa.Column("guests", sa.String(5), nullable=False),
        sa.Column("made_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("room", name="class_codes_pk"),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name="class_codes_rooms_fk"),
        sa.UniqueConstraint("code", name="class_codes_code_uq"),
        sa.CheckConstraint("guests IN ('no', 'knock', 'yes')", name="class_codes_guests_ck"),
    )
    op.create_table(
        "knocks",
        sa.Column("number", number, sa.Identity(), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("room", number, nullable=False),
        sa.Column("nickname", sa.String(100), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("number", name="knocks_pk"),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name="knocks_rooms_fk"),
        sa.UniqueConstraint("id", name="knocks_id_uq"),
        sa.CheckConstraint("state IN ('waiting', 'admitted', 'refused')", name="knocks_state_ck"),
    )
    op.create_index("knocks_room_ix", "knocks", ["room"])
    op.create_table(
        "turned_away",
        sa.Column("room", number, nullable=False, autoincrement=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("room", "user_id", name="turned_away_pk"),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name="turned_away_rooms_fk"),
    )
