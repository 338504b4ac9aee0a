"""Playing a windowed contest: who may take part, drawing sets of equal difficulty, scoring them (bot/docs/rules.md S15, S19)."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.contest.contest import STATE_LABELS, Contest, ContestPlan, span_text
from bot.domain.contest.leaderboard import ContestResult, overall_result, set_result
from bot.domain.message import Incoming, Refusal
from bot.domain.people.audience import And, PeopleAre
from bot.domain.people.person import Learner
from bot.domain.times import day_of
from bot.services.hours import credit
from bot.services.hours.credit import EarnedCredit
from bot.services.library.catalog import Catalog
from bot.services.study import quiz
from bot.services.study.current_task import OpenSittingFacts
from bot.services.study.quiz import TAPPED_KINDS, AskedQuestion
from bot.storage.contest import contests, players
from bot.storage.contest.contests import ContestItem
from bot.storage.contest.players import ContestSet, Participant
from bot.storage.people import audience
from bot.storage.study import sittings
from bot.storage.study.sittings import OpenSitting


def question_pool(catalog: Catalog, names: Sequence[str]) -> list[str]:
    """The questions of laws, sets or banks that are answered by a tap and may be drawn, in the order of the files; of all without a name."""
    if not names:
        questions = list(catalog.library.questions.values())
    else:
        questions = []
        for name in names:
            named_questions = catalog.library.questions_of(name)
            if named_questions is None:
                raise Refusal(f"没有叫「{name[:40]}」的法律、法律组或题库。现有：{'、'.join(catalog.library.names)}。")
            questions += named_questions
    return list(dict.fromkeys(question.id for question in questions if question.kind in TAPPED_KINDS and question.id in catalog.drawn))


def draw_questions(catalog: Catalog, names: Sequence[str], size: int, seen_ids: Collection[str], rng: random.Random) -> list[str]:
    """`size` questions in random order. Every set of a contest holds as many of each level as every other, by the shares of the pool.

    What somebody has had in this contest comes again only when nothing else of the level is left.
    """
    by_level: dict[int, list[str]] = {}
    for question_id in question_pool(catalog, names):
        by_level.setdefault(catalog.library.questions[question_id].level, []).append(question_id)
    counts = apportion({level: len(question_ids) for level, question_ids in by_level.items()}, size)
    drawn: list[str] = []
    for level, count in counts.items():
        fresh = [question_id for question_id in by_level[level] if question_id not in seen_ids]
        repeated = [question_id for question_id in by_level[level] if question_id in seen_ids]
        rng.shuffle(fresh)
        rng.shuffle(repeated)
        drawn += (fresh + repeated)[:count]
    rng.shuffle(drawn)
    return drawn


def fixed_items(catalog: Catalog, plan: ContestPlan, questions: Sequence[str], rng: random.Random) -> list[ContestItem]:
    """The questions of a contest in which all are asked the same: those that were named, else as many as a set has, drawn once. None in a window.

    On a stage a question may be named with its round before it (抢答 jcf-d-01).

    Raises `Refusal` for a question that is not there, or is not answered by a tap.
    """
    if plan.form == "windowed":
        if questions:
            raise Refusal("限时竞赛每人抽题，不能写固定的题（questions）；要所有人同题请用 form: live。")
        return []
    usable = set(question_pool(catalog, ()))
    parts = [text.rpartition(" ")[0].strip() for text in questions]
    questions = [text.rpartition(" ")[2] for text in questions]
    if any(parts) and plan.form != "onsite":
        raise Refusal("只有现场分轮竞赛（form: onsite）的题可以在前面写轮次，例如「抢答 题目编号」。")
    if unusable := [question_id for question_id in questions if question_id not in usable]:
        raise Refusal(f"题目 {'、'.join(unusable[:5])} 不在题库里、已停用，或不是选择和判断题。")
    if not questions and (available := len(question_pool(catalog, plan.names))) < plan.rules.size:
        raise Refusal(f"「{'、'.join(plan.names) or '全部题库'}」可用的题只有 {available} 道，不够 {plan.rules.size} 题。")
    names = list(questions) or draw_questions(catalog, plan.names, plan.rules.size, (), rng)
    rounds = parts or [""] * len(names)
    return [ContestItem(n, name, catalog.drawn[name], plan.rules.base, part) for n, (name, part) in enumerate(zip(names, rounds, strict=True), 1)]


def apportion(available: dict[int, int], size: int) -> dict[int, int]:
    """How many of each level, by largest remainder; never more than there are while others are left."""
    available_total = sum(available.values())
    counts = {level: count * size // available_total for level, count in available.items()}
    by_remainder = sorted(available, key=lambda level: (-(available[level] * size % available_total), level))
    for level in by_remainder[: size - sum(counts.values())]:
        counts[level] += 1
    return counts


KIND = "contest"
MAX_LISTED = 20
MAX_PAST = 3
CLOSED_TEXT = "本场竞赛已经截止"


@dataclass(frozen=True, slots=True)
class ContestStanding:
    """A person's standing: their participation (None before they joined), their sets, how many are left today, their team."""

    contest: Contest
    mine: Participant | None
    sets: tuple[ContestSet, ...]
    left_today: int
    team: str


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """The result of a finished set, the player's new standing, and the hours credited for taking part (None: credited before)."""

    contest: Contest
    result: ContestResult
    standing: ContestStanding
    earned: EarnedCredit | None


