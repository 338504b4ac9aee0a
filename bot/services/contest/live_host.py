"""Hosting a live contest: the host lock, the acts of the host, each checked, logged and audited, and the timed steps that the clock takes by itself.

Any replica may try a timed step; the row's version lets one win.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import Contest
from bot.domain.contest.live_rules import ROUND_LABELS, SCHEMES, AnswerWindow, Round, StageScheme, judged_points, round_of_part
from bot.domain.message import Refusal
from bot.domain.people.person import Learner
from bot.services.campaign.manage import author_of
from bot.services.contest import closing, live_scoring, manage
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests, live_answers, live_state, players
from bot.storage.contest.contests import ContestItem
from bot.storage.contest.live_state import LiveItem, LiveState
from bot.storage.system import audit

# ── The host lock ──


@dataclass(frozen=True, slots=True)
class LiveHost:
    """An administrator who hosts: the person, and the author that log and audit name."""

    id: int
    author: Author


def host_of(session: Session, learner: Learner, via: str) -> LiveHost:
    """`via` is the channel, or "console"."""
    return LiveHost(learner.id, author_of(session, learner, via))


def require_live(session: Session, host: LiveHost, contest_id: int) -> LiveState:
    """A live contest that this administrator reaches and that has been opened. Raises `Refusal` where there is none."""
    manage.require_contest(session, host.author, contest_id)
    live = live_state.get(session, contest_id)
    if live is None:
        raise Refusal(f"竞赛 {contest_id} 还没有开场，请先发「主持 开场 {contest_id}」。")
    return live


def lock_live(session: Session, host: LiveHost, contest_id: int, decided: int | None, now: datetime) -> LiveState:
    """Lock a live contest for an act of this host: the first host takes the lock, anybody else has to take over before.

    `decided` is the last decision that the host had seen; an older one means a press on an outdated page. Raises `Refusal`.
    """
    live_state.lock(session, contest_id)
    live = require_live(session, host, contest_id)
    if live.host_id is None:
        return take_over(session, host, contest_id, now)
    if live.host_id != host.id:
        raise Refusal(f"现在由 {live.host} 主持。要换您来主持，请先接管。")
    if decided is not None and decided != live.decided:
        raise Refusal("刚才已经有变化，请看最新的状态再点一次。")
    return live


def take_over(session: Session, host: LiveHost, contest_id: int, now: datetime) -> LiveState:
    """Make this host the current one; the log and the other host's console show it."""
    live = require_live(session, host, contest_id)
    if live.host_id == host.id:
        return live
    live.course.check("adjust")
    live_state.set_host(session, contest_id, host.id, now)
    record_act(session, host, contest_id, "接管" if live.host_id else "主持", now, why=f"从 {live.host} 接管" if live.host_id else "")
    return require_live(session, host, contest_id)


def record_act(
    session: Session,
    host: LiveHost,
    contest_id: int,
    act: str,
    now: datetime,
    *,
    n: int = 0,
    team_id: int | None = None,
    person_id: int | None = None,
    points: int = 0,
    why: str = "",
) -> None:
    """An act of the host: a line in the contest's log, and one in the audit."""
    live_answers.add_decision(session, contest_id, host.author.actor, act, now, n=n, team_id=team_id, person_id=person_id, points=points, why=why)
    target = f"contest:{contest_id}" + (f" 第 {n} 题" if n else "")
    audit.record(session, now, host.author.actor, host.author.via, f"现场竞赛 {act}", target, detail=why)


# ── The acts of the host ──


MAX_REASON_LENGTH = 200
MAX_ADJUSTMENT = 1000


def open_room(session: Session, host: LiveHost, contest_id: int, scheme: StageScheme | None, now: datetime, rng: random.Random) -> LiveState:
    """Open the lobby for participants; the join code stays the same. Raises `Refusal` for a contest without questions."""
    contest = manage.require_contest(session, host.author, contest_id)
    if contest.plan.form == "windowed":
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」是限时竞赛，没有现场可开。")
    if contest.plan.form == "onsite" and scheme is None:
        scheme = next(iter(SCHEMES.values()))
    if not contests.list_items(session, contest_id):
        raise Refusal(f"竞赛 {contest_id} 还没有题目，先把题排好再开场。")
    if contest.state == "draft":
        manage.open_contest(session, host.author, contest_id, now)
    elif contest.state != "open":
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」已经结束或取消，不能再开场。")
    for _ in range(20):
        code = str(rng.randrange(100_000, 1_000_000))
        secret = "".join(rng.choice(string.ascii_lowercase + string.digits) for _ in range(12))
        if live_state.open_lobby(session, contest_id, code, secret, scheme, now):
            record_act(session, host, contest_id, "开场", now, why=scheme.name if scheme else "")
            return take_over(session, host, contest_id, now)
        if live_state.get(session, contest_id) is not None:
            return require_live(session, host, contest_id)
    raise Refusal("参赛码都用完了，请稍后再开场。")


