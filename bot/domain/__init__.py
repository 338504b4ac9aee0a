"""Values and pure functions: no database, no clock, no network."""
