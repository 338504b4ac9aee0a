"""The chat's words. Importing a module registers its commands; the order here is the order of the help."""

from bot.commands import tasks, quiz, memory, study  # isort: skip
from bot.commands import exam, contest, duel, live  # isort: skip
from bot.commands import hours, certificate, settings, flags, appeal, correction, campaign, nudge, leave, people, report, pages, help  # isort: skip

__all__ = [
    "appeal",
    "campaign",
    "certificate",
    "contest",
    "correction",
    "duel",
    "exam",
    "flags",
    "help",
    "hours",
    "leave",
    "live",
    "memory",
    "nudge",
    "pages",
    "people",
    "quiz",
    "report",
    "settings",
    "study",
    "tasks",
]
