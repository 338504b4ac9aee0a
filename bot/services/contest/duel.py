"""Playing a duel: the same questions for all, each at their own pace within the time limit; the match is ended once, by finish or expiry."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.contest import duel as contest_duel
from bot.domain.contest.leaderboard import ContestResult
from bot.domain.message import Incoming, Refusal
from bot.domain.study.sitting import FORMS
from bot.domain.times import SHANGHAI, day_of
from bot.services.contest.play import draw_questions
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
RESUME_COMMAND = "对战"
"""The chat command that goes on with a match."""
CLOSING_GRACE = timedelta(seconds=5)
"""How long after its deadline a match is closed, so that answers that arrived in time are stored."""


@dataclass(frozen=True, slots=True)
class DuelProgress:
    """A match after one player has answered all: whether the others have too, and the players with their results."""

    duel: Duel
    is_over: bool
    players: tuple[DuelPlayer, ...]


def start(session: Session, duel: Duel, now: datetime) -> None:
    duels.start(session, duel.id, now, now + contest_duel.TIME_LIMIT)


def current_question(session: Session, catalog: Catalog, duel: Duel, person_id: int, now: datetime, rng: random.Random) -> AskedQuestion:
    """The current question of a player; the first to ask draws the questions for all."""
    me = next(player for player in duels.players(session, duel.id) if player.id == person_id)
    if me.sitting_id is not None:
        return quiz.resume(session, catalog, person_id, me.sitting_id, now)
    locked = duels.lock(session, duel.id)
    if locked is None or locked.state != "running":
        raise Refusal("这场对战已经结束。想再来一场请发「对战」。")
    items = duels.drawn_items(session, duel.id) or [
        (name, catalog.drawn[name]) for name in draw_questions(catalog, (), contest_duel.QUESTION_COUNT, (), rng)
    ]
    form = FORMS[KIND]
    put_down = current_task.pause(session, catalog, person_id, now, form.claim)
    sitting_id = sittings.open_sitting(session, person_id, KIND, str(duel.id), items, now)
    duels.set_sitting(session, duel.id, person_id, sitting_id)
    current_task.take_up(session, catalog, person_id, form.task, sitting_id, form.claim, now)
    first_question = quiz.current_question(session, catalog, sitting_id)
    return AskedQuestion(first_question.sitting, first_question.item, first_question.question, put_down, first_question.next_item)


def waiting_task(session: Session, person_id: int) -> WaitingTask | None:
    """The task of a running match whose first question this player has not seen; None without one."""
    duel_id = duels.unstarted_duel(session, person_id)
    return None if duel_id is None else WaitingTask(FORMS[KIND].task, 0, "对战（对手到了，已经在计时）", FORMS[KIND].claim, RESUME_COMMAND)


def late_answers(session: Session, arriving: Sequence[tuple[OpenSitting, Incoming]]) -> list[Refusal | None]:
    """Why answers do not count: by their arrival at the server, while the match runs."""
    running = {duel.id: duel for duel in duels.get_all(session, {int(sitting.scope) for sitting, _ in arriving}) if duel.state == "running"}
    refusals: list[Refusal | None] = []
    for sitting, incoming in arriving:
        duel = running.get(int(sitting.scope))
        is_late = duel is None or incoming.arrived >= duel.until
        refusals.append(Refusal("未记录：这场对战已经到时，以服务器收到的时间为准。已答的都算数；想再来一场请发「对战」。") if is_late else None)
    return refusals


def finish_player(session: Session, sitting: OpenSitting, now: datetime) -> DuelProgress:
    """Record that a player has answered all; the match is over once everybody has."""
    duel_id = int(sitting.scope)
    duel = duels.lock(session, duel_id)
    assert duel is not None
    duels.set_result(session, duel_id, sitting.person_id, _result(session, sitting.id))
    players = duels.players(session, duel_id)
    if duel.state == "running" and all(player.state == "done" for player in players if player.is_in):
        _rank_and_end(session, duel, players, now)
        for player in players:
            if player.is_in and player.id != sitting.person_id:
                duels.set_pending_news(session, duel_id, player.id, "over")
    updated = duels.get(session, duel_id)
    assert updated is not None
    return DuelProgress(updated, updated.state == "over", tuple(player for player in duels.players(session, duel_id) if player.is_in))


def _result(session: Session, sitting_id: int | None) -> ContestResult:
    if sitting_id is None:
        return ContestResult()
    answers, last_arrival, _ = contest_players.scored_answers(session, sitting_id)
    return ContestResult(0, sum(answer.correct for answer in answers), sum(answer.millis for answer in answers), last_arrival)


def _rank_and_end(session: Session, duel: Duel, players: Sequence[DuelPlayer], now: datetime) -> None:
    results = [(player.id, _result(session, player.sitting_id)) for player in players if player.is_in]
    for ended in contest_duel.rank_players(results):
        duels.set_result(session, duel.id, ended.player, ended.result)
        duels.set_place(session, duel.id, ended.player, ended.place, ended.points)
    duels.end(session, duel.id, "over", now)


def call_off(session: Session, duel: Duel, now: datetime) -> None:
    """End a match that did not come about; waiting players get news of it."""
    duels.end(session, duel.id, "off", now)
    for player in duels.players(session, duel.id):
        if player.is_in:
            duels.set_state(session, duel.id, player.id, "done")
            duels.set_pending_news(session, duel.id, player.id, "off")


def end_due(session: Session, now: datetime) -> int:
    """End unanswered invitations and matches past their deadline; returns how many. Calling it again ends nothing more."""
    ended = 0
    for duel_id in duels.due_duels(session, now, now - CLOSING_GRACE):
        duel = duels.lock(session, duel_id)
        if duel is None or duel.state not in ("calling", "running"):
            continue
        ended += 1
        if duel.state == "calling":
            call_off(session, duel, now)
            continue
        players = duels.players(session, duel_id)
        for player in players:
            if player.sitting_id is not None:
                duels.close_sitting(session, player.sitting_id, now)
        _rank_and_end(session, duel, players, now)
        for player in players:
            if player.is_in:
                duels.set_pending_news(session, duel_id, player.id, "over")
    return ended


@dataclass(frozen=True, slots=True)
class DuelRecord:
    """What a player has played this month: matches, first places, match points that count."""

    played: int
    won: int
    points: int


def monthly_record(session: Session, person_id: int, now: datetime) -> DuelRecord:
    month_start = now.astimezone(SHANGHAI).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    played = duels.played_duels(session, person_id, month_start)
    return DuelRecord(
        len(played),
        sum(match.place == 1 for match in played),
        contest_duel.scored_points([(day_of(match.ended_at), match.points) for match in played]),
    )
