"""Contests by their services: drafted, opened, played, closed once; boards that can be proved, hours for taking part, nobody's score lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.message import Address, Incoming, Refusal, Reply
from bot.domain.people.audience import All, UnitIs
from bot.domain.people.person import Learner, RoleName
from bot.services.campaign import fire
from bot.services.contest import closing, manage, notifications, play
from bot.services.contest.play import apportion
from bot.services.delivery import plan as delivery_plan
from bot.services.study import quiz
from bot.storage.contest import contests, players
from bot.storage.delivery import completion, queue, reminders
from bot.storage.hours import ledger
from tests.conftest import NOW, enroll

ADMIN = Author("9001", "cli")
PLAN = ContestPlan("七一知识竞赛", "windowed", ContestRules(), ("监察法",), All(), NOW, NOW + timedelta(days=7))


@dataclass(frozen=True)
class Sorted:
    ready: list[tuple[int, Reply]]
    skipped: list[tuple[int, str]]


class Field:
    """A dispatcher with people on its roster, who play with a clock of their own."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.now = NOW
        self.people: dict[str, Learner] = {}

    @property
    def catalog(self):  # type: ignore[no-untyped-def]
        return self.dispatcher.catalog()

    def do(self, work: Callable[[Session], Any]) -> Any:
        return self.dispatcher.database.write_now(work)

    def person(self, staff_no: str, **more: Any) -> Learner:
        person_id = self.do(lambda session: enroll(session, staff_no, **more))
        self.people[staff_no] = Learner(person_id, staff_no, f"学员{staff_no}", "公务员", frozenset({RoleName.LEARNER}))
        return self.people[staff_no]

    def open(self, plan: ContestPlan = PLAN, author: Author = ADMIN, *, invite: bool = False) -> int:
        def work(session: Session) -> int:
            made = manage.create(session, self.catalog, author, plan, self.now)
            one = manage.open_contest(session, author, made, self.now)
            if invite:
                notifications.invite(session, self.catalog, author, one, self.now)
            return made

        return int(self.do(work))

    def begin(self, me: Learner, contest_id: int) -> quiz.AskedQuestion:
        made: quiz.AskedQuestion = self.do(lambda session: play.begin_set(session, self.catalog, me, contest_id, self.now, random.Random(me.id)))
        return made

    def answer(self, me: Learner, put: quiz.AskedQuestion, right: bool, arrived: datetime | None = None) -> quiz.AnswerOutcome:
        question = put.question
        wrong = next(said for said, _ in question.choices if said not in question.key)
        incoming = Incoming(Address("local", "test", me.staff_no), "", f"m{random.random()}", arrived or self.now)

        def work(session: Session) -> quiz.AnswerOutcome:
            outcome = quiz.answer(session, self.catalog, me.id, put, question.key if right else wrong, incoming, self.now)
            if outcome.score is not None:
                play.end_set(session, self.catalog, outcome.sitting, self.now)
            return outcome

        made: quiz.AnswerOutcome = self.do(work)
        return made

    def play(self, me: Learner, contest_id: int, right: int, seconds: float = 4) -> None:
        """A whole set, of which the first so many are answered right."""
        put: quiz.AskedQuestion | None = self.begin(me, contest_id)
        n = 0
        while put is not None:
            self.now += timedelta(seconds=seconds)
            put = self.answer(me, put, n < right).next_question
            n += 1

    def mine(self, me: Learner, contest_id: int) -> players.Participant:
        made: players.Participant = self.do(lambda session: players.get(session, contest_id, me.id))
        return made

    def result(self, me: Learner, contest_id: int) -> tuple[int, int, int]:
        result = self.mine(me, contest_id).result
        return result.points, result.correct, result.millis

    def hours(self, me: Learner) -> dict[str, int]:
        return dict(self.do(lambda session: ledger.year_seconds(session, me.id, 2026)))

    def plan(self) -> Sorted:
        """What the delivery worker would say now, and what it need not say any more."""
        owed = self.do(lambda session: queue.claim(session, "h", self.now, 100, 0))
        made = self.do(lambda session: delivery_plan.plan_deliveries(session, self.catalog, owed, self.now, delivery_plan.OpenChannels(("local",))))
        return Sorted([(one.queued.person_id, one.message.reply) for one in made.ready], made.skip)

    def close(self, contest_id: int) -> closing.Board | None:
        closed: closing.Board | None = self.do(lambda session: closing.close(session, self.catalog, contest_id, self.now))
        return closed


