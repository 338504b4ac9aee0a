"""Lessons, daily sets, practice and the mistakes that come back."""
