"""The bytes of the entries of the kept state that stand, of each author and of all authors.

Triggers count them, so that whatever writes entries is counted: a gateway of the version before, an
application's `interact.keep`, a deletion by request, an administrator.
https://www.sqlite.org/lang_createtrigger.html
https://www.postgresql.org/docs/current/plpgsql-trigger.html
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

#: The entry in a trigger, which is the row as it was or as it is, counts only if it is an author's
#: and stands.
_COUNTS = "{row}.author <> '' AND {row}.body <> 'null'"

_ADD = """
INSERT INTO {tables}kept_sizes (room, audience, author, bytes)
VALUES ({row}.room, {row}.audience, {row}.author, {size}({row}.body)),
       ({row}.room, {row}.audience, '', {size}({row}.body))
ON CONFLICT (room, audience, author) DO UPDATE SET bytes = kept_sizes.bytes + excluded.bytes;
"""

# A row without bytes would be a name that nobody needs any more.
_SUBTRACT = """
UPDATE {tables}kept_sizes SET bytes = bytes - {size}({row}.body)
WHERE room = {row}.room AND audience = {row}.audience AND author IN ({row}.author, '');
DELETE FROM {tables}kept_sizes
WHERE room = {row}.room AND audience = {row}.audience AND author IN ({row}.author, '')
AND bytes <= 0;
"""

_FUNCTION = """
CREATE OR REPLACE FUNCTION {tables}count_kept() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND {old_counts} THEN {subtract} END IF;
    IF TG_OP <> 'DELETE' AND {new_counts} THEN {add} END IF;
    RETURN NULL;
END $$
"""

_STANDING = """
INSERT INTO kept_sizes (room, audience, author, bytes)
SELECT room, audience, {author}, sum({size}(body)) FROM kept
WHERE author <> '' AND body <> 'null' GROUP BY {columns}
"""


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "kept_sizes",
        sa.Column("room", number, autoincrement=False, nullable=False),
        sa.Column("audience", sa.String(7), nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("bytes", number, nullable=False),
        sa.PrimaryKeyConstraint("room", "audience", "author", name="kept_sizes_pk"),
    )
    is_file = op.get_bind().dialect.name == "sqlite"
    # Bodies are in ASCII, so characters are bytes.
    size = "length" if is_file else "octet_length"
    if is_file:
        _count_in_file(size)
    else:
        _count_in_server(size)
    # What stands already, after the trigger's lock.
    of_each = {"author": "author", "columns": "room, audience, author"}
    of_all = {"author": "''", "columns": "room, audience"}
    for whose in (of_each, of_all):
        op.execute(_STANDING.format(size=size, **whose))


def _count_in_file(size: str) -> None:
    old, new = ({"row": row, "size": size, "tables": ""} for row in ("OLD", "NEW"))
    for event, does, values in (
        ("INSERT", _ADD, new),
        ("DELETE", _SUBTRACT, old),
        # Of an update, one each.
        ("UPDATE", _SUBTRACT, old),
        ("UPDATE", _ADD, new),
    ):
        name = f"kept_{event.lower()}_{values['row'].lower()}"
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON kept WHEN {_COUNTS.format(**values)}"
            f" BEGIN {does.format(**values)} END"
        )


def _count_in_server(size: str) -> None:
    # In the order in which posts lock: later migrations of the same transaction change `rooms`, and
    # a post that has locked its room would wait for `kept`, and they for the post.
    op.execute("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE")
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar()
    old, new = ({"row": row, "size": size, "tables": f"{schema}."} for row in ("OLD", "NEW"))
    op.execute(
        _FUNCTION.format(
            tables=f"{schema}.",
            old_counts=_COUNTS.format(**old),
            new_counts=_COUNTS.format(**new),
            subtract=_SUBTRACT.format(**old),
            add=_ADD.format(**new),
        )
    )
    op.execute(
        "CREATE TRIGGER count_kept AFTER INSERT OR UPDATE OR DELETE ON kept"
        " FOR EACH ROW EXECUTE FUNCTION count_kept()"
    )
