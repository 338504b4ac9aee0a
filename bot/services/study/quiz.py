"""Questions asked and answered: the daily set, practice, the notebook, the challenge; each answer recorded once, marked and credited.

Exams and contests record their answers by the same function, with the mark and the moment on the clock of the server.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.library.question import Grade, Question
from bot.domain.message import Incoming, Option, Refusal
from bot.domain.study.sitting import FORMS
from bot.domain.times import day_of
from bot.services.hours.credit import EarnedCredit
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.services.study import answers, current_task, mistakes
from bot.services.study.answers import AnswerDecision
from bot.services.study.mistakes import NotebookMove, NotebookStanding
from bot.storage.study import current_task as study_current_task
from bot.storage.study import readings, sittings
from bot.storage.study.sittings import OpenSitting, Score, SittingItem
from bot.storage.tables.columns import stamp

DAILY_SIZE = 5
REVIEWS_IN_DAILY = 2
"""So many of the five may come from the notebook."""
ROUND_SIZE = 10
REVIEW_SIZE = 20
"""Reviews that are put in one round; who gives many minutes to a day goes on with the next."""
CHALLENGE_SIZE = 100
TAPPED_KINDS = ("single", "multiple", "judge")


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question put to a person: its place and version, the name of the task that was paused for it, and the item after it where that is known."""

    sitting: OpenSitting
    item: SittingItem
    question: Question
    paused: str = ""
    next_item: SittingItem | None = None


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """What an answer came to, what it earned, how the notebook moved, and what comes next (nothing when the sitting is done)."""

    question: Question
    choice: str
    mark: Grade
    sitting: OpenSitting
    earned: EarnedCredit | None
    notebook_move: NotebookMove | None
    next_question: AskedQuestion | None
    score: Score | None
    withheld: str = ""
    """Why right and wrong are not told yet; empty when they are."""


AnswerGate = Callable[[Session, Sequence[tuple[OpenSitting, Incoming]]], list[Refusal | None]]
ANSWER_GATES: dict[str, AnswerGate] = {}
"""What stands before the answers in a kind of sitting: why each of them must not count any more, None where it does."""


def gate_refusals(session: Session, arriving: Sequence[tuple[OpenSitting, Incoming]]) -> list[Refusal | None]:
    """Why each answer is not let in, by the gate of its kind of sitting; None where it is."""
    refusals: list[Refusal | None] = [None] * len(arriving)
    for kind, gate in ANSWER_GATES.items():
        of_kind = [k for k, (sitting, _) in enumerate(arriving) if sitting.kind == kind]
        if of_kind:
            for k, refusal in zip(of_kind, gate(session, [arriving[k] for k in of_kind]), strict=True):
                refusals[k] = refusal
    return refusals


def draw_questions(pool: Sequence[str], known: dict[str, int], size: int, rng: random.Random) -> list[str]:
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
) -> AskedQuestion:
    """A new sitting of a kind, taken in hand; its first question. `worth` is what each counts, in thousandths of a point."""
    form = FORMS[kind]
    paused = current_task.pause(session, catalog, person_id, now, form.claim)
    current_task.close_forgotten(session, person_id, now)
    key_visibility.require_not_at_exam(session, person_id, now)
    sitting_id = sittings.open_sitting(session, person_id, kind, scope, [(name, catalog.drawn[name]) for name in names], now, worth)
    study_current_task.set_focus(session, person_id, form.task, sitting_id, now)
    return replace(current_question(session, catalog, sitting_id), paused=paused)


def current_question(session: Session, catalog: Catalog, sitting_id: int) -> AskedQuestion:
    """The question in hand of an open sitting."""
    in_hand = sittings.current_item(session, sitting_id)
    if in_hand is None:
        raise Refusal("这一组题已经做完了。")
    sitting, item, ahead = in_hand
    return AskedQuestion(sitting, item, catalog.question(session, item.version_id), next_item=ahead)


def _drawable(session: Session, catalog: Catalog, person_id: int, names: Iterable[str]) -> list[str]:
    """What may be put to somebody now: not the items of an exam of theirs that is not over (bot/services/library/key_visibility.py)."""
    hidden = key_visibility.hidden_questions(session, person_id)
    return [name for name in names if name in catalog.drawn and name not in hidden]


