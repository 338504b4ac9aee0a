"""Finding an opponent for a duel: the queue of waiting players, and invitations to named colleagues (bot/docs/rules.md S16).

A message writes only rows of its own person and of the match; news for other players is sent by a job (bot/services/contest/duel_notifications.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.contest import duel as contest_duel
from bot.domain.message import Refusal
from bot.domain.people.person import Learner
from bot.domain.times import day_of, start_of
from bot.services.contest.duel import call_off, current_question, start
from bot.services.library.catalog import Catalog
from bot.services.study.quiz import AskedQuestion
from bot.storage.contest import duels
from bot.storage.contest.duels import Duel, DuelPlayer


@dataclass(frozen=True, slots=True)
class DuelInvitation:
    """A match that waits for players, and for how many more seconds."""

    duel: Duel
    players: tuple[DuelPlayer, ...]
    seconds: int

    @property
    def ready(self) -> int:
        return sum(player.is_in for player in self.players)


@dataclass(frozen=True, slots=True)
class JoinedDuel:
    """A match that has begun: its other players, and the first question for the player who completed it."""

    duel: Duel
    others: tuple[DuelPlayer, ...]
    question: AskedQuestion


def current_duel(session: Session, person_id: int, now: datetime) -> Duel | None:
    """The match that a player waits for or plays; an expired invitation is ended here if the job has not done it yet."""
    duel_id = duels.active_duel(session, person_id)
    duel = None if duel_id is None else duels.lock(session, duel_id)
    if duel is not None and duel.state == "calling" and duel.until <= now:
        call_off(session, duel, now)
        duels.claim_pending_news(session, duel.id, person_id, "off")
        return None
    return duel


def find_opponent(session: Session, catalog: Catalog, me: Learner, size: int, now: datetime, rng: random.Random) -> DuelInvitation | JoinedDuel:
    """Join a waiting match of this size, or open one and wait; the match begins when it is full."""
    _require_free(session, me, now)
    duels.lock_queue(session)
    waiting_id = duels.find_waiting(session, size, me.id, now)
    duel = None if waiting_id is None else duels.lock(session, waiting_id)
    if duel is None or duel.state != "calling":
        duel_id = duels.add(session, size, me.id, now, now + contest_duel.QUEUE_TIMEOUT, invited=False)
        duels.join(session, duel_id, me.id, "ready")
        return _invitation(session, duel_id, now)
    duels.join(session, duel.id, me.id, "ready")
    return _start_if_full(session, catalog, duel, me, now, rng)


def invite(session: Session, me: Learner, people: Sequence[int], now: datetime) -> DuelInvitation:
    """Invite colleagues by id. Raises `Refusal` for nobody, too many, oneself, or more invitations than a day allows."""
    _require_free(session, me, now)
    invited_ids = list(dict.fromkeys(people))
    if me.id in invited_ids:
        raise Refusal("不能邀请自己。请写同事的工号，例如「对战 1010」。")
    if not 1 <= len(invited_ids) <= max(contest_duel.PLAYER_COUNTS) - 1:
        raise Refusal(f"一次可以邀请 1 到 {max(contest_duel.PLAYER_COUNTS) - 1} 人。")
    if duels.count_invitations(session, me.id, start_of(day_of(now))) >= contest_duel.INVITATIONS_PER_DAY:
        raise Refusal(f"今天已经邀请过 {contest_duel.INVITATIONS_PER_DAY} 次，请明天再邀请；现在可以发「对战」等人来。")
    duel_id = duels.add(session, len(invited_ids) + 1, me.id, now, now + contest_duel.INVITATION_TIMEOUT, invited=True)
    duels.join(session, duel_id, me.id, "ready")
    for person_id in sorted(invited_ids):
        duels.join(session, duel_id, person_id, "invited", "invited")
    return _invitation(session, duel_id, now)


def accept(session: Session, catalog: Catalog, me: Learner, duel_id: int | None, now: datetime, rng: random.Random) -> DuelInvitation | JoinedDuel:
    """Accept an invitation, the newest without a number. The match begins when no invitation is open any more."""
    _require_free(session, me, now)
    return _start_if_full(session, catalog, _answer_invitation(session, me, duel_id, now, "ready"), me, now, rng)


def decline(session: Session, me: Learner, duel_id: int | None, now: datetime) -> None:
    """Decline an invitation: a match of two is called off, a larger one goes on without this player."""
    _continue_without(session, _answer_invitation(session, me, duel_id, now, "declined"), now)


def cancel(session: Session, me: Learner, now: datetime) -> bool:
    """Stop waiting; True when there was a match to leave. An inviter who leaves calls the match off; others go on waiting."""
    duel = current_duel(session, me.id, now)
    if duel is None or duel.state != "calling":
        return False
    duels.set_state(session, duel.id, me.id, "declined")
    if duel.is_invited and duel.made_by == me.id:
        call_off(session, duel, now)
    else:
        _continue_without(session, duel, now)
    return True


def _continue_without(session: Session, duel: Duel, now: datetime) -> None:
    """After a player has left: call off a match with too few players, begin one that waits for nobody else; a queued match keeps waiting."""
    players = duels.players(session, duel.id)
    ready, asked = [player for player in players if player.is_in], any(player.state == "invited" for player in players)
    if not duel.is_invited:
        if not ready:
            call_off(session, duel, now)
        return
    if len(ready) + asked < 2:
        call_off(session, duel, now)
    elif not asked:
        start(session, duel, now)
        for player in ready:
            duels.set_pending_news(session, duel.id, player.id, "begun")


def _answer_invitation(session: Session, me: Learner, duel_id: int | None, now: datetime, state: str) -> Duel:
    open_ids = duels.open_invitations(session, me.id, now)
    chosen_id = next((open_id for open_id in open_ids if duel_id in (None, open_id)), None)
    duel = None if chosen_id is None else duels.lock(session, chosen_id)
    if duel is None or duel.state != "calling" or duel.until <= now:
        raise Refusal("没有等您应战的邀请，可能已经过时或对方已取消。想对战请发「对战」，或「对战 工号」邀请同事。")
    duels.join(session, duel.id, me.id, state)
    return duel


def _require_free(session: Session, me: Learner, now: datetime) -> None:
    duel = current_duel(session, me.id, now)
    if duel is not None and duel.state == "running":
        raise Refusal("您还有一场对战没有打完，先打完它：回复「对战」接着答。")
    if duel is not None:
        raise Refusal("您已经在等对手了，请稍等；不等了请回复「对战 取消」。")


def _invitation(session: Session, duel_id: int, now: datetime) -> DuelInvitation:
    duel = duels.get(session, duel_id)
    assert duel is not None
    return DuelInvitation(duel, tuple(duels.players(session, duel_id)), max(0, round((duel.until - now).total_seconds())))


def _start_if_full(session: Session, catalog: Catalog, duel: Duel, me: Learner, now: datetime, rng: random.Random) -> DuelInvitation | JoinedDuel:
    players = duels.players(session, duel.id)
    ready = [player for player in players if player.is_in]
    is_full = all(player.state != "invited" for player in players) if duel.is_invited else len(ready) == duel.size
    if not is_full:
        return _invitation(session, duel.id, now)
    start(session, duel, now)
    others = tuple(player for player in ready if player.id != me.id)
    for player in others:
        duels.set_pending_news(session, duel.id, player.id, "begun")
    running = duels.get(session, duel.id)
    assert running is not None
    return JoinedDuel(running, others, current_question(session, catalog, running, me.id, now, rng))


def find_colleague(session: Session, staff_no_or_name: str, now: datetime) -> int:
    """Somebody in office by staff number, or by a name that only one person has. Raises `Refusal` for nobody and for several."""
    person_ids = duels.find_staff(session, staff_no_or_name, day_of(now))
    if not person_ids:
        raise Refusal(f"没有找到「{staff_no_or_name[:20]}」，请写在职同事的工号，例如「对战 1010」。")
    if len(person_ids) > 1:
        raise Refusal(f"叫「{staff_no_or_name[:20]}」的有 {len(person_ids)} 人，请写工号。")
    return person_ids[0]
