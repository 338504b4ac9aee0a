"""Exams as rows: what they ask (`exams`), who sits them (`attempts`), what extra time was given (`extra`), what came of it (`results`)."""

from bot.storage.exam import attempts, exams, extra, results

__all__ = ["attempts", "exams", "extra", "results"]
