"""The system itself: backup and restore."""
