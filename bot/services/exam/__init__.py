"""Exams, from the draft to the result.

Made and published (`plan`), begun (`sit`), looked at (`view`), answered (`answering`), ended and told (`finish`), lengthened by two people
(`extra`); their keys are kept by services/secrecy.py. Others build on these: the page on `begin`, `paper_of`, `answer`, `hand_in`, `status`;
whatever follows from a result hangs itself on `ON_CLOSED`, `ON_TOLD` or `ON_CANCELLED`; whoever changes a mark calls `settle` for each attempt.
"""

from bot.domain.exam import Wanted, best
from bot.services.exam import finish, pools
from bot.services.exam.answering import Recorded, answer, hand_in, move
from bot.services.exam.extra import approve, ask, asked_of
from bot.services.exam.finish import ON_CANCELLED, ON_CLOSED, ON_TOLD, Closed, close_due, settle
from bot.services.exam.plan import (
    RULES,
    Progress,
    Seen,
    cancel,
    checked,
    close,
    create,
    listed,
    makeup,
    own,
    progress,
    publish,
    release,
    seen,
)
from bot.services.exam.pools import may_hold, prepare_ahead
from bot.services.exam.sit import Begun, begin, hindrance, resume, visible
from bot.services.exam.view import Shown, Status, item_of, over, paper_of, status, time_left

__all__ = [
    "ON_CANCELLED",
    "ON_CLOSED",
    "ON_TOLD",
    "RULES",
    "Begun",
    "Closed",
    "Progress",
    "Recorded",
    "Seen",
    "Shown",
    "Status",
    "Wanted",
    "answer",
    "approve",
    "ask",
    "asked_of",
    "begin",
    "best",
    "cancel",
    "checked",
    "close",
    "close_due",
    "create",
    "finish",
    "hand_in",
    "hindrance",
    "item_of",
    "listed",
    "makeup",
    "may_hold",
    "move",
    "over",
    "own",
    "paper_of",
    "pools",
    "prepare_ahead",
    "progress",
    "publish",
    "release",
    "resume",
    "seen",
    "settle",
    "status",
    "time_left",
    "visible",
]
