"""Files that people bring or that ship: strict YAML, tables, banks, lessons, policies."""
