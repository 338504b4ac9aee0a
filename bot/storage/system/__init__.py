"""What carries the rest: inbox, audit, tokens, one-time links, switches."""
