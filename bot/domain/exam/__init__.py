"""Exams as values: what is asked, how a paper is drawn, the rules of time and result."""