def waiting_contests(session: Session, host: LiveHost) -> list[Contest]:
    """The live contests that this host may open and that nobody has opened yet, newest first."""
    opened = live_state.opened_ids(session)
    return [
        contest
        for contest in manage.list_contests(session, host.author)
        if contest.plan.form != "windowed" and contest.state in ("draft", "open") and contest.id not in opened
    ]


def remaining_items(session: Session, live: LiveState) -> list[ContestItem]:
    """Questions of the programme that have not been started, in order."""
    asked = {item.n for item in live_state.list_items(session, live.id)}
    return [item for item in contests.list_items(session, live.id) if item.n not in asked]


def round_of_item(live: LiveState, planned: ContestItem) -> Round:
    """The round of a question; without the rules of a stage everybody answers everything."""
    return round_of_part(planned.part) if live.scheme is not None else "all"


def next_planned(session: Session, live: LiveState) -> ContestItem | None:
    """The next question of the programme; sudden-death questions start only on request."""
    return next((item for item in remaining_items(session, live) if round_of_item(live, item) != "tie"), None)


def start_next_item(
    session: Session,
    host: LiveHost,
    contest_id: int,
    now: datetime,
    *,
    decided: int | None = None,
    n: int | None = None,
    team_id: int | None = None,
    stake: int = 0,
) -> LiveItem:
    """The next question comes on (or the one of that place); `team_id` and `stake` (in points) for 必答 of one team and for 风险."""
    live = lock_live(session, host, contest_id, decided, now)
    live.course.check("next")
    planned = (
        next_planned(session, live) if n is None else next((candidate for candidate in remaining_items(session, live) if candidate.n == n), None)
    )
    if planned is None:
        raise Refusal("题目都出完了，可以结束。" if n is None else f"第 {n} 题已经出过，或没有这一题。")
    kind = round_of_item(live, planned)
    if team_id is not None and team_id not in players.team_names(session, contest_id):
        raise Refusal("没有这支队。")
    if kind == "risk":
        _check_risk(live_scoring.require_scheme(live), team_id, stake)
    if (
        kind == "tie"
        and sum(item.round == "tie" for item in live_state.list_items(session, contest_id)) >= live_scoring.require_scheme(live).tie.most
    ):
        raise Refusal(f"加赛最多 {live_scoring.require_scheme(live).tie.most} 题，仍然同分的并列。")
    seconds = _time_limit(live, kind)
    ends_at = None if kind == "buzzer" else now + timedelta(seconds=seconds)
    live_state.set_course(session, live, live.course.next(planned.n, read_first=kind == "buzzer"), now)
    answering_team_id = team_id if kind in ("required", "risk") else None
    live_state.add_item(session, contest_id, planned.n, kind, seconds, now, ends_at, answering_team_id, stake * 1000 if kind == "risk" else 0)
    why = f"{ROUND_LABELS[kind]}，押 {stake} 分" if kind == "risk" else ROUND_LABELS[kind] if kind != "all" else ""
    record_act(session, host, contest_id, "出题", now, n=planned.n, team_id=answering_team_id, why=why)
    started = live_state.get_item(session, contest_id, planned.n)
    assert started is not None
    return started


def _check_risk(scheme: StageScheme, team_id: int | None, stake: int) -> None:
    if team_id is None:
        raise Refusal("风险题请先选是哪一队。")
    if stake not in scheme.risk.stakes:
        raise Refusal(f"风险题的分值只能选 {'、'.join(str(points) for points in scheme.risk.stakes)}。")


def _time_limit(live: LiveState, kind: Round) -> int:
    """Seconds that a question takes answers; of 抢答 those in which somebody has to press, 0 for no limit."""
    if live.scheme is None or kind == "all":
        return live.rules.seconds
    seconds = {
        "required": live.scheme.required.seconds,
        "buzzer": live.scheme.buzzer.buzz_seconds,
        "risk": live.scheme.risk.seconds,
        "tie": live.scheme.tie.seconds,
    }
    return seconds[kind]


