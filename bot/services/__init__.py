"""Use cases: rules and rows, in the caller's transaction."""
