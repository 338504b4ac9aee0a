"""Questions put and answered: the daily set, practice, the notebook, the challenge; each answer recorded once, marked and credited.

An answer is written down as it was heard, with its mark, by the clock of the server: the same for practice, exams and contests.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from bot.domain.library.question import Grade, Question
from bot.domain.message import Incoming, Refusal
from bot.domain.study.sitting import FORMS
from bot.domain.text import segmentation
from bot.domain.times import day_of
from bot.services.hours import credit
from bot.services.hours.credit import EarnedCredit
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.services.study import current_task, mistakes
from bot.services.study.mistakes import NotebookMove, NotebookStanding
from bot.storage.study import readings, sittings
from bot.storage.study.sittings import OpenSitting, Score, SittingItem
from bot.storage.tables.columns import stamp


class AnswerPlace(Protocol):
    """A place of a sitting: which question, in which version."""

    @property
    def n(self) -> int: ...
    @property
    def question(self) -> str: ...
    @property
    def version_id(self) -> int: ...


def write_down(
    session: Session, person_id: int, sitting_id: int, place: AnswerPlace, choice: str, mark: Grade, incoming: Incoming, now: datetime
) -> tuple[int, bool]:
    """What `bot/storage/study/sittings.py:record` gives. `choice` in the letters of the file; who is not quite right earns less than the whole."""
    return sittings.record(
        session,
        person_id=person_id,
        sitting_id=sitting_id,
        n=place.n,
        question=place.question,
        version_id=place.version_id,
        choice=choice,
        correct=int(mark.correct),
        earned=1000 if mark.correct else min(999, round(mark.earned * 1000)),
        provisional=int(mark.provisional),
        channel=incoming.sender.channel,
        message_id=incoming.message_id,
        arrived_at=stamp(incoming.arrived),
        recorded_at=stamp(now),
    )


DAILY_SIZE = 5
REVIEWS_IN_DAILY = 2
"""So many of the five may come from the notebook."""
ROUND_SIZE = 10
REVIEW_SIZE = 20
"""Reviews that are put in one round; who gives many minutes to a day goes on with the next."""
CHALLENGE_SIZE = 100
TAPPED = ("single", "multiple", "judge")
READ_BY_WORDS = ("short",)


@dataclass(frozen=True, slots=True)
class QuestionPut:
    """A question put to a person: where it stands, in which version, the name of what had to be put down for it, and what follows where that is
    known already."""

    sitting: OpenSitting
    item: SittingItem
    question: Question
    put_down: str = ""
    ahead: SittingItem | None = None


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """What an answer came to, what it earned, how the notebook moved, and what comes next (nothing when the sitting is done)."""

    answer_id: int
    question: Question
    choice: str
    mark: Grade
    sitting: OpenSitting
    earned: EarnedCredit | None
    moved: NotebookMove | None
    following: QuestionPut | None
    score: Score | None
    kept_back: str = ""
    """Why right and wrong are not told yet; empty when they are."""


Gate = Callable[[Session, OpenSitting, Incoming, datetime], None]
GATES: dict[str, Gate] = {}
"""What stands before an answer in a kind of sitting: raises `Refusal` where it must not count any more."""


def draw(pool: Sequence[str], known: dict[str, int], size: int, rng: random.Random) -> list[str]:
    """`size` questions of a pool: those never answered first, in random order, then those answered longest ago."""
    new = [name for name in pool if name not in known]
    rng.shuffle(new)
    old = sorted((name for name in pool if name in known), key=lambda name: known[name])
    return (new + old)[:size]


def open_set(
    session: Session,
    catalog: Catalog,
    person_id: int,
    kind: str,
    scope: str,
    names: Iterable[str],
    now: datetime,
    worth: Mapping[str, int] | None = None,
) -> QuestionPut:
    """A new sitting of a kind, taken in hand; its first question. `worth` is what each counts, in thousandths of a point."""
    form = FORMS[kind]
    put_down = current_task.make_way(session, catalog, person_id, now, form.claim)
    key_visibility.require_not_at_exam(session, person_id, now)
    sitting_id = sittings.open_sitting(session, person_id, kind, scope, [(name, catalog.drawn[name]) for name in names], now, worth)
    readings.set_focus(session, person_id, form.task, sitting_id, now)
    return replace(put(session, catalog, sitting_id), put_down=put_down)


def put(session: Session, catalog: Catalog, sitting_id: int) -> QuestionPut:
    """The question in hand of an open sitting."""
    found = sittings.in_hand(session, sitting_id)
    if found is None:
        raise Refusal("这一组题已经做完了。")
    sitting, item, ahead = found
    return QuestionPut(sitting, item, catalog.question(session, item.version_id), ahead=ahead)


def _drawable(session: Session, catalog: Catalog, person_id: int, names: Iterable[str]) -> list[str]:
    """What may be put to somebody now: not the items of an exam of theirs that is not over (bot/services/library/key_visibility.py)."""
    hidden = key_visibility.hidden_questions(session, person_id)
    return [name for name in names if name in catalog.drawn and name not in hidden]


def _tapped(session: Session, catalog: Catalog, person_id: int) -> list[str]:
    """What can be drawn and is answered by a tap. Raises `Refusal` when there is nothing."""
    pool = _drawable(session, catalog, person_id, (name for name, question in catalog.library.questions.items() if question.kind in TAPPED))
    if not pool:
        raise Refusal("题库里还没有可用的题，请联系管理员。")
    return pool


def daily(session: Session, catalog: Catalog, person_id: int, now: datetime, rng: random.Random) -> QuestionPut | Score:
    """Today's five, each answered by a tap: the same set all day, taken up where it was left; its score when it is done."""
    day = day_of(now).isoformat()
    had = sittings.last_sitting(session, person_id, "daily", day)
    if had is not None and had.state == "done":
        return sittings.score(session, had.id)
    if had is not None and had.state == "open":
        return resume(session, catalog, person_id, had.id, now)
    for ref, kind, scope, _, _ in readings.open_sittings(session, person_id):
        # A message of the last second before midnight may be heard after one of the first: it closes nothing that is of a later day.
        if kind == "daily" and scope < day:
            # An unfinished set of an earlier day does not come back: its answers stand, its questions will be drawn again.
            sittings.close_sitting(session, ref, "left", now)
    pool = _tapped(session, catalog, person_id)
    back = mistakes.with_daily(session, person_id, mistakes.entries(session, person_id, set(pool)), now, REVIEWS_IN_DAILY)
    names = back + draw([name for name in pool if name not in back], sittings.known_questions(session, person_id), DAILY_SIZE - len(back), rng)
    rng.shuffle(names)
    return open_set(session, catalog, person_id, "daily", day, names, now)


