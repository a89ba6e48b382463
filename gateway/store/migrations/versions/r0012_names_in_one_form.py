"""User names in their one form (RFC 8265), and the names to show beside them.

What was written otherwise is kept to be shown. Names that would fall together stay as they are, and
the log names them.
"""

import sqlalchemy as sa
from alembic import op

from gateway.store import user_names

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # This reads all messages, before they are locked: the gateways of the version before go on.
    wrong = user_names.standing(op.get_bind(), user_names.FIRST_PLACES)
    op.add_column("members", sa.Column("name", sa.String(255)))
    op.add_column("messages", sa.Column("sender_name", sa.String(255)))
    op.add_column("accounts", sa.Column("display_name", sa.String(255)))
    user_names.bring_into_form(op.get_bind(), wrong, user_names.FIRST_PLACES)
