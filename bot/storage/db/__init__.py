"""The database: engine, reads and batched writes, raw statements, backup."""
