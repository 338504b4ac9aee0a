"""The chat's words. Importing a module registers its commands; the order here is the order of the help."""
