"""Calling for a match: whoever comes by within thirty seconds, or colleagues by name; never a machine (bot/docs/rules.md S16).

A message writes rows of its own person and of the match; what others are to hear is owed to them and told by a job (news.py).
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
from bot.services.contest.duel import begin, close
from bot.services.contest.duel import put as duel_put
from bot.services.library.catalog import Catalog
from bot.services.study.quiz import AskedQuestion
from bot.storage.contest import duels
from bot.storage.contest.duels import Duel, DuelPlayer


@dataclass(frozen=True, slots=True)
class DuelInvitation:
    """A call that stands: who is in, how many are wanted, how many seconds it still stands."""

    duel: Duel
    players: tuple[DuelPlayer, ...]
    seconds: int

    @property
    def ready(self) -> int:
        return sum(one.is_in for one in self.players)


@dataclass(frozen=True, slots=True)
class JoinedDuel:
    """A match that has begun: its other players, and the first question for who asked."""

    duel: Duel
    others: tuple[DuelPlayer, ...]
    put: AskedQuestion


def current(session: Session, person_id: int, now: datetime) -> Duel | None:
    """The match that somebody waits for or plays; a call that nobody answered in time ends here, should no job have been faster."""
    at = duels.at_one(session, person_id)
    found = None if at is None else duels.held(session, at)
    if found is not None and found.state == "calling" and found.until <= now:
        close(session, found, now)
        duels.take_owed(session, found.id, person_id, "off")
        return None
    return found


def look_for(session: Session, catalog: Catalog, me: Learner, size: int, now: datetime, rng: random.Random) -> DuelInvitation | JoinedDuel:
    """Join whoever waits for as many, or wait for them; the match begins with the last who was wanted."""
    _free(session, me, now)
    duels.lock_queue(session)
    open_call = duels.waiting(session, size, me.id, now)
    held = None if open_call is None else duels.held(session, open_call)
    if held is None or held.state != "calling":
        made = duels.add(session, size, me.id, now, now + contest_duel.WAIT, invited=False)
        duels.join(session, made, me.id, "ready")
        return _call(session, made, now)
    duels.join(session, held.id, me.id, "ready")
    return _start_if_full(session, catalog, held, me, now, rng)


def invite(session: Session, me: Learner, people: Sequence[int], now: datetime) -> DuelInvitation:
    """Call colleagues by name; the call stands ten minutes. Raises `Refusal` for a call to nobody, to oneself, or one too many a day."""
    _free(session, me, now)
    called = list(dict.fromkeys(people))
    if me.id in called:
        raise Refusal("不能邀请自己。请写同事的工号，例如「对战 1010」。")
    if not 1 <= len(called) <= max(contest_duel.SIZES) - 1:
        raise Refusal(f"一次可以邀请 1 到 {max(contest_duel.SIZES) - 1} 人。")
    if duels.invitations_since(session, me.id, start_of(day_of(now))) >= contest_duel.INVITATIONS_A_DAY:
        raise Refusal(f"今天已经邀请过 {contest_duel.INVITATIONS_A_DAY} 次，请明天再邀请；现在可以发「对战」等人来。")
    made = duels.add(session, len(called) + 1, me.id, now, now + contest_duel.INVITED, invited=True)
    duels.join(session, made, me.id, "ready")
    for person_id in sorted(called):
        duels.join(session, made, person_id, "invited", "invited")
    return _call(session, made, now)


def accept(session: Session, catalog: Catalog, me: Learner, duel_id: int | None, now: datetime, rng: random.Random) -> DuelInvitation | JoinedDuel:
    """Answer a call, the newest without a number. The match begins when nobody is waited for any more."""
    _free(session, me, now)
    return _start_if_full(session, catalog, _called(session, me, duel_id, now, "ready"), me, now, rng)


def decline(session: Session, me: Learner, duel_id: int | None, now: datetime) -> None:
    """Say no to a call: a match of two does not come about, one of more goes on without."""
    _go_on_without(session, _called(session, me, duel_id, now, "declined"), now)


def cancel(session: Session, me: Learner, now: datetime) -> bool:
    """Wait no longer; True when there was a call to take back. What somebody called by name ends with them; others go on waiting."""
    at = current(session, me.id, now)
    if at is None or at.state != "calling":
        return False
    duels.set_state(session, at.id, me.id, "declined")
    if at.is_invited and at.made_by == me.id:
        close(session, at, now)
    else:
        _go_on_without(session, at, now)
    return True


def _go_on_without(session: Session, duel: Duel, now: datetime) -> None:
    """Somebody is out: a call by name that leaves nobody to play ends, one that waits for nobody else begins; who comes by is waited for."""
    everybody = duels.players(session, duel.id)
    ready, asked = [one for one in everybody if one.is_in], any(one.state == "invited" for one in everybody)
    if not duel.is_invited:
        if not ready:
            close(session, duel, now)
        return
    if len(ready) + asked < 2:
        close(session, duel, now)
    elif not asked:
        begin(session, duel, now)
        for one in ready:
            duels.owe(session, duel.id, one.id, "begun")


def _called(session: Session, me: Learner, duel_id: int | None, now: datetime, state: str) -> Duel:
    standing = duels.called_to(session, me.id, now)
    chosen = next((one for one in standing if duel_id in (None, one)), None)
    held = None if chosen is None else duels.held(session, chosen)
    if held is None or held.state != "calling" or held.until <= now:
        raise Refusal("没有等您应战的邀请，可能已经过时或对方已取消。想对战请发「对战」，或「对战 工号」邀请同事。")
    duels.join(session, held.id, me.id, state)
    return held


def _free(session: Session, me: Learner, now: datetime) -> None:
    at = current(session, me.id, now)
    if at is not None and at.state == "running":
        raise Refusal("您还有一场对战没有打完，先打完它：回复「对战」接着答。")
    if at is not None:
        raise Refusal("您已经在等对手了，请稍等；不等了请回复「对战 取消」。")


def _call(session: Session, duel_id: int, now: datetime) -> DuelInvitation:
    found = duels.get(session, duel_id)
    assert found is not None
    return DuelInvitation(found, tuple(duels.players(session, duel_id)), max(0, round((found.until - now).total_seconds())))


def _start_if_full(session: Session, catalog: Catalog, held: Duel, me: Learner, now: datetime, rng: random.Random) -> DuelInvitation | JoinedDuel:
    everybody = duels.players(session, held.id)
    ready = [one for one in everybody if one.is_in]
    is_full = all(one.state != "invited" for one in everybody) if held.is_invited else len(ready) == held.size
    if not is_full:
        return _call(session, held.id, now)
    begin(session, held, now)
    others = tuple(one for one in ready if one.id != me.id)
    for one in others:
        duels.owe(session, held.id, one.id, "begun")
    running = duels.get(session, held.id)
    assert running is not None
    return JoinedDuel(running, others, duel_put(session, catalog, running, me.id, now, rng))


def called_by(session: Session, said: str, now: datetime) -> int:
    """Somebody in office by staff number, or by a name that only one person has. Raises `Refusal` for nobody and for several."""
    found = duels.in_office(session, said, day_of(now))
    if not found:
        raise Refusal(f"没有找到「{said[:20]}」，请写在职同事的工号，例如「对战 1010」。")
    if len(found) > 1:
        raise Refusal(f"叫「{said[:20]}」的有 {len(found)} 人，请写工号。")
    return found[0]
