"""What happens in a live contest without a hand: a clock runs out, a buzzer is decided. Any replica may do it; the row's version lets one."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.services.live import host, stakes
from bot.storage.live import play, stage
from bot.storage.live.stage import Stage


def due(session: Session, now: datetime) -> list[int]:
    """Contests in which something is to happen by now; reads only."""
    return [one.id for one in stage.running(session, now) if _due(session, one, now)]


def _due(session: Session, of: Stage, now: datetime) -> bool:
    if of.course.phase not in ("reading", "open"):
        return False
    item = stage.item(session, of.id, of.course.item)
    if item is None:
        return False
    if stakes.chosen(session, of, item, now) is not None:
        return True
    return item.window.is_over(now) and not (item.round == "buzzer" and item.holder_id is not None)


def run(session: Session, contest_id: int, now: datetime) -> bool:
    """Do what is due in one contest; True when something was done."""
    of = stage.held(session, contest_id)
    if of is None or not _due(session, of, now):
        return False
    item = host.in_hand(session, of)
    try:
        if (one := stakes.chosen(session, of, item, now)) is not None:
            stakes.settle(session, of, item, one, now)
            return True
        host.close_item(session, of, now)
    except Refusal:
        return False  # another replica was quicker
    nobody = item.round == "buzzer" and of.scheme is not None
    why = "" if not nobody else "无人抢答，转观众答题" if of.scheme and of.scheme.buzzer.nobody == "audience" else "无人抢答，本题过"
    play.decide(session, contest_id, stakes.SYSTEM, "到时收题", now, n=item.n, why=why)
    return True