def current_item(session: Session, live: LiveState) -> LiveItem:
    """The current question. Raises `Refusal` before the first."""
    item = live_state.get_item(session, live.id, live.course.item) if live.course.item else None
    if item is None:
        raise Refusal("还没有出题。")
    return item


def open_buzzers(session: Session, host: LiveHost, contest_id: int, now: datetime, *, decided: int | None = None) -> None:
    """开抢: open the buzzers; from now on a press is no false start."""
    live = lock_live(session, host, contest_id, decided, now)
    course = live.course.after("buzz")
    item = current_item(session, live)
    window = item.window.resumed(now) if item.window.paused else item.window
    ends_at = now + timedelta(seconds=item.seconds) if item.seconds else None
    live_state.set_course(session, live, course, now)
    live_state.set_clock(session, item, AnswerWindow(now, ends_at, None, window.pauses), buzz_at=now)
    record_act(session, host, contest_id, "开抢", now, n=item.n)


def close_question(session: Session, host: LiveHost, contest_id: int, now: datetime, *, decided: int | None = None) -> None:
    """收题: close the current question; later answers are late."""
    live = lock_live(session, host, contest_id, decided, now)
    close_item(session, live, now)
    record_act(session, host, contest_id, "收题", now, n=live.course.item)


def close_item(session: Session, live: LiveState, now: datetime) -> None:
    """Close the current question, by the host or by its clock, and judge what was answered on phones."""
    course = live.course.after("close")
    item = current_item(session, live)
    live_state.set_course(session, live, course, now)
    live_state.set_clock(session, item, item.window.closed(now))
    live_scoring.judge_closed(session, live, item, now)


def pause(session: Session, host: LiveHost, contest_id: int, now: datetime, *, decided: int | None = None, why: str = "") -> None:
    """Stop the clock; answers that arrive meanwhile are refused and may be sent again."""
    live = lock_live(session, host, contest_id, decided, now)
    course = live.course.after("pause")
    item = current_item(session, live)
    live_state.set_course(session, live, course, now)
    live_state.set_clock(session, item, item.window.stopped(now))
    record_act(session, host, contest_id, "暂停", now, n=item.n, why=why[:MAX_REASON_LENGTH])


def resume(session: Session, host: LiveHost, contest_id: int, now: datetime, *, decided: int | None = None) -> None:
    """Let the clock go on with the remaining time."""
    live = lock_live(session, host, contest_id, decided, now)
    course = live.course.after("resume")
    item = current_item(session, live)
    live_state.set_course(session, live, course, now)
    live_state.set_clock(session, item, item.window.resumed(now))
    record_act(session, host, contest_id, "恢复", now, n=item.n)


def show_board(session: Session, host: LiveHost, contest_id: int, now: datetime, *, decided: int | None = None) -> None:
    live = lock_live(session, host, contest_id, decided, now)
    live_state.set_course(session, live, live.course.after("board"), now)
    record_act(session, host, contest_id, "排行", now)


def void_question(session: Session, host: LiveHost, contest_id: int, n: int, why: str, now: datetime, *, decided: int | None = None) -> None:
    """作废: the question counts for nobody; what was answered stays recorded, what was judged on it is not counted."""
    why = _require_reason(why)
    live = lock_live(session, host, contest_id, decided, now)
    live.course.check("void")
    item = live_state.get_item(session, contest_id, n)
    if item is None:
        raise Refusal(f"第 {n} 题还没有出，不能作废。")
    if item.void:
        raise Refusal(f"第 {n} 题已经作废：{item.void}。")
    is_current = live.course.item == n and live.course.phase in ("reading", "open")
    live_state.set_course(session, live, live.course.after("void") if is_current else live.course, now)
    if is_current:
        live_state.set_clock(session, item, item.window.closed(now))
    live_state.void_item(session, item, why)
    record_act(session, host, contest_id, "作废", now, n=n, why=why)


