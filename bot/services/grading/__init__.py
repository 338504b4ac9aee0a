"""Grades of answers: short answers, appeals, corrections, results from elsewhere, statistics."""