def require_visible(session: Session, me: Learner, contest_id: int, now: datetime) -> Contest:
    """A contest that this person may see: announced, and meant for them. Anything else is refused like one that does not exist."""
    contest = contests.get(session, contest_id)
    if contest is None or contest.state == "draft" or not (_is_invited(session, contest, me, now) or players.get(session, contest_id, me.id)):
        raise Refusal(f"没有编号为 {contest_id} 的竞赛，或它不对您开放。发送「竞赛」看可以参加的。")
    return contest


def open_contests(session: Session, me: Learner, now: datetime) -> list[Contest]:
    """The contests that are open and meant for somebody, those that end first in front."""
    offered_contests = [contest for contest in contests.list_all(session) if contest.state == "open" and _is_invited(session, contest, me, now)]
    return sorted(offered_contests, key=lambda contest: (contest.plan.closes_at is None, contest.plan.closes_at or now, contest.id))


def ranked_contests(session: Session, me: Learner, now: datetime) -> list[Contest]:
    """What has a board that this person may look at, newest first: announced, meant for them or joined."""
    candidates = [contest for contest in contests.list_all(session) if contest.state in ("open", "closed") and contest.rules.board != "off"][
        :MAX_LISTED
    ]
    return [contest for contest in candidates if players.get(session, contest.id, me.id) or _is_invited(session, contest, me, now)]


def past_contests(session: Session, me: Learner) -> list[Contest]:
    """The last contests that somebody took part in and that are over, newest first."""
    past_contests = (contests.get(session, contest_id) for contest_id in players.closed_contests(session, me.id, MAX_PAST))
    return [contest for contest in past_contests if contest is not None]


def _is_invited(session: Session, contest: Contest, me: Learner, now: datetime) -> bool:
    scope = And((contest.plan.audience, PeopleAre((me.staff_no,))))
    invited = audience.evaluate(session, scope, day_of(now), now)
    # People on leave get no reminders, but may take part.
    return bool(invited.people or invited.excluded)


def join(session: Session, contest: Contest, me: Learner, now: datetime) -> bool:
    """Take part; True for the first time. Joining again keeps everything: points, sets, the team."""
    unit_id = players.unit_of(session, me.id, day_of(now))
    strength = players.recent_accuracy(session, me.id, now) if contest.rules.league else 0
    first = players.join(session, contest.id, me.id, unit_id, strength, now)
    if first and contest.rules.teams == "unit" and players.team_of(session, contest.id, me.id) is None:
        path = players.unit_path(session, unit_id)
        if path is not None:
            players.add_members(session, contest.id, players.get_or_create_team(session, contest.id, path, unit_id), [me.id])
    return first


def standing(session: Session, contest: Contest, person_id: int, now: datetime) -> ContestStanding:
    sets = tuple(players.list_sets(session, contest.id, person_id))
    today = sum(contest_set.day == day_of(now) for contest_set in sets)
    team = players.team_of(session, contest.id, person_id)
    left = max(0, contest.rules.sets_a_day - today)
    return ContestStanding(contest, players.get(session, contest.id, person_id), sets, left, "" if team is None else team.name)


