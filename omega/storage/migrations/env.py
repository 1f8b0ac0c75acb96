"""Alembic's entry: works on the connection that `omega.storage.migrations.run` hands over. Loaded by Alembic."""

from alembic import context

from omega.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