def _tappable(session: Session, catalog: Catalog, person_id: int) -> list[str]:
    """What can be drawn and is answered by a tap. Raises `Refusal` when there is nothing."""
    pool = _drawable(session, catalog, person_id, (name for name, question in catalog.library.questions.items() if question.kind in TAPPED_KINDS))
    if not pool:
        raise Refusal("题库里还没有可用的题，请联系管理员。")
    return pool


def take_daily_set(session: Session, catalog: Catalog, person_id: int, now: datetime, rng: random.Random) -> AskedQuestion | Score:
    """Today's five, each answered by a tap: the same set all day, taken up where it was left; its score when it is done."""
    day = day_of(now).isoformat()
    last_sitting = sittings.last_sitting(session, person_id, "daily", day)
    if last_sitting is not None and last_sitting.state == "done":
        return sittings.score(session, last_sitting.id)
    if last_sitting is not None and last_sitting.state == "open":
        return resume(session, catalog, person_id, last_sitting.id, now)
    for sitting_id, kind, scope, _, _ in readings.open_sittings(session, person_id):
        # A message of the last second before midnight may be heard after one of the first: it closes nothing that is of a later day.
        if kind == "daily" and scope < day:
            # An unfinished set of an earlier day does not come back: its answers stand, its questions will be drawn again.
            sittings.close_sitting(session, sitting_id, "left", now)
    pool = _tappable(session, catalog, person_id)
    reviews = mistakes.reviews_for_daily(session, person_id, mistakes.entries(session, person_id, set(pool)), now, REVIEWS_IN_DAILY)
    names = reviews + draw_questions(
        [name for name in pool if name not in reviews], sittings.known_questions(session, person_id), DAILY_SIZE - len(reviews), rng
    )
    rng.shuffle(names)
    return open_set(session, catalog, person_id, "daily", day, names, now)


def _drawable_of(session: Session, catalog: Catalog, person_id: int, name: str) -> list[str]:
    """The questions that can be drawn: of a law, law set or bank, or all without a name."""
    if not name:
        return _drawable(session, catalog, person_id, catalog.library.questions)
    questions = catalog.library.questions_of(name)
    if questions is None:
        raise unknown_law(catalog, name)
    return _drawable(session, catalog, person_id, (question.id for question in questions))


def start_practice(session: Session, catalog: Catalog, person_id: int, name: str, now: datetime, rng: random.Random) -> AskedQuestion:
    """A round of ten by law, law set or bank, or at random without a name."""
    pool = _drawable_of(session, catalog, person_id, name)
    if not pool:
        raise Refusal(f"「{name}」还没有可用的题。")
    names = draw_questions(pool, sittings.known_questions(session, person_id), ROUND_SIZE, rng)
    scope = f"{name or '随机'}@{stamp(now)}"
    return open_set(session, catalog, person_id, "practice", scope, names, now)


def unknown_law(catalog: Catalog, name: str) -> Refusal:
    """What to say to a name that has no questions: the right name of a misnomer, the nearest there is, or those of the laws."""
    meant = catalog.library.misnomer(name)
    if meant is not None:
        return Refusal(f"没有「{name}」这部法，正确名称是《{meant.title}》，请发「练习 {meant.short}」。", (_practise(meant.short),))
    near = difflib.get_close_matches(name, catalog.library.names, n=1)
    if near:
        return Refusal(f"没有「{name}」的题。您是想发「练习 {near[0]}」吗？", (_practise(near[0]),))
    banks = {bank.title for bank in catalog.library.banks.values()}
    laws = [known for known in catalog.library.names if known not in banks]
    return Refusal(f"没有「{name}」的题。现在可以练：{'、'.join(laws)}。", (Option("练习", "随机练 10 题"),))


def _practise(name: str) -> Option:
    return Option(f"练习 {name}", f"练习 {name}"[:16])


def practise_mistakes(session: Session, catalog: Catalog, person_id: int, name: str, now: datetime, rng: random.Random) -> AskedQuestion | None:
    """A round of ten over what stands in the notebook (of one law), due or not, as often as one likes; None when nothing does."""
    notebook = mistakes.entries(session, person_id, set(_drawable_of(session, catalog, person_id, name)))
    names = [entry.question for entry in notebook if entry.listed]
    if not names:
        return None
    rng.shuffle(names)
    return open_set(session, catalog, person_id, "practice", f"错题{name}@{stamp(now)}", names[:ROUND_SIZE], now)


