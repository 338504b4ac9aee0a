"""The HTTP client for the platforms: tokens, pauses after limits, error tables."""
