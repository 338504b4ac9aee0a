"""The kinds of tasks a person can have in hand, and how each handles typed and tapped answers; every caller looks a kind up here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from bot.commands.router import Context
from bot.domain.message import Incoming, Reply
from bot.services.library.catalog import Catalog
from bot.storage.study import current_task

_CARD_CODE = re.compile(r"([a-z])(\d{1,9})\.(\d{1,4})")


@dataclass(slots=True)
class HeardAnswer:
    """A message that may answer what its sender has in hand: the row of that, and the row and place that a tapped card names (None: typed)."""

    incoming: Incoming
    person_id: int
    row_id: int
    card_row: int | None
    number: int | None

    @property
    def text(self) -> str:
        return self.incoming.text


AnswerTogether = Callable[[Session, Catalog, Sequence[HeardAnswer]], Sequence[Reply | None]]
"""Answers of a batch at once, each of another person: gathered, decided and kept together. None for what is left to `handle_typed` or
`handle_tap`: whatever is no plain answer, and whatever else follows from it than the next question."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of task. A card names the row in hand (a reading, a sitting) and the page or place that it was made for.

    `handle_typed` answers a text that is no command (None when it is no answer either), `handle_tap` a tap on a card that may be old or somebody
    else's. `resume` shows again where the person stands; `turn` answers 下一页, `skip` 跳过, `leave` 退出. `awaits_text` is true while the answer
    is written in words, so that a text is not taken for a command too easily. `answer_together` takes the plain answers of a batch at once;
    `cards_name_hand` says that a card's row is the one in hand (a live contest's card names the contest, for everybody).
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
    answer_together: AnswerTogether | None = None
    cards_name_hand: bool = True


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


def answer_together(session: Session, catalog: Catalog, messages: Sequence[Incoming]) -> list[tuple[int, Reply] | None]:
    """Answer what can be answered of a batch at once: (person, reply) by message, None for what has to be heard by itself.

    A message belongs here when it is no command, nobody heard it before, and it answers what its sender has in hand.
    """
    answered: list[tuple[int, Reply] | None] = [None] * len(messages)
    heard: dict[AnswerTogether, list[tuple[int, HeardAnswer]]] = {}
    for k, (incoming, hand) in enumerate(zip(messages, current_task.in_hand(session, messages), strict=True)):
        if hand is None:
            continue
        together = TASKS[hand.kind].answer_together
        card_row = number = None
        if incoming.task:
            on_card = parse_card_code(incoming.task)
            if on_card is None:
                continue
            card_task, card_row, number = on_card
            if card_task.kind != hand.kind or (card_task.cards_name_hand and card_row != hand.ref):
                continue
        if together is not None:
            heard.setdefault(together, []).append((k, HeardAnswer(incoming, hand.person_id, hand.ref, card_row, number)))
    for together, answers in heard.items():
        replies = together(session, catalog, [answer for _, answer in answers])
        for (k, answer), reply in zip(answers, replies, strict=True):
            if reply is not None:
                answered[k] = (answer.person_id, reply)
    return answered
