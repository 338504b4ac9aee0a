"""Playing a match: the same questions for all, each at their own pace within the same three minutes, ended once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.contest import duel as contest_duel
from bot.domain.contest.scoring import ContestResult
from bot.domain.message import Incoming, Refusal
from bot.domain.study.sitting import FORMS
from bot.domain.times import SHANGHAI, day_of
from bot.services.contest.play import draw
from bot.services.library.catalog import Catalog
from bot.services.study import current_task, quiz
from bot.services.study.current_task import WaitingTask
from bot.services.study.quiz import AskedQuestion
from bot.storage.contest import duels
from bot.storage.contest import players as contest_players
from bot.storage.contest.duels import Duel, DuelPlayer
from bot.storage.study import sittings
from bot.storage.study.sittings import OpenSitting

KIND = "match"
WORD = "对战"
"""What a person says to go on with a match."""
GRACE = timedelta(seconds=5)
"""How long after its end a match is closed, so that what arrived in time is there."""


@dataclass(frozen=True, slots=True)
class DuelOver:
    """How a match stands for one who has answered all: whether the others have too, and the players as they came out."""

    duel: Duel
    is_over: bool
    players: tuple[DuelPlayer, ...]


def begin(session: Session, duel: Duel, now: datetime) -> None:
    duels.start(session, duel.id, now, now + contest_duel.LENGTH)


def put(session: Session, catalog: Catalog, duel: Duel, person_id: int, now: datetime, rng: random.Random) -> AskedQuestion:
    """The question in hand of a player; the first draws for all, everybody after has the same."""
    me = next(one for one in duels.players(session, duel.id) if one.id == person_id)
    if me.sitting_id is not None:
        return quiz.resume(session, catalog, person_id, me.sitting_id, now)
    held = duels.held(session, duel.id)
    if held is None or held.state != "running":
        raise Refusal("这场对战已经结束。想再来一场请发「对战」。")
    items = duels.items(session, duel.id) or [(name, catalog.drawn[name]) for name in draw(catalog, (), contest_duel.QUESTIONS, (), rng)]
    form = FORMS[KIND]
    put_down = current_task.pause(session, catalog, person_id, now, form.claim)
    sitting_id = sittings.open_sitting(session, person_id, KIND, str(duel.id), items, now)
    duels.seat(session, duel.id, person_id, sitting_id)
    current_task.take_up(session, catalog, person_id, form.task, sitting_id, form.claim, now)
    found = quiz.current_question(session, catalog, sitting_id)
    return AskedQuestion(found.sitting, found.item, found.question, put_down, found.next_item)


def waits(session: Session, person_id: int) -> WaitingTask | None:
    """A match that runs while this player has not seen its first question."""
    at = duels.unseated(session, person_id)
    return None if at is None else WaitingTask(FORMS[KIND].task, 0, "对战（对手到了，已经在计时）", FORMS[KIND].claim, WORD)


def in_time(session: Session, sitting: OpenSitting, incoming: Incoming, now: datetime) -> None:
    duel = duels.get(session, int(sitting.scope))
    if duel is None or duel.state != "running" or incoming.arrived >= duel.until:
        raise Refusal("未记录：这场对战已经到时，以服务器收到的时间为准。已答的都算数；想再来一场请发「对战」。")


def finish(session: Session, sitting: OpenSitting, now: datetime) -> DuelOver:
    """A player has answered all: the match is over once everybody has."""
    duel_id = int(sitting.scope)
    held = duels.held(session, duel_id)
    assert held is not None
    duels.done(session, duel_id, sitting.person_id, _result(session, sitting.id))
    everybody = duels.players(session, duel_id)
    if held.state == "running" and all(one.state == "done" for one in everybody if one.is_in):
        _decide(session, held, everybody, now)
        for one in everybody:
            if one.is_in and one.id != sitting.person_id:
                duels.owe(session, duel_id, one.id, "over")
    again = duels.get(session, duel_id)
    assert again is not None
    return DuelOver(again, again.state == "over", tuple(one for one in duels.players(session, duel_id) if one.is_in))


def _result(session: Session, sitting_id: int | None) -> ContestResult:
    if sitting_id is None:
        return ContestResult()
    said, last, _ = contest_players.said(session, sitting_id)
    return ContestResult(0, sum(one.correct for one in said), sum(one.millis for one in said), last)


def _decide(session: Session, duel: Duel, everybody: Sequence[DuelPlayer], now: datetime) -> None:
    results = [(one.id, _result(session, one.sitting_id)) for one in everybody if one.is_in]
    for ended in contest_duel.verdicts(results):
        duels.done(session, duel.id, ended.player, ended.result)
        duels.place(session, duel.id, ended.player, ended.place, ended.points)
    duels.end(session, duel.id, "over", now)


def close(session: Session, duel: Duel, now: datetime) -> None:
    """A call that came to nothing; who waits is told."""
    duels.end(session, duel.id, "off", now)
    for one in duels.players(session, duel.id):
        if one.is_in:
            duels.set_state(session, duel.id, one.id, "done")
            duels.owe(session, duel.id, one.id, "off")


def expire(session: Session, now: datetime) -> int:
    """End what is due: calls that nobody answered, matches whose time is up. How many; a second call finds nothing."""
    ended = 0
    for duel_id in duels.due(session, now, now - GRACE):
        held = duels.held(session, duel_id)
        if held is None or held.state not in ("calling", "running"):
            continue
        ended += 1
        if held.state == "calling":
            close(session, held, now)
            continue
        everybody = duels.players(session, duel_id)
        for one in everybody:
            if one.sitting_id is not None:
                duels.leave(session, one.sitting_id, now)
        _decide(session, held, everybody, now)
        for one in everybody:
            if one.is_in:
                duels.owe(session, duel_id, one.id, "over")
    return ended


@dataclass(frozen=True, slots=True)
class DuelRecord:
    """What somebody has played this month: matches, first places, match points that count."""

    played: int
    won: int
    points: int


def record(session: Session, person_id: int, now: datetime) -> DuelRecord:
    first = now.astimezone(SHANGHAI).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    played = duels.record(session, person_id, first)
    return DuelRecord(
        len(played), sum(place == 1 for _, place, _ in played), contest_duel.counted([(day_of(at), points) for at, _, points in played])
    )
