"""Run by Alembic on every upgrade, with the connection that :mod:`gateway.store.schema` gives."""

from alembic import context

from gateway.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
