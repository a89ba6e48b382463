"""The schema's migrations, applied by Alembic (without its command line) when a gateway starts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.errors import StoreUnavailable

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Apply the missing migrations, in the caller's transaction: all of them or none.

    Raises :class:`StoreUnavailable` for a database that a newer gateway has migrated.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if unknown := set(MigrationContext.configure(connection).get_current_heads()) - known:
        raise StoreUnavailable(
            f"the database is at revision {', '.join(sorted(unknown))}, which this version of the"
            " gateway does not know: a newer one has used it. Install that version, or restore a"
            " backup from before"
        )
    command.upgrade(config, "head")
