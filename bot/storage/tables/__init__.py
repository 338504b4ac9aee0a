"""All tables, by noun; `metadata` is what the migrations are checked against."""

from sqlmodel import SQLModel

from bot.storage.tables.base import moment, stamp
from bot.storage.tables.desk import Audit, Inbox, PlatformToken, Tally
from bot.storage.tables.hours import CATEGORIES, DayTotal, Entry, Rule, Seal, Uncredited, YearTotal
from bot.storage.tables.people import Account, BindCode, BindGuard, Person, Post, Role, Unit
from bot.storage.tables.study import (
    Answer,
    Confirmation,
    Focus,
    Mistake,
    PageView,
    QuestionState,
    QuestionVersion,
    Reading,
    Report,
    Sitting,
    SittingItem,
)

metadata = SQLModel.metadata

__all__ = [
    "CATEGORIES",
    "Account",
    "Answer",
    "Audit",
    "BindCode",
    "BindGuard",
    "Confirmation",
    "DayTotal",
    "Entry",
    "Focus",
    "Inbox",
    "Mistake",
    "PageView",
    "Person",
    "PlatformToken",
    "Post",
    "QuestionState",
    "QuestionVersion",
    "Reading",
    "Report",
    "Role",
    "Rule",
    "Seal",
    "Sitting",
    "SittingItem",
    "Tally",
    "Uncredited",
    "Unit",
    "YearTotal",
    "metadata",
    "moment",
    "stamp",
]
