"""The kinds of tasks a person can have in hand, and how each handles typed and tapped answers; every caller looks a kind up here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bot.commands.router import Context
from bot.domain.message import Reply

_CARD_CODE = re.compile(r"([a-z])(\d{1,9})\.(\d{1,4})")


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of task. A card names the row in hand (a reading, a sitting) and the page or place that it was made for.

    `handle_typed` answers a text that is no command (None when it is no answer either), `handle_tap` a tap on a card that may be old or somebody
    else's. `resume` shows again where the person stands; `turn` answers 下一页, `skip` 跳过, `leave` 退出. `awaits_text` is true while the answer
    is written in words, so that a text is not taken for a command too easily.
    """

    kind: str
    letter: str
    handle_typed: Callable[[Context, int, str], Reply | None]
    handle_tap: Callable[[Context, int, int, str], Reply]
    resume: Callable[[Context, int], Reply]
    turn: Callable[[Context, int], Reply]
    skip: Callable[[Context, int], Reply]
    leave: Callable[[Context, int], Reply]
    awaits_text: Callable[[Context, int], bool]


TASKS: dict[str, TaskKind] = {}
"""By what `focus` calls them (bot/domain/study/sitting.py)."""
TASKS_BY_LETTER: dict[str, TaskKind] = {}
"""By the letter with which a card names them: s12.3."""


def register(task: TaskKind) -> TaskKind:
    if task.kind in TASKS or task.letter in TASKS_BY_LETTER:
        raise ValueError(f"{task.kind} or {task.letter} is taken")
    TASKS[task.kind] = TASKS_BY_LETTER[task.letter] = task
    return task


def parse_card_code(card_task: str) -> tuple[TaskKind, int, int] | None:
    """The task, the row and the place that a card names; None for what no card of ours says."""
    match = _CARD_CODE.fullmatch(card_task)
    if match is None or match[1] not in TASKS_BY_LETTER:
        return None
    return TASKS_BY_LETTER[match[1]], int(match[2]), int(match[3])


def card_code(kind: str, row_id: int, number: int) -> str:
    """What a card of a task says, so that a tap on it is known for what it is."""
    return f"{TASKS[kind].letter}{row_id}.{number}"
