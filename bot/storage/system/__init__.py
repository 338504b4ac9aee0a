"""Rows of the system itself: inbox, audit log, platform tokens, one-time links, switches."""