@pytest.fixture
def field(dispatcher: Dispatcher) -> Field:
    return Field(dispatcher)


def test_a_set_is_played_and_stands_by_points_right_answers_and_the_servers_time(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    field.play(me, number, right=3, seconds=4)
    assert field.result(me, number) == (8000 + 3 * 400, 3, 20_000)


def test_hours_are_for_taking_part_once_a_contest_and_no_rank_earns_more(field: Field) -> None:
    best, worst = field.person("1001"), field.person("1002")
    number = field.open(replace(PLAN, rules=ContestRules(sets_a_day=2)))
    for me, right in ((best, 5), (worst, 0), (best, 5)):
        field.play(me, number, right)
    field.now = NOW + timedelta(days=7, seconds=6)
    assert field.close(number) is not None
    for me in (best, worst):
        assert field.hours(me) == {"contest": 1350}


def test_of_many_contests_a_year_hours_stop_at_the_cap_with_the_reason_kept(field: Field) -> None:
    me = field.person("1001")
    for n in range(5):
        number = field.open(replace(PLAN, name=f"第 {n} 场"))
        field.play(me, number, 2)
        field.close(number)
    assert field.hours(me) == {"contest": 5400}
    refused = field.do(lambda session: session.execute(text("SELECT seconds, reason FROM uncredited")).all())
    assert [row[0] for row in refused] == [1350], "one contest, one explanation, however often it is looked at"
    assert "本年竞赛 2 学时" in refused[0][1]


def test_who_only_joins_earns_nothing(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    put = field.begin(me, number)
    field.answer(me, put, right=True)
    board = field.close(number)
    assert board is not None
    assert [one.player.result.points for one in board.places] == [400], "what was answered counts all the same"
    assert field.hours(me) == {}


def test_the_sets_of_a_day_are_limited_and_the_next_day_has_its_own(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    field.play(me, number, 5)
    with pytest.raises(Refusal, match="今天的已经做完"):
        field.begin(me, number)
    field.now += timedelta(days=1)
    field.play(me, number, 5)
    assert field.result(me, number)[0] == 20_000


def test_questions_come_again_only_when_there_are_no_others(field: Field) -> None:
    me, number = field.person("1001"), field.open(replace(PLAN, rules=ContestRules(sets_a_day=4), names=()))
    for _ in range(4):
        field.play(me, number, 5)
    asked = field.do(
        lambda session: session.execute(text("SELECT question FROM sitting_item i JOIN contest_set c ON c.sitting_id = i.sitting_id")).all()
    )
    assert len(asked) == len(set(asked)) == 20


def test_a_bank_that_ran_dry_begins_no_set(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    catalog = field.catalog
    usable = dict(list(catalog.drawn.items())[:3])
    with pytest.raises(Refusal, match="不够一套"):
        field.do(lambda session: play.begin_set(session, replace(catalog, drawn=usable), me, number, NOW, random.Random(1)))
    assert field.begin(me, number).item.n == 1


def test_every_set_holds_the_same_mix_of_levels() -> None:
    assert apportion({1: 10, 2: 60, 3: 30}, 5) == {1: 1, 2: 3, 3: 1}
    assert apportion({1: 5}, 5) == {1: 5}
    assert sum(apportion({1: 7, 2: 11, 3: 13}, 10).values()) == 10


@pytest.mark.parametrize(("late", "counts"), [(-0.001, True), (0, False), (1, False)])
def test_the_arrival_at_the_server_decides_whether_an_answer_is_in_time(field: Field, late: float, counts: bool) -> None:
    me, number = field.person("1001"), field.open()
    put = field.begin(me, number)
    closes = NOW + timedelta(days=7)
    field.now = closes + timedelta(seconds=2)
    arrived = closes + timedelta(seconds=late)
    if counts:
        assert field.answer(me, put, right=True, arrived=arrived).mark.correct
        return
    with pytest.raises(Refusal, match=r"未记录.*已经截止"):
        field.answer(me, put, right=True, arrived=arrived)


def test_a_contest_closes_once_within_ten_seconds_of_its_end_and_its_board_stays(field: Field) -> None:
    first, second = field.person("1001"), field.person("1002")
    number = field.open()
    field.play(first, number, 5)
    field.play(second, number, 2)
    field.now = NOW + timedelta(days=7, seconds=4)
    assert field.do(lambda session: closing.close_due(session, field.catalog, field.now)) == []
    field.now += timedelta(seconds=2)
    assert field.do(lambda session: closing.close_due(session, field.catalog, field.now)) == [number]
    assert field.do(lambda session: closing.close_due(session, field.catalog, field.now)) == [], "whoever comes after changes nothing"
    frozen = field.do(lambda session: contests.get(session, number))
    assert (frozen.state, frozen.board["took_part"]) == ("closed", 2)
    assert [field.mine(me, number).place for me in (first, second)] == [1, 2]
    with pytest.raises(Refusal, match="已结束"):
        field.begin(first, number)


def test_an_open_set_counts_as_far_as_it_was_answered_and_leaves_free_hands(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    put = field.begin(me, number)
    put = field.answer(me, put, right=True).next_question  # type: ignore[assignment]
    field.answer(me, put, right=True)
    field.now = NOW + timedelta(days=7, seconds=6)
    board = field.close(number)
    assert board is not None
    assert [(one.place, one.player.result.points) for one in board.places] == [(1, 800)]
    assert field.do(lambda session: session.execute(text("SELECT COUNT(*) FROM focus")).scalar_one()) == 0
    assert field.do(lambda session: session.execute(text("SELECT state FROM sitting")).scalar_one()) == "left"


def test_counting_again_from_the_answers_gives_the_same_board(field: Field) -> None:
    number = field.open(replace(PLAN, rules=ContestRules(sets_a_day=3, counted_a_day=2, speed=30, teams="unit", best=2)))
    for n in range(6):
        me = field.person(f"10{n:02}", unit=f"某局/{'甲乙'[n % 2]}处")
        for turn in range(n % 3 + 1):
            field.play(me, number, (n + turn) % 6, seconds=2 + n)
    field.close(number)
    before, after = field.do(lambda session: closing.recount(session, number, field.now))
    assert before.places == after.places
    assert before.teams == after.teams
    assert len(after.places) == 6


def test_counting_again_in_mid_course_ends_nobodys_set(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    put = field.begin(me, number)
    put = field.answer(me, put, right=True).next_question  # type: ignore[assignment]
    field.do(lambda session: closing.recount(session, number, field.now))
    field.answer(me, put, right=True)
    board = field.close(number)
    assert board is not None
    assert board.places[0].player.result.points == 800


def test_teams_by_unit_hold_all_of_the_unit_and_are_never_dissolved(field: Field) -> None:
    one, _, other = field.person("1001", unit="某局/甲处"), field.person("1002", unit="某局/甲处"), field.person("1003", unit="某局/乙处")
    number = field.open(replace(PLAN, rules=ContestRules(teams="unit")))
    field.play(one, number, 5)
    field.play(other, number, 0)
    board = field.close(number)
    assert board is not None
    assert [(each.name, each.score, each.members, each.present) for each in board.teams] == [("某局/乙处", 8000, 1, 1), ("某局/甲处", 5000, 2, 1)]


def test_a_late_joiner_of_the_unit_enters_its_team(field: Field) -> None:
    field.person("1001", unit="某局/甲处")
    number = field.open(replace(PLAN, rules=ContestRules(teams="unit")))
    late = field.person("1002", unit="某局/甲处")
    field.play(late, number, 5)
    assert field.do(lambda session: [row[2] for row in players.list_members(session, number)]) == ["1001", "1002"]


def test_a_contest_for_one_unit_does_not_exist_for_others(field: Field) -> None:
    field.person("1000", unit="某局/甲处")
    stranger = field.person("1001", unit="某局/乙处")
    number = field.open(replace(PLAN, audience=UnitIs("某局/甲处")))
    with pytest.raises(Refusal, match="没有编号为"):
        field.begin(stranger, number)
    assert field.do(lambda session: play.open_contests(session, stranger, NOW)) == []


def test_an_administrator_of_one_unit_neither_reaches_further_nor_sees_the_contests_of_others(field: Field) -> None:
    field.person("1000", unit="某局/甲处")
    mine = Author("9002", "cli", ("某局/甲处",))
    number = field.open(author=mine)
    assert field.do(lambda session: contests.get(session, number)).plan.audience == UnitIs("某局/甲处")
    whole = field.open()
    assert field.do(lambda session: [one.id for one in manage.list_contests(session, mine)]) == [number]
    with pytest.raises(Refusal, match=f"没有编号为 {whole}"):
        field.do(lambda session: closing.close_early(session, field.catalog, mine, whole, NOW))


def test_groups_among_equals_hold_those_of_like_strength(field: Field) -> None:
    """Twenty people, of whom ten had been right before; each sees a board of their own ten."""
    strong = [field.person(f"10{n:02}") for n in range(10)]
    weak = [field.person(f"20{n:02}") for n in range(10)]
    first = field.open(replace(PLAN, name="上一场"))
    for me, right in [*((one, 5) for one in strong), *((one, 0) for one in weak)]:
        field.play(me, first, right)
    number = field.open(replace(PLAN, rules=ContestRules(league=10, board="upper")))
    for n, me in enumerate([*strong, *weak]):
        field.play(me, number, n % 6)
    board = field.close(number)
    assert board is not None
    for group in (strong, weak):
        mine = closing.league_places(board, group[0].id)
        assert {one.player.id for one in mine} == {one.id for one in group}
        assert mine[0].place == 1


def test_a_cancelled_contest_takes_its_hours_back_by_reversal_and_has_no_board(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    field.play(me, number, 5)
    assert field.do(lambda session: manage.cancel(session, ADMIN, number, "题目外泄", field.now)) == 1
    assert field.hours(me) == {"contest": 0}
    assert field.do(lambda session: session.execute(text("SELECT COUNT(*) FROM ledger")).scalar_one()) == 2
    assert field.do(lambda session: session.execute(text("SELECT COUNT(*) FROM answer")).scalar_one()) == 5, "what was recorded stands"
    with pytest.raises(Refusal, match="已取消"):
        field.begin(me, number)


def test_ended_before_its_time_it_takes_what_arrived_before_and_closes_after_the_grace(field: Field) -> None:
    me, number = field.person("1001"), field.open()
    put = field.begin(me, number)
    field.now += timedelta(minutes=1)
    field.do(lambda session: closing.end_early(session, ADMIN, number, field.now))
    ended = field.now
    field.now += timedelta(seconds=2)
    put = field.answer(me, put, right=True, arrived=ended - timedelta(seconds=1)).next_question  # type: ignore[assignment]
    with pytest.raises(Refusal, match=r"未记录.*已经截止"):
        field.answer(me, put, right=True)
    assert field.do(lambda session: closing.close_due(session, field.catalog, field.now)) == []
    field.now += timedelta(seconds=3)
    assert field.do(lambda session: closing.close_due(session, field.catalog, field.now)) == [number]
    assert field.result(me, number)[0] == 400
    with pytest.raises(Refusal, match="没有可以结束的"):
        field.do(lambda session: closing.end_early(session, ADMIN, number, field.now))


def test_what_begins_this_moment_is_not_ended(field: Field) -> None:
    number = field.open()
    with pytest.raises(Refusal, match="还没有开始"):
        field.do(lambda session: closing.end_early(session, ADMIN, number, NOW))


def test_what_has_not_begun_is_cancelled_and_not_ended(field: Field) -> None:
    number = field.open(replace(PLAN, opens_at=NOW + timedelta(days=1)))
    with pytest.raises(Refusal, match="还没有开始"):
        field.do(lambda session: closing.end_early(session, ADMIN, number, NOW))


def test_what_is_open_is_not_changed_any_more(field: Field) -> None:
    number = field.open()
    with pytest.raises(Refusal, match="规则不能再改"):
        field.do(lambda session: manage.update_draft(session, field.catalog, ADMIN, number, replace(PLAN, name="别的"), NOW))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (replace(PLAN, closes_at=None), "开始和截止时间"),
        (replace(PLAN, closes_at=NOW), "截止时间要在开始时间之后"),
        (replace(PLAN, names=("没有的法",)), "没有叫「没有的法」"),
        (replace(PLAN, rules=ContestRules(size=100), names=("监察法",)), "不够一套 100 题"),
        (replace(PLAN, name="职务处分法知识赛"), "应为《中华人民共和国公职人员政务处分法》"),
        (replace(PLAN, name=""), "1 到 80 个字"),
        (replace(PLAN, form="lottery"), "竞赛形式"),
        (replace(PLAN, audience=UnitIs("没有的处")), "没有「没有的处」这个单位"),
    ],
)
def test_a_contest_that_cannot_be_held_is_refused_before_anybody_sees_it(field: Field, plan: ContestPlan, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        field.open(plan)


def test_every_act_stands_in_the_audit(field: Field) -> None:
    number = field.open()
    field.do(lambda session: closing.close_early(session, field.catalog, ADMIN, number, NOW))
    found = field.do(lambda session: session.execute(text("SELECT action, actor, target FROM audit ORDER BY id")).all())
    assert [tuple(row) for row in found] == [(act, "9001", f"contest:{number}") for act in ("新建竞赛", "开放竞赛", "竞赛结束")]


# ── Told ──


def test_its_audience_is_invited_and_reminded_and_who_took_part_is_left_in_peace(field: Field) -> None:
    played, idle = field.person("1001"), field.person("1002")
    number = field.open(invite=True)
    field.play(played, number, 3)
    found = field.do(lambda session: session.execute(text("SELECT name, state FROM campaign ORDER BY id")).all())
    assert [tuple(row) for row in found] == [("竞赛：七一知识竞赛", "running"), ("竞赛提醒：七一知识竞赛", "running")]
    field.now = NOW + timedelta(days=6, hours=1, minutes=1)
    fired = field.do(lambda session: fire.fire_due(session, field.catalog, field.catalog.library.calendar, field.now))
    assert {one.name for one in fired if one.state == "fired"} >= {"竞赛提醒：七一知识竞赛"}
    plan = field.plan()
    assert {who for who, _ in plan.ready} == {idle.id}
    assert {why for _, why in plan.skipped if why == "已完成"} == {"已完成"}
    assert plan.ready[0][1].buttons[0].say == f"竞赛 {number}"


def test_nobody_is_invited_to_what_is_over_or_cancelled(field: Field) -> None:
    field.person("1001")
    number = field.open(invite=True)
    field.now += timedelta(minutes=2)
    field.do(lambda session: fire.fire_due(session, field.catalog, field.catalog.library.calendar, field.now))
    field.close(number)
    assert [why for _, why in field.plan().skipped] == ["竞赛已结束"]
    other = field.open(invite=True)
    field.do(lambda session: manage.cancel(session, ADMIN, other, "改期", field.now))
    states = field.do(lambda session: session.execute(text("SELECT state FROM campaign WHERE created_by <> 'system' ORDER BY id DESC LIMIT 2")).all())
    assert [row[0] for row in states] == ["stopped", "stopped"]


def test_who_took_part_is_told_that_the_results_are_there(field: Field) -> None:
    me, _ = field.person("1001"), field.person("1002")
    number = field.open()
    field.play(me, number, 3)
    field.now = NOW + timedelta(days=7, seconds=6)
    field.close(number)
    plan = field.plan()
    assert [who for who, _ in plan.ready] == [me.id]
    assert plan.ready[0][1].buttons[0].say == f"竞赛 {number} 成绩"


def test_whoever_is_nudged_about_a_contest_has_not_taken_part(field: Field) -> None:
    played, idle = field.person("1001"), field.person("1002")
    number = field.open(invite=True)
    field.now += timedelta(minutes=2)
    field.do(lambda session: fire.fire_due(session, field.catalog, field.catalog.library.calendar, field.now))
    field.play(played, number, 3)
    first = field.do(lambda session: session.execute(text("SELECT MIN(id) FROM campaign")).scalar_one())
    task, _ = field.do(lambda session: reminders.last_task(session, first))
    assert field.do(lambda session: completion.open_people(session, task, NOW.date())) == [idle.id]
    assert task.buttons[0].say == f"竞赛 {number}"
