"""Rows and files: statements, tables, migrations, what people bring as files."""
