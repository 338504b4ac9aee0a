"""The platforms: what they say to us and how they are spoken to."""
