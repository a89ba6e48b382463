"""The sender's role in the room at the time of sending, and an index for a sync of certain
types."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("role", sa.String(11)))
    not_said = sa.text("type <> 'message'")
    op.create_index(
        "messages_room_audience_type_seq_ix",
        "messages",
        ["room", "audience", "type", "seq"],
        sqlite_where=not_said,
        postgresql_where=not_said,
    )
