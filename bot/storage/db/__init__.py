"""The database: engine, writer, statements, backup."""
