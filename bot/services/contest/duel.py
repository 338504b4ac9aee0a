"""Duels (对战): finding an opponent, playing the same questions each at their own pace, and the news of it (bot/docs/rules.md S16).

A message writes only rows of its own person and of the match; news for other players is sent by a job. A match is ended once, by finish or expiry.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.contest import duel as contest_duel
from bot.domain.contest.leaderboard import ContestResult
from bot.domain.message import Incoming, Refusal
from bot.domain.people.person import Learner
from bot.domain.study.sitting import FORMS
from bot.domain.times import SHANGHAI, day_of, duration_text, start_of
from bot.services.campaign.notifications import notify
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


# ── Finding an opponent: the queue, and invitations to named colleagues ──


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


# ── News, queued as notifications so that quotas, quiet hours and the channel of a player are respected ──


def queue_news(session: Session, duel_id: int, person_id: int, news: str, now: datetime) -> bool:
    """Queue waiting news for one player; True for the one caller that did."""
    duel = duels.lock(session, duel_id)
    if duel is None or not duels.claim_pending_news(session, duel_id, person_id, news):
        return False
    content = _news_content(session, duel, person_id, news, now)
    if content is None:
        return False
    # Who did not ask for a match keeps their quiet hours; who plays one waits for the news.
    is_invitation = news == "invited"
    name = "对战邀请" if is_invitation else "对战消息"
    return notify(session, [person_id], content, once=f"duel:{duel_id}:{news}", now=now, quiet=is_invitation, name=name) > 0


def _news_content(session: Session, duel: Duel, person_id: int, news: str, now: datetime) -> CampaignContent | None:
    """The message; None when the news is out of date."""
    players = duels.players(session, duel.id)
    others = [player for player in players if player.id != person_id]
    match news:
        case "invited" if duel.state == "calling" and duel.until > now:
            caller = next(player for player in players if player.id == duel.made_by)
            return CampaignContent(
                "invitation",
                title=f"{caller.name} 邀请您对战",
                text=f"{contest_duel.QUESTION_COUNT} 道题，限时 {_minutes(contest_duel.TIME_LIMIT)}；"
                f"{_minutes(contest_duel.INVITATION_TIMEOUT)}内有效。"
                f"不方便请回复「应战 {duel.id} 谢绝」。",
                target=f"应战 {duel.id}",
                label="应战",
            )
        case "begun" if duel.state == "running":
            named = "、".join(player.name for player in others if player.is_in)
            text = f"与 {named} 的对战开始了，{_minutes(contest_duel.TIME_LIMIT)}内答完 {contest_duel.QUESTION_COUNT} 道题，已经在计时。"
            return CampaignContent("invitation", title="对手到了", text=text, target="对战", label="开始答题")
        case "off":
            return CampaignContent("invitation", title="对战没有打成", text=call_off_reason(duel, players), target="对战", label="再找一次")
        case "over":
            return CampaignContent(
                "invitation", title="对战结束", text="\n".join(result_lines(players, person_id)), target="对战 战绩", label="看战绩"
            )
    return None


def _minutes(span: timedelta) -> str:
    return duration_text(int(span.total_seconds()))


def call_off_reason(duel: Duel, players: Sequence[DuelPlayer]) -> str:
    """Why a match was called off, and what the player can do."""
    if not duel.is_invited:
        joined = sum(player.is_in for player in players)
        shortage = f"（要 {duel.size} 人，来了 {joined} 人）" if duel.size > 2 else ""
        return (
            f"{int(contest_duel.QUEUE_TIMEOUT.total_seconds())} 秒内没有等到对手{shortage}，没有机器人陪打。可以再发「对战」，或邀请同事：对战 工号。"
        )
    caller = next(player for player in players if player.id == duel.made_by)
    if caller.state == "declined":
        return f"{caller.name} 取消了邀请。可以再邀请别人，或发「对战」等人来。"
    declined = [player.name for player in players if player.state == "declined"]
    unanswered = [player.name for player in players if player.state == "invited"]
    parts = ([f"{'、'.join(declined)} 谢绝了"] if declined else []) + ([f"{'、'.join(unanswered)} 没有应战"] if unanswered else [])
    return f"{'，'.join(parts)}。可以再邀请别人，或发「对战」等人来。"


def result_lines(players: Sequence[DuelPlayer], person_id: int) -> list[str]:
    """The places of a match for one of its players; all are named, as they chose each other."""
    placed = sorted((player for player in players if player.place is not None), key=lambda player: (player.place or 0, player.id))
    lines = [f"第 {player.place} 名 {'您' if player.id == person_id else player.name}：{_result_text(player)}" for player in placed]
    return [*lines, "每天前两场计分，名次不计学时。"]


def _result_text(player: DuelPlayer) -> str:
    return f"对 {player.correct} 题，{duration_text(player.millis // 1000)}，对战积分 +{player.points}"
