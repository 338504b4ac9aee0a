"""Files that ship with the service or that administrators bring: strict YAML, tables, banks, lessons, policies."""
