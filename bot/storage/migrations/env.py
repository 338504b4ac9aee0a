"""Alembic's environment: uses the engine that bot/storage/migrations/migrate.py hands over, one transaction for each migration."""

from alembic import context

from bot.storage.tables.schema import metadata

engine = context.config.attributes["engine"]

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        render_as_batch=engine.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
