"""Exams as rows: what they ask (`exams`), who sits them (`attempts`), what extra time was given (`extra`)."""

from bot.storage.exam import attempts, exams, extra

__all__ = ["attempts", "exams", "extra"]
