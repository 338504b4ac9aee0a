"""All tables, by noun; `metadata` is what the migrations are checked against."""

from sqlmodel import SQLModel

from bot.storage.tables.base import moment, stamp
from bot.storage.tables.campaign import Absence, Budget, Campaign, Delivery, Duty, Occurrence, Planned, Preference, Switch, Tag, Vote
from bot.storage.tables.certificate import Certificate
from bot.storage.tables.contest import Contest, ContestItem, ContestSet, Duel, DuelPlayer, Participation, Team, TeamMember
from bot.storage.tables.desk import Audit, Inbox, PlatformToken, Tally
from bot.storage.tables.exam import Attempt, Exam, Extension
from bot.storage.tables.hours import CATEGORIES, DayTotal, Entry, Rule, Seal, Uncredited, YearTotal
from bot.storage.tables.links import Link, Visit
from bot.storage.tables.live import Live, LiveBuzz, LiveCall, LiveDecision, LiveItem
from bot.storage.tables.marking import Appeal, Correction, OutsideExam, OutsideResult, Remark, Ripple
from bot.storage.tables.memory import ExamGoal, NotebookCard
from bot.storage.tables.people import Account, BindCode, BindGuard, Person, Post, Role, Unit
from bot.storage.tables.study import (
    Answer,
    Confirmation,
    Focus,
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
    "Absence",
    "Account",
    "Answer",
    "Appeal",
    "Attempt",
    "Audit",
    "BindCode",
    "BindGuard",
    "Budget",
    "Campaign",
    "Certificate",
    "Confirmation",
    "Contest",
    "ContestItem",
    "ContestSet",
    "Correction",
    "DayTotal",
    "Delivery",
    "Duel",
    "DuelPlayer",
    "Duty",
    "Entry",
    "Exam",
    "ExamGoal",
    "Extension",
    "Focus",
    "Inbox",
    "Link",
    "Live",
    "LiveBuzz",
    "LiveCall",
    "LiveDecision",
    "LiveItem",
    "Mistake",
    "NotebookCard",
    "Occurrence",
    "OutsideExam",
    "OutsideResult",
    "PageView",
    "Participation",
    "Person",
    "Planned",
    "PlatformToken",
    "Post",
    "Preference",
    "QuestionState",
    "QuestionVersion",
    "Reading",
    "Remark",
    "Report",
    "Ripple",
    "Role",
    "Rule",
    "Seal",
    "Sitting",
    "SittingItem",
    "Switch",
    "Tag",
    "Tally",
    "Team",
    "TeamMember",
    "Uncredited",
    "Unit",
    "Visit",
    "Vote",
    "YearTotal",
    "metadata",
    "moment",
    "stamp",
]