def _named(session: Session, catalog: Catalog, person_id: int, name: str) -> list[str]:
    """The questions that can be drawn: of a law, law set or bank, or all without a name."""
    if not name:
        return _drawable(session, catalog, person_id, catalog.library.questions)
    found = catalog.library.questions_of(name)
    if found is None:
        raise Refusal(no_such_law(catalog, name))
    return _drawable(session, catalog, person_id, (question.id for question in found))


def practice(session: Session, catalog: Catalog, person_id: int, name: str, now: datetime, rng: random.Random) -> QuestionPut:
    """A round of ten by law, law set or bank, or at random without a name."""
    pool = _named(session, catalog, person_id, name)
    if not pool:
        raise Refusal(f"「{name}」还没有可用的题。")
    names = draw(pool, sittings.known_questions(session, person_id), ROUND_SIZE, rng)
    scope = f"{name or '随机'}@{stamp(now)}"
    return open_set(session, catalog, person_id, "practice", scope, names, now)


def no_such_law(catalog: Catalog, name: str) -> str:
    """What to say to a name that has no questions: the right name of a misnomer, or the names there are."""
    meant = catalog.library.misnomer(name)
    if meant is not None:
        return f"没有「{name}」这部法，正确名称是《{meant.title}》，请发「练习 {meant.short}」。"
    near = difflib.get_close_matches(name, catalog.library.names, n=1)
    if near:
        return f"没有「{name}」的题。您是想发「练习 {near[0]}」吗？"
    return f"没有「{name}」的题。现在可以练：{'、'.join(catalog.library.names)}。"


def drill(session: Session, catalog: Catalog, person_id: int, name: str, now: datetime, rng: random.Random) -> QuestionPut | None:
    """A round of ten over what stands in the notebook (of one law), due or not, as often as one likes; None when nothing does."""
    kept = mistakes.entries(session, person_id, set(_named(session, catalog, person_id, name)))
    names = [one.question for one in kept if one.listed]
    if not names:
        return None
    rng.shuffle(names)
    return open_set(session, catalog, person_id, "practice", f"错题{name}@{stamp(now)}", names[:ROUND_SIZE], now)


