"""Exams: drafting, taking, closing, results, extra time and mock exams."""
