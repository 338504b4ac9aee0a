"""The one place that knows every part."""