def review_mistakes(
    session: Session, catalog: Catalog, person_id: int, name: str, now: datetime, rng: random.Random
) -> tuple[AskedQuestion | None, NotebookStanding]:
    """A round over what the notebook (of a law) asks today, and how it stands; no round when nothing is due or today's reviews are done."""
    notebook = mistakes.entries(session, person_id, set(_drawable_of(session, catalog, person_id, name)))
    standing = mistakes.notebook_standing(session, person_id, notebook, now, whole=not name)
    names = mistakes.reviews_due_today(notebook, standing, now)[:REVIEW_SIZE]
    if not names:
        return None, standing
    rng.shuffle(names)
    return open_set(session, catalog, person_id, "mistakes", f"{name}@{stamp(now)}", names, now), standing


def start_challenge(session: Session, catalog: Catalog, person_id: int, now: datetime, rng: random.Random) -> AskedQuestion:
    """A run until the first mistake, over a hundred questions at most, none of them twice (bot/docs/rules.md S08)."""
    pool = _tappable(session, catalog, person_id)
    return open_set(session, catalog, person_id, "challenge", stamp(now), rng.sample(pool, min(CHALLENGE_SIZE, len(pool))), now)


def ask_closing_questions(session: Session, catalog: Catalog, person_id: int, reading_id: int, names: Sequence[str], now: datetime) -> AskedQuestion:
    """The closing questions of a lesson; those that wait because a page was read again come back."""
    asked_before = sittings.last_sitting(session, person_id, "lesson", str(reading_id))
    if asked_before is not None and asked_before.state == "open":
        return replace(resume(session, catalog, person_id, asked_before.id, now), paused="")
    # The lesson is not put down by its own questions.
    return replace(open_set(session, catalog, person_id, "lesson", str(reading_id), names, now), paused="")


def resume(session: Session, catalog: Catalog, person_id: int, sitting_id: int, now: datetime) -> AskedQuestion:
    """Take a sitting up again where it was left."""
    asked = current_question(session, catalog, sitting_id)
    form = FORMS[asked.sitting.kind]
    return replace(asked, paused=current_task.take_up(session, catalog, person_id, form.task, sitting_id, form.claim, now))


def answer(session: Session, catalog: Catalog, person_id: int, asked: AskedQuestion, choice: str, incoming: Incoming, now: datetime) -> AnswerOutcome:
    """Record, mark and credit one answer. `choice` as the question heard it; the place must be unanswered."""
    item, sitting = asked.item, asked.sitting
    (refusal,) = gate_refusals(session, [(sitting, incoming)])
    if refusal is not None:
        raise refusal
    (facts,) = answers.gather(session, [answers.lookup(person_id, sitting.id, item.n, day_of(now))])
    if facts is None:
        raise Refusal("这一组题已经做完了。")
    decision = answers.decide(catalog.policy, facts, asked.question, choice, incoming, now)
    decision.next_item = None if decision.is_over else asked.next_item or sittings.next_item(session, sitting.id, item.n + 1, but=item.n)
    answers.keep(session, [decision])
    # Refused here, what was recorded is rolled back with everything else.
    withheld = key_visibility.withheld_reason(session, person_id, item.question, incoming.arrived) if facts.is_watched else ""
    score = None
    if decision.next_item is None:
        sittings.close_sitting(session, sitting.id, "done", now)
        study_current_task.drop_focus(session, person_id)
        score = sittings.score(session, sitting.id)
    return outcome_of(session, catalog, decision, score, withheld)


def outcome_of(session: Session, catalog: Catalog, decision: AnswerDecision, score: Score | None = None, withheld: str = "") -> AnswerOutcome:
    """What is told of a decision."""
    next_item = decision.next_item
    next_question = None if next_item is None else AskedQuestion(decision.sitting, next_item, catalog.question(session, next_item.version_id))
    return AnswerOutcome(
        decision.question, decision.choice, decision.grade, decision.sitting, decision.earned, decision.notebook_move, next_question, score, withheld
    )


def skip(session: Session, catalog: Catalog, sitting_id: int, now: datetime) -> AskedQuestion | None:
    """The next unanswered question instead of this one, put now; None when this one is the last."""
    asked = current_question(session, catalog, sitting_id)
    next_item = sittings.next_item(session, sitting_id, asked.item.n + 1)
    if next_item is None or next_item.n == asked.item.n:
        return None
    sittings.set_next_item(session, sitting_id, next_item.n)
    study_current_task.set_focus(session, asked.sitting.person_id, FORMS[asked.sitting.kind].task, sitting_id, now)
    return AskedQuestion(asked.sitting, next_item, catalog.question(session, next_item.version_id))
