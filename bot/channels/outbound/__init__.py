"""The one HTTP client for the platforms: tokens, rate limits, error tables."""
