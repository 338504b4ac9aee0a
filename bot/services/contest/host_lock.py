"""The host lock: who may host a live contest, who hosts it now, and how another administrator takes over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.message import Refusal
from bot.domain.people.person import Learner
from bot.services.campaign import manage
from bot.services.contest import manage as contest_manage
from bot.storage.contest import live_answers, live_state
from bot.storage.contest.live_state import LiveState
from bot.storage.system import audit


@dataclass(frozen=True, slots=True)
class LiveHost:
    """An administrator who hosts: the person, and the author that log and audit name."""

    id: int
    author: Author


def host_of(session: Session, learner: Learner, via: str) -> LiveHost:
    """`via` is the channel, or "console"."""
    return LiveHost(learner.id, manage.author_of(session, learner, via))


def require_live(session: Session, host: LiveHost, contest_id: int) -> LiveState:
    """A live contest that this administrator reaches and that has been opened. Raises `Refusal` where there is none."""
    contest_manage.require_contest(session, host.author, contest_id)
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
