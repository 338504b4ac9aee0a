"""Rows of live contests: where each stands, who answered and pressed, what was decided and called out."""
