"""Timed steps of a live contest: closing a question at its deadline and deciding a buzzer. Any replica may try; the row's version lets one win."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.services.contest import live_host, stage_scoring
from bot.storage.contest import live_answers, live_state
from bot.storage.contest.live_state import LiveState


def due_contests(session: Session, now: datetime) -> list[int]:
    """Ids of live contests with a timed step that is due; reads only."""
    return [live.id for live in live_state.list_running(session, now) if _is_due(session, live, now)]


def _is_due(session: Session, live: LiveState, now: datetime) -> bool:
    if live.course.phase not in ("reading", "open"):
        return False
    item = live_state.get_item(session, live.id, live.course.item)
    if item is None:
        return False
    if stage_scoring.settled_press(session, live, item, now) is not None:
        return True
    return item.window.is_over(now) and not (item.round == "buzzer" and item.holder_id is not None)


def run_due(session: Session, contest_id: int, now: datetime) -> bool:
    """Perform the due step of one contest; True when something was done."""
    live = live_state.lock(session, contest_id)
    if live is None or not _is_due(session, live, now):
        return False
    item = live_host.current_item(session, live)
    try:
        if (buzz := stage_scoring.settled_press(session, live, item, now)) is not None:
            stage_scoring.assign_answer(session, live, item, buzz, now)
            return True
        live_host.close_item(session, live, now)
    except Refusal:
        return False  # another replica was quicker
    nobody = item.round == "buzzer" and live.scheme is not None
    why = "" if not nobody else "无人抢答，转观众答题" if live.scheme and live.scheme.buzzer.nobody == "audience" else "无人抢答，本题过"
    live_answers.add_decision(session, contest_id, stage_scoring.SYSTEM, "到时收题", now, n=item.n, why=why)
    return True
