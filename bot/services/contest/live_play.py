"""Taking part in a live contest: joining and rejoining, answering once, pressing the buzzer; all state is in rows (bot/docs/rules.md S19)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.contest.live_rules import ContestCourse
from bot.domain.library.question import Grade, Question
from bot.domain.message import Incoming, Refusal
from bot.domain.people.person import Learner
from bot.domain.study.sitting import FORMS
from bot.services.contest import live_scoring, play
from bot.services.library.catalog import Catalog
from bot.services.study import answers, current_task
from bot.storage.contest import live_answers, live_state, players
from bot.storage.contest.live_state import AnswerContext, LiveItem, LivePlace, LiveState
from bot.storage.contest.players import Team
from bot.storage.study import answers as study_answers
from bot.storage.study import sittings

LIVE_FORM = FORMS["live"]


@dataclass(frozen=True, slots=True)
class PlayerSeat:
    """A participant: the live contest, the sitting in which they answer, their team, and whether they have just joined."""

    live: LiveState
    sitting_id: int
    team: Team | None
    is_new: bool = False
    put_down: str = ""


@dataclass(frozen=True, slots=True)
class LiveView:
    """What a participant sees now: the current question, if any, and their recorded answer to it."""

    seat: PlayerSeat
    item: LiveItem | None
    question: Question | None
    choice: str


def enter(session: Session, catalog: Catalog, me: Learner, live: LiveState, now: datetime) -> PlayerSeat:
    """Join or rejoin, and make the contest the current task; the task before is set aside and kept."""
    if live.course.phase == "finished":
        raise Refusal(f"「{live.name}」已经结束了。")
    last_sitting = sittings.last_sitting(session, me.id, "live", str(live.id))
    if last_sitting is None:
        play.join(session, play.require_visible(session, me, live.id, now), me, now)
    sitting_id = live_answers.open_sitting(session, live.id, me.id, now) if last_sitting is None else last_sitting.id
    put_down = current_task.take_up(session, catalog, me.id, LIVE_FORM.task, sitting_id, LIVE_FORM.claim, now)
    return PlayerSeat(live, sitting_id, players.team_of(session, live.id, me.id), last_sitting is None, put_down)


def open_rooms(session: Session, now: datetime) -> list[LiveState]:
    """The live contests that can be entered now, by id."""
    return [live for live in live_state.list_running(session, now) if live.phase != "finished"]


def sitting_name(session: Session, catalog: Catalog, facts: current_task.OpenSittingFacts) -> str:
    live = live_state.get(session, int(facts.scope))
    return f"「{live.name}」" if live is not None else LIVE_FORM.name


def _require_sitting(session: Session, contest_id: int, person_id: int) -> int:
    sitting = sittings.last_sitting(session, person_id, "live", str(contest_id))
    if sitting is None:
        raise Refusal("您没有参加这场竞赛。发送「竞赛」加大屏幕上的六位参赛码加入。")
    return sitting.id


def require_seat(session: Session, person_id: int, contest_id: int) -> PlayerSeat:
    """The seat of a participant. Raises `Refusal` for somebody who has not joined."""
    live = live_state.get(session, contest_id)
    if live is None:
        raise Refusal("这场竞赛已经不在了。")
    return PlayerSeat(live, _require_sitting(session, contest_id, person_id), players.team_of(session, contest_id, person_id))


def contest_of_sitting(session: Session, sitting_id: int) -> int | None:
    """The contest that a live sitting belongs to."""
    sitting = sittings.sitting(session, sitting_id)
    return int(sitting.scope) if sitting is not None and sitting.kind == "live" else None


def current_view(session: Session, catalog: Catalog, seat: PlayerSeat) -> LiveView:
    """The view of a participant who has just come back."""
    course = seat.live.course
    item = live_state.get_item(session, seat.live.id, course.item) if course.item and course.phase != "lobby" else None
    if item is None:
        return LiveView(seat, None, None, "")
    recorded = sittings.recorded_answer(session, seat.sitting_id, item.n)
    return LiveView(seat, item, catalog.question(session, item.version_id), recorded[1] if recorded else "")


@dataclass(slots=True)
class LiveAnswer:
    """An answer that is accepted, before it is written."""

    context: AnswerContext
    choice: str
    grade: Grade
    incoming: Incoming


def gather(session: Session, places: Sequence[LivePlace]) -> list[AnswerContext | None]:
    """What decides on each answer; None for a question that was never started."""
    return live_state.answer_contexts(session, places)


def decide(session: Session, catalog: Catalog, context: AnswerContext, text: str, incoming: Incoming) -> LiveAnswer:
    """Whether an answer is accepted: the first recorded one stands, and the arrival at the edge decides whether it is in time. Raises `Refusal`."""
    item = context.item
    if context.choice:
        raise Refusal(f"未记录：第 {item.n} 题您已经答过（{context.choice}），以第一次为准。")
    if item.void:
        raise Refusal(f"未记录：第 {item.n} 题已经作废（{item.void}）。")
    live_scoring.check_phone_answer(item, context.team_id)
    question = catalog.question(session, item.version_id)
    choice = question.parse_answer(text)
    if choice is None:
        raise Refusal(f"未记录：第 {item.n} 题是{question.label}，请点选项，或回复选项字母。")
    if not item.window.accepts(incoming.arrived):
        raise Refusal(_late_text(context.course, item))
    return LiveAnswer(context, choice, answers.grade(question, choice), incoming)


def keep(session: Session, accepted: Sequence[LiveAnswer]) -> None:
    """Record answers. Nothing is said of right and wrong: that is for everybody at once, after the close (bot/docs/reliability.md D8, D9)."""
    rows = [
        answers.answer_row(
            answer.context.person_id,
            answer.context.sitting_id,
            answer.context.item,
            answer.choice,
            answer.grade,
            answer.incoming,
            answer.incoming.arrived,
        )
        for answer in accepted
    ]
    study_answers.record(session, rows)


def record_live_answer(session: Session, catalog: Catalog, person_id: int, contest_id: int, n: int, text: str, incoming: Incoming) -> LiveAnswer:
    """Record one answer of a participant. Raises `Refusal` for somebody who is none, and as `decide` does."""
    sitting_id = require_seat(session, person_id, contest_id).sitting_id
    (context,) = gather(session, [LivePlace(person_id, sitting_id, n)])
    if context is None:
        raise Refusal("未记录：这一题还没有开始。")
    accepted = decide(session, catalog, context, text, incoming)
    keep(session, [accepted])
    return accepted


def _late_text(course: ContestCourse, item: LiveItem) -> str:
    if course.paused and course.item == item.n:
        return "未记录：现在暂停，恢复以后再答。"
    if course.phase == "finished":
        return "未记录：这场竞赛已经结束。"
    hint = f"现在是第 {course.item} 题，回复「继续」看题。" if course.item != item.n and course.phase == "open" else "请等下一题。"
    return f"未记录：第 {item.n} 题已经收题。{hint}"


def press_buzzer(session: Session, person_id: int, seat: PlayerSeat, n: int, incoming: Incoming) -> live_scoring.BuzzerPress:
    """A team presses (抢): whoever arrived first at the server answers. Raises `Refusal` for who may not."""
    live = live_state.lock(session, seat.live.id)
    item = live_state.get_item(session, seat.live.id, n)
    if live is None or item is None or item.round != "buzzer":
        raise Refusal("未记录：现在不是抢答题。")
    if seat.team is None:
        raise Refusal("未记录：您不在任何一支参赛队里，抢答由各队进行。")
    return live_scoring.record_press(session, live, item, seat.team.id, person_id, incoming.arrived)
