"""Exams in the chat: everybody sits them (`sit`), administrators make and watch them (`manage`)."""

from bot.commands.exam import sit  # isort: skip
from bot.commands.exam import manage

__all__ = ["manage", "sit"]