def adjust_points(
    session: Session,
    host: LiveHost,
    contest_id: int,
    points: int,
    why: str,
    now: datetime,
    *,
    team_id: int | None = None,
    person_id: int | None = None,
    decided: int | None = None,
) -> None:
    """改分: points (whole, up or down) for one team or one person, with a reason; the answers stay as they are."""
    why = _require_reason(why)
    live = lock_live(session, host, contest_id, decided, now)
    live.course.check("adjust")
    if not points or abs(points) > MAX_ADJUSTMENT:
        raise Refusal(f"改分请写 1 到 {MAX_ADJUSTMENT} 分，扣分写负数。")
    if (team_id is None) == (person_id is None):
        raise Refusal("改分请写明给哪一队或哪一个人。")
    if team_id is not None and team_id not in players.team_names(session, contest_id):
        raise Refusal("没有这支队。")
    if person_id is not None and players.get(session, contest_id, person_id) is None:
        raise Refusal("这个人没有参加这场竞赛。")
    record_act(session, host, contest_id, "改分", now, team_id=team_id, person_id=person_id, points=points * 1000, why=why)
    live_state.bump_version(session, contest_id, now)


def judge(session: Session, host: LiveHost, contest_id: int, right: bool, now: datetime, *, decided: int | None = None) -> None:
    """判分: the host's judgement of a spoken answer, with points by the rule of its round."""
    live = lock_live(session, host, contest_id, decided, now)
    live.course.check("judge")
    scheme, item = live_scoring.require_scheme(live), current_item(session, live)
    team_id = item.holder_id if item.round == "buzzer" else item.team_id
    if item.round not in ("required", "buzzer", "risk") or team_id is None:
        raise Refusal("现在没有等待判分的队。")
    if item.void or live_answers.is_judged(session, contest_id, item.n, team_id):
        raise Refusal("这一题已经判过或作废了；判错了可以改分，写明原因。")
    points = judged_points(scheme, item.round, right, item.stake // 1000) * 1000
    record_act(session, host, contest_id, "判分", now, n=item.n, team_id=team_id, points=points, why="答对" if right else "答错")
    reopens = item.round == "buzzer" and not right and scheme.buzzer.after_wrong == "others" and live.course.phase == "open"
    if reopens:
        live_state.set_holder(session, item, None, now + timedelta(seconds=item.seconds) if item.seconds else None)
        live_state.bump_version(session, contest_id, now)
    elif live.course.phase == "open":
        live_state.set_course(session, live, live.course.after("close"), now)
        live_state.set_clock(session, item, item.window.closed(now))
    else:
        live_state.bump_version(session, contest_id, now)


def finish(session: Session, catalog: Catalog, host: LiveHost, contest_id: int, now: datetime, *, decided: int | None = None) -> None:
    """结束: freeze the board, credit hours for taking part by the policy, and close all sittings."""
    live = lock_live(session, host, contest_id, decided, now)
    live_state.set_course(session, live, live.course.after("finish"), now)
    live_scoring.save_results(session, live)
    live_answers.close_sittings(session, contest_id, now)
    closing.close(session, catalog, contest_id, now, host.author.actor, host.author.via)
    record_act(session, host, contest_id, "结束", now)


def _require_reason(why: str) -> str:
    reason = why.strip()
    if not reason:
        raise Refusal("请写明原因，它会记在决定记录里。")
    return reason[:MAX_REASON_LENGTH]


# ── Timed steps ──


def due_contests(session: Session, now: datetime) -> list[int]:
    """Ids of live contests with a timed step that is due; reads only."""
    return [live.id for live in live_state.list_running(session, now) if _is_due(session, live, now)]


def _is_due(session: Session, live: LiveState, now: datetime) -> bool:
    if live.course.phase not in ("reading", "open"):
        return False
    item = live_state.get_item(session, live.id, live.course.item)
    if item is None:
        return False
    if live_scoring.settled_press(session, live, item, now) is not None:
        return True
    return item.window.is_over(now) and not (item.round == "buzzer" and item.holder_id is not None)


def run_due(session: Session, contest_id: int, now: datetime) -> bool:
    """Perform the due step of one contest; True when something was done."""
    live = live_state.lock(session, contest_id)
    if live is None or not _is_due(session, live, now):
        return False
    item = current_item(session, live)
    try:
        if (buzz := live_scoring.settled_press(session, live, item, now)) is not None:
            live_scoring.assign_answer(session, live, item, buzz, now)
            return True
        close_item(session, live, now)
    except Refusal:
        return False  # another replica was quicker
    nobody = item.round == "buzzer" and live.scheme is not None
    why = "" if not nobody else "无人抢答，转观众答题" if live.scheme and live.scheme.buzzer.nobody == "audience" else "无人抢答，本题过"
    live_answers.add_decision(session, contest_id, live_scoring.SYSTEM, "到时收题", now, n=item.n, why=why)
    return True
