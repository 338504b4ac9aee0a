"""Memory: when what was answered wrong is asked again. `cards` is one question in one person's memory, `goal` aims all of them at a day."""

from bot.domain.memory.cards import AGAIN, GOOD, HARD, Card, Grade, begun, graded, recall, reviewed, slow_after
from bot.domain.memory.goal import MINUTES, MOST_MINUTES, TARGET, Goal, Prospect, chosen, expected, needed, prospect
from bot.domain.memory.notebook import DAILY_REVIEWS, DAYS_AHEAD, RIGHTS_TO_LEAVE, Mistake, answered, due_by, near_due
from bot.domain.memory.words import read_day, read_minutes, read_target

__all__ = [
    "AGAIN",
    "DAILY_REVIEWS",
    "DAYS_AHEAD",
    "GOOD",
    "HARD",
    "MINUTES",
    "MOST_MINUTES",
    "RIGHTS_TO_LEAVE",
    "TARGET",
    "Card",
    "Goal",
    "Grade",
    "Mistake",
    "Prospect",
    "answered",
    "begun",
    "chosen",
    "due_by",
    "expected",
    "graded",
    "near_due",
    "needed",
    "prospect",
    "read_day",
    "read_minutes",
    "read_target",
    "recall",
    "reviewed",
    "slow_after",
]