def redo(
    session: Session, catalog: Catalog, person_id: int, name: str, now: datetime, rng: random.Random
) -> tuple[QuestionPut | None, NotebookStanding]:
    """A round over what the notebook (of a law) asks today, and how it stands; no round when nothing is due or today's reviews are done."""
    kept = mistakes.entries(session, person_id, set(_named(session, catalog, person_id, name)))
    at = mistakes.standing(session, person_id, kept, now, whole=not name)
    names = mistakes.due_today(kept, at, now)[:REVIEW_SIZE]
    if not names:
        return None, at
    rng.shuffle(names)
    return open_set(session, catalog, person_id, "mistakes", f"{name}@{stamp(now)}", names, now), at


def challenge(session: Session, catalog: Catalog, person_id: int, now: datetime, rng: random.Random) -> QuestionPut:
    """A run until the first mistake, over a hundred questions at most, none of them twice (bot/docs/rules.md S08)."""
    pool = _tapped(session, catalog, person_id)
    return open_set(session, catalog, person_id, "challenge", stamp(now), rng.sample(pool, min(CHALLENGE_SIZE, len(pool))), now)


def closing(session: Session, catalog: Catalog, person_id: int, reading_id: int, names: Sequence[str], now: datetime) -> QuestionPut:
    """The closing questions of a lesson."""
    # The lesson is not put down by its own questions.
    return replace(open_set(session, catalog, person_id, "lesson", str(reading_id), names, now), put_down="")


def resume(session: Session, catalog: Catalog, person_id: int, sitting_id: int, now: datetime) -> QuestionPut:
    """Take a sitting up again where it was left."""
    at = put(session, catalog, sitting_id)
    form = FORMS[at.sitting.kind]
    return replace(at, put_down=current_task.take(session, catalog, person_id, form.task, sitting_id, form.claim, now))


def answer(session: Session, catalog: Catalog, person_id: int, at: QuestionPut, choice: str, incoming: Incoming, now: datetime) -> AnswerOutcome:
    """Record, mark and credit one answer. `choice` as the question heard it; the place must be unanswered."""
    question, item, sitting = at.question, at.item, at.sitting
    if sitting.kind in GATES:
        GATES[sitting.kind](session, sitting, incoming, now)
    mark = question.grade(choice, segment=segmentation.cut_words if question.kind in READ_BY_WORDS else None)
    answer_id, is_watched = write_down(session, person_id, sitting.id, item, choice, mark, incoming, now)
    # Refused here, what was recorded is rolled back with everything else.
    kept_back = key_visibility.withheld_reason(session, person_id, item.question, incoming.arrived) if is_watched else ""
    form = FORMS[sitting.kind]
    moved = mistakes.moved(session, person_id, question, mark, (sitting.id, item.n), now) if form.notebook else None
    credited = None
    if form.credits:
        credited = credit.earn_item(session, catalog.policy, person_id, item.question, question.law, day_of(now), now)
    over = form.one_life and not mark.correct
    ahead = None if over else at.ahead or sittings.next_item(session, sitting.id, item.n + 1)
    score = None
    following = None
    if ahead is None:
        sittings.close_sitting(session, sitting.id, "done", now)
        readings.drop_focus(session, person_id)
        score = sittings.score(session, sitting.id)
    else:
        sittings.move(session, sitting.id, ahead.n)
        following = QuestionPut(sitting, ahead, catalog.question(session, ahead.version_id))
    return AnswerOutcome(answer_id, question, choice, mark, sitting, credited, moved, following, score, kept_back)


def skip(session: Session, catalog: Catalog, sitting_id: int, now: datetime) -> QuestionPut | None:
    """The next unanswered question instead of this one, put now; None when this one is the last."""
    at = put(session, catalog, sitting_id)
    ahead = sittings.next_item(session, sitting_id, at.item.n + 1)
    if ahead is None or ahead.n == at.item.n:
        return None
    sittings.move(session, sitting_id, ahead.n)
    readings.set_focus(session, at.sitting.person_id, FORMS[at.sitting.kind].task, sitting_id, now)
    return QuestionPut(at.sitting, ahead, catalog.question(session, ahead.version_id))
