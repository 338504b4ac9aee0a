"""Exams, from the draft to the result.

Made and published (`plan`), begun (`sit`), looked at (`view`), answered (`answering`), ended and told (`finish`), lengthened by two people
(`extra`), their keys kept (`secrecy`). Others build on these: the page on `begin`, `paper_of`, `answer`, `hand_in`, `status`; whatever follows
from a result hangs itself on `ON_CLOSED` or `ON_TOLD`; whoever changes a mark calls `settle` for each attempt.
"""

from bot.services.exam import finish, pools, secrecy
from bot.services.exam.answering import Recorded, answer, hand_in, move
from bot.services.exam.extra import approve, ask, asked_of
from bot.services.exam.finish import ON_CLOSED, ON_TOLD, Closed, close_due, settle
from bot.services.exam.plan import (
    RULES,
    Progress,
    Seen,
    Wanted,
    best,
    cancel,
    checked,
    close,
    create,
    listed,
    look,
    makeup,
    own,
    progress,
    publish,
    release,
)
from bot.services.exam.pools import prepare_ahead
from bot.services.exam.secrecy import hidden, keeps_back, sits
from bot.services.exam.sit import Begun, begin, hindrance, resume, visible
from bot.services.exam.view import Shown, Status, item_of, over, paper_of, status, time_left

__all__ = [
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
    "hidden",
    "hindrance",
    "item_of",
    "keeps_back",
    "listed",
    "look",
    "makeup",
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
    "secrecy",
    "settle",
    "sits",
    "status",
    "time_left",
    "visible",
]