def begin_set(session: Session, catalog: Catalog, me: Learner, contest_id: int, now: datetime, rng: random.Random) -> AskedQuestion:
    """The first question of a new set, or where an open one was left. Raises `Refusal` outside the window and beyond the sets of a day."""
    require_visible(session, me, contest_id, now)
    contest = lock_open(session, contest_id, now)
    last_sitting = sittings.last_sitting(session, me.id, KIND, str(contest_id))
    if last_sitting is not None and last_sitting.state == "open":
        return quiz.resume(session, catalog, me.id, last_sitting.id, now)
    join(session, contest, me, now)
    current = standing(session, contest, me.id, now)
    if not current.left_today:
        raise Refusal(f"「{contest.name}」每天 {contest.rules.sets_a_day} 套，今天的已经做完，明天再来。")
    names = draw_questions(catalog, contest.plan.names, contest.rules.size, players.asked_questions(session, contest_id, me.id), rng)
    if len(names) < contest.rules.size:
        raise Refusal(f"「{contest.name}」的题库里可用的题不够一套（有题停用了），这次没有开始，也不占今天的次数；请联系主办的管理员。")
    first_question = quiz.open_set(session, catalog, me.id, KIND, str(contest_id), names, now)
    number = sum(contest_set.day == day_of(now) for contest_set in current.sets) + 1
    players.begin_set(session, contest_id, me.id, first_question.sitting.id, day_of(now), number)
    return first_question


def check_open(contest: Contest, arrived: datetime) -> None:
    """Raises `Refusal` when what arrives at a moment does not count."""
    if contest.state != "open":
        raise Refusal(f"未记录：竞赛「{contest.name}」{STATE_LABELS[contest.state]}。")
    if contest.plan.opens_at is not None and arrived < contest.plan.opens_at:
        raise Refusal(f"竞赛「{contest.name}」还没有开始（{span_text(contest.plan)}）。")
    if not contest.is_open_at(arrived):
        raise Refusal(f"未记录：{CLOSED_TEXT}（{span_text(contest.plan)}），以服务器收到的时间为准。已答的都算数，结果马上公布。")


def lock_open(session: Session, contest_id: int, arrived: datetime) -> Contest:
    """The contest, which is not closed before this transaction ends: what is written now will be on its board.

    Raises `Refusal` when what arrived at `at` does not count. Checked before it is locked, so that a late answer never waits for the closing.
    """
    contest = contests.get(session, contest_id)
    assert contest is not None
    check_open(contest, arrived)
    locked = contests.lock_shared(session, contest_id)
    assert locked is not None
    check_open(locked, arrived)
    return locked


def late_answers(session: Session, arriving: Sequence[tuple[OpenSitting, Incoming]]) -> list[Refusal | None]:
    """Why answers do not count: by their arrival at the server. The contests of those that do are held open."""
    held: dict[int, Contest] = {}

    def why_late(sitting: OpenSitting, incoming: Incoming) -> Refusal | None:
        contest_id = int(sitting.scope)
        try:
            if contest_id in held:
                check_open(held[contest_id], incoming.arrived)
            else:
                held[contest_id] = lock_open(session, contest_id, incoming.arrived)
        except Refusal as refusal:
            return refusal
        return None

    return [why_late(sitting, incoming) for sitting, incoming in arriving]


def end_set(session: Session, catalog: Catalog, sitting: OpenSitting, now: datetime) -> SetOutcome:
    """Score a finished set, and credit the hours for taking part."""
    contest = contests.get(session, int(sitting.scope))
    assert contest is not None
    result = settle_set(session, contest, sitting.id, sitting.person_id, now)
    earned = credit.earn_contest(session, catalog.policy, sitting.person_id, contest.id, day_of(now), now)
    return SetOutcome(contest, result, standing(session, contest, sitting.person_id, now), earned)


def settle_set(session: Session, contest: Contest, sitting_id: int, person_id: int, now: datetime) -> ContestResult:
    """Store the result of a set, as far as it was answered, and the player's overall result with it."""
    answers, last_arrival, is_whole = players.scored_answers(session, sitting_id)
    result = set_result(contest.rules, answers, last_arrival, is_whole=is_whole)
    players.end_set(session, sitting_id, result, last_arrival or now, is_whole=is_whole)
    finished_sets = [
        contest_set.finished_set
        for contest_set in players.list_sets(session, contest.id, person_id)
        if contest_set.is_over and (contest_set.is_whole or contest_set.result.points)
    ]
    players.set_result(session, contest.id, person_id, overall_result(contest.rules, finished_sets))
    return result


def sitting_name(session: Session, catalog: Catalog, facts: OpenSittingFacts) -> str:
    contest = contests.get(session, int(facts.scope))
    return f"竞赛「{contest.name}」" if contest is not None else "竞赛"
