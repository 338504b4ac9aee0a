"""Reports and exports read from the database."""
