"""Rows of exams, attempts and extra time."""
