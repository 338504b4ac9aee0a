"""An exam from the draft to the result: who may begin, what is saved, when it ends, what it comes to ."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.commands.exam import messages as exam_messages
from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.exam.exam import ExamGate
from bot.domain.exam.paper import draw_paper
from bot.domain.message import Refusal
from bot.domain.people.audience import PeopleAre, UnitIs
from bot.services.exam import answers, finish, manage, paper_view, question_pool
from bot.services.exam import extra_time as exam_extra_time
from bot.storage.db.engine import session_on
from bot.storage.exam import attempts, extra_time
from bot.storage.hours import ledger
from bot.storage.study import current_task, readings
from tests.conftest import NOW, enroll
from tests.support.exams import ADMIN, BLUEPRINT, SECOND, ExamHarness, message

MINUTE = timedelta(minutes=1)


@pytest.fixture
def hall(dispatcher: Dispatcher) -> ExamHarness:
    return ExamHarness(dispatcher)


@pytest.fixture
def person(hall: ExamHarness) -> int:
    made = hall.run(lambda session: enroll(session, "1001", "学员甲"))
    assert isinstance(made, int)
    return made


def hours_of(hall: ExamHarness, person_id: int) -> int:
    return dict(hall.dispatcher.database.read_now(lambda session: ledger.year_seconds(session, person_id, 2026))).get("exam", 0)


# ── Beginning ──


def test_an_impossible_blueprint_is_refused_with_what_is_missing_and_leaves_nothing(hall: ExamHarness) -> None:
    with pytest.raises(Refusal, match=r"民法典 单选题 还差 3 道；判断题（案例） 还差 1 道"):
        hall.draft("民法典 单选 71×1、判断 40×1 案例=28；30 分钟；及格 60%")
    assert hall.run(lambda session: session.execute(text("SELECT COUNT(*) FROM exam")).scalar()) == 0


def test_a_draft_is_seen_by_nobody_and_published_once(hall: ExamHarness, person: int) -> None:
    exam_id = hall.draft()
    with pytest.raises(Refusal, match="没有编号"):
        hall.begin(person, exam_id)
    hall.run(lambda session: manage.publish(session, hall.catalog, ADMIN, exam_id, NOW))
    with pytest.raises(Refusal, match="只有草稿可以发布"):
        hall.run(lambda session: manage.publish(session, hall.catalog, ADMIN, exam_id, NOW))
    assert hall.begin(person, exam_id).status.size == 6


def test_beginning_draws_a_paper_and_the_clock_runs_to_the_limit_or_the_close(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    begun = hall.begin(person, exam_id)
    assert begun.status.attempt.deadline == NOW + 30 * MINUTE
    assert (begun.status.left, begun.status.answered, begun.status.unanswered) == (1800, 0, (1, 2, 3, 4, 5, 6))
    other = hall.run(lambda session: enroll(session, "1002"))
    late = hall.begin(other, exam_id, NOW + 100 * MINUTE)
    assert late.status.attempt.deadline == NOW + 120 * MINUTE


def test_who_begins_again_goes_on_where_it_was_left_with_the_clock_running(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.answer(person, sitting_id, 1, hall.keys(sitting_id)[0][0], NOW + MINUTE)
    hall.run(lambda session: current_task.drop_focus(session, person))
    again = hall.begin(person, exam_id, NOW + 10 * MINUTE)
    assert again.resumed
    assert (again.status.sitting_id, again.status.answered, again.status.left, again.status.place) == (sitting_id, 1, 1200, 2)
    assert hall.dispatcher.database.read_now(lambda session: current_task.focus(session, person)) == ("exam", sitting_id)


def test_who_is_not_meant_is_told_there_is_no_such_exam(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(audience=UnitIs("某局/办公室"))
    other = hall.run(lambda session: enroll(session, "2001", unit="某局/财务处"))
    with pytest.raises(Refusal, match="不在这场考试的范围里"):
        hall.begin(other, exam_id)
    assert hall.begin(person, exam_id).status.size == 6


def test_the_window_and_the_late_rule_hold_to_the_moment(hall: ExamHarness, person: int) -> None:
    opens = NOW + 60 * MINUTE
    exam_id = hall.publish(opens_at=opens, closes_at=opens + 120 * MINUTE, late_minutes=15)
    with pytest.raises(Refusal, match="还没到时间"):
        hall.begin(person, exam_id, opens - timedelta(microseconds=1))
    with pytest.raises(Refusal, match="开考 15 分钟后不得入场"):
        hall.begin(person, exam_id, opens + 15 * MINUTE + timedelta(microseconds=1))
    assert hall.begin(person, exam_id, opens + 15 * MINUTE).status.left == 1800
    other = hall.run(lambda session: enroll(session, "1002"))
    with pytest.raises(Refusal, match="结束，不能再进入"):
        hall.begin(other, exam_id, opens + 120 * MINUTE)


@pytest.mark.parametrize(
    ("opens", "closes", "late", "says"),
    [
        (1, 75, 30, "迟到限制只用于同一天开考的考试.*3月2日 10:30 以后就谁也进不了场"),
        (-2, 3, 30, "照这样谁也进不了场.*最晚入场 3月2日 07:30 已经过了"),
        (1, 3, 30, ""),
        (1, 75, None, ""),
    ],
    ids=["late over days", "entry is over", "late on the day", "days without late"],
)
def test_a_window_in_which_nobody_could_sit_is_refused_when_it_is_drafted(
    hall: ExamHarness, opens: int, closes: int, late: int | None, says: str
) -> None:
    """Hours from now, Monday 2 March 09:00 in Beijing."""
    moments: dict[str, Any] = {"opens_at": NOW + timedelta(hours=opens), "closes_at": NOW + timedelta(hours=closes), "late_minutes": late}
    if not says:
        assert hall.draft(**moments)
        return
    with pytest.raises(Refusal, match=says):
        hall.draft(**moments)


def test_a_draft_whose_last_entry_has_passed_is_not_published(hall: ExamHarness) -> None:
    exam_id = hall.draft(opens_at=NOW + 10 * MINUTE, closes_at=NOW + 120 * MINUTE, late_minutes=15)
    with pytest.raises(Refusal, match="最晚入场的时间 3月2日 09:25 已过，现在发布谁也进不了场"):
        hall.run(lambda session: manage.publish(session, hall.catalog, ADMIN, exam_id, NOW + 26 * MINUTE))


@pytest.mark.parametrize(
    ("closes", "late", "says"),
    [
        (120, None, "由此：最晚入场 3月2日 11:00，最后交卷 3月2日 11:00；3月2日 10:30 以后入场的考不满 30 分钟，到截止自动交卷"),
        (120, 15, "由此：最晚入场 3月2日 09:15，最后交卷 3月2日 09:45"),
        (20, None, "由此：最晚入场 3月2日 09:20，最后交卷 3月2日 09:20；⚠ 窗口只有 20 分钟，谁都考不满 30 分钟"),
    ],
)
def test_a_preview_says_the_moments_that_follow(hall: ExamHarness, closes: int, late: int | None, says: str) -> None:
    exam_id = hall.draft(closes_at=NOW + closes * MINUTE, late_minutes=late)
    assert exam_messages.moments_line(hall.exam(exam_id)) == says


def test_a_limit_of_uses_says_how_many_papers_it_allows(hall: ExamHarness, person: int) -> None:
    """Every question of the bank once; a paper takes four single choices and two judgements, and what was drawn before counts."""
    exam_id = hall.publish(f"{BLUEPRINT}；每题最多用 1 次")

    def papers() -> int:
        preview = hall.run(lambda session: manage.preview(session, hall.catalog, hall.exam(exam_id), NOW))
        assert isinstance(preview.papers, int)
        return preview.papers

    before = papers()
    plan = hall.run(lambda session: question_pool.prepared_plan(session, hall.catalog, hall.exam(exam_id), NOW)).plan
    uses: Counter[str] = Counter()
    overused = []
    for n in range(before + 1):
        drawn = draw_paper(plan, (), uses, random.Random(n))
        uses.update(item.item.question for item in drawn.items)
        overused.append(drawn.overused)
    assert not any(overused[:before])
    assert overused[before] > 0
    hall.begin(person, exam_id)
    assert papers() == before - 1
    line = exam_messages.papers_line(hall.exam(exam_id), manage.ExamPreview(10_000, (), (), before))
    assert line == f"每题最多用 1 次：题库够出 {before} 份；⚠ 不够 10000 份，超出的卷会重复用题"


def test_the_gate_says_what_is_still_missing(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(gate=ExamGate(2, ("mfd-1191",)))
    with pytest.raises(Refusal, match=r"还差 必修 2 课：《[^》]+》"):
        hall.begin(person, exam_id)

    def read(session: Session, *lessons: str) -> None:
        for lesson in lessons:
            readings.close_reading(session, readings.open_reading(session, person, lesson, "d", NOW), "done", NOW - MINUTE)

    hall.run(lambda session: read(session, "xf-00"))
    with pytest.raises(Refusal, match="还差 必修 1 课：《"):
        hall.begin(person, exam_id)
    hall.run(lambda session: read(session, "mfd-1191"))
    assert hall.begin(person, exam_id).status.size == 6


def test_attempts_are_counted_and_each_has_another_paper(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish("单选 10×1；30 分钟；及格 60%", attempts=2)
    first = hall.begin(person, exam_id).status.sitting_id
    hall.hand_in(person, first)
    second = hall.begin(person, exam_id, NOW + MINUTE).status.sitting_id
    hall.hand_in(person, second, NOW + MINUTE)
    with pytest.raises(Refusal, match="已参加过 2 次，最多 2 次"):
        hall.begin(person, exam_id, NOW + 2 * MINUTE)

    def questions(session: Session) -> list[set[str]]:
        return [{one.question for one in attempts.items(session, sitting_id)} for sitting_id in (first, second)]

    one, other = hall.dispatcher.database.read_now(questions)
    assert not one & other


# ── Answering ──


def test_every_answer_is_saved_the_first_stands_and_the_same_message_gets_the_same(hall: ExamHarness, person: int) -> None:
    sitting_id = hall.begin(person, hall.publish()).status.sitting_id
    right, wrong = hall.keys(sitting_id)[0]
    done = hall.answer(person, sitting_id, 1, wrong, NOW + MINUTE)
    assert (done.n, done.choice, done.status.answered, done.status.place) == (1, wrong, 1, 2)
    with pytest.raises(Refusal, match=r"未记录：第 1 题已经答过（.），以第一次为准"):
        hall.answer(person, sitting_id, 1, right, NOW + MINUTE)
    with pytest.raises(Refusal, match="未记录：这份卷没有第 7 题"):
        hall.answer(person, sitting_id, 7, right, NOW + MINUTE)
    with pytest.raises(Refusal, match="未记录：第 2 题是单选题，没有看懂「Z」"):
        hall.answer(person, sitting_id, 2, "Z", NOW + MINUTE)
    other = hall.run(lambda session: enroll(session, "1002"))
    with pytest.raises(Refusal, match="不是发给您的"):
        hall.answer(other, sitting_id, 2, "A", NOW + MINUTE)


def test_what_is_shown_of_a_paper_holds_no_key(hall: ExamHarness, person: int) -> None:
    sitting_id = hall.begin(person, hall.publish()).status.sitting_id
    hall.answer(person, sitting_id, 2, hall.keys(sitting_id)[1][0])
    shown = hall.dispatcher.database.read_now(lambda session: paper_view.shown_paper(session, hall.catalog, sitting_id))
    assert [one.n for one in shown] == [1, 2, 3, 4, 5, 6]
    assert [one.points for one in shown] == [2000, 2000, 2000, 2000, 1000, 1000]
    assert [one.choice for one in shown] == [None, hall.keys(sitting_id)[1][0], None, None, None, None]
    assert not {"key", "explanation", "evidence", "answer"} & {name for name in dir(shown[0]) if not name.startswith("_")}


# ── The end ──


def test_handing_in_ends_it_once_and_the_score_counts_points(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(results="at_once")
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.answer_all(person, sitting_id, right=3)
    done = hall.hand_in(person, sitting_id, NOW + MINUTE)
    assert (done.attempt.state, done.attempt.closed_by, done.attempt.score, done.attempt.passed) == ("closed", "self", 6000, True)
    assert hours_of(hall, person) == 5400
    with pytest.raises(Refusal, match="您已交卷"):
        hall.hand_in(person, sitting_id, NOW + MINUTE)
    with pytest.raises(Refusal, match="未记录：考试《年度学法考试》您已交卷"):
        hall.answer(person, sitting_id, 1, "A", NOW + MINUTE)


def test_the_clock_closes_what_is_over_with_what_was_saved_within_ten_seconds(hall: ExamHarness, person: int) -> None:
    sitting_id = hall.begin(person, hall.publish()).status.sitting_id
    hall.answer(person, sitting_id, 1, hall.keys(sitting_id)[0][0])
    end = NOW + 30 * MINUTE
    assert not hall.tick(end + timedelta(seconds=4)), "a message that arrived in time may still wait for its turn"
    assert hall.tick(end + timedelta(seconds=6)).attempts == 1
    closed = hall.attempt(sitting_id)
    assert (closed.state, closed.closed_by, closed.score, closed.passed) == ("closed", "clock", 2000, False)
    assert not hall.tick(end + timedelta(seconds=8))
    assert hours_of(hall, person) == 0


def test_an_answer_counts_by_its_arrival_even_when_the_clock_was_faster(hall: ExamHarness, person: int) -> None:
    sitting_id = hall.begin(person, hall.publish(grace_seconds=3)).status.sitting_id
    keys = hall.keys(sitting_id)
    end = NOW + 30 * MINUTE
    hall.answer(person, sitting_id, 1, keys[0][0], end + timedelta(seconds=5), arrived=end + timedelta(seconds=3))
    with pytest.raises(Refusal, match="未记录：考试《年度学法考试》已于 09:30 到时结束"):
        hall.answer(person, sitting_id, 2, keys[1][0], end + timedelta(seconds=5), arrived=end + timedelta(seconds=3, microseconds=1))
    assert hall.tick(end + timedelta(seconds=9)).attempts == 1
    hall.answer(person, sitting_id, 2, keys[1][0], end + timedelta(seconds=9), arrived=end)
    assert hall.attempt(sitting_id).score == 4000


@pytest.mark.parametrize("rule", ["after_close", "after_release"])
def test_results_are_told_by_rule_and_hours_come_with_them(hall: ExamHarness, person: int, rule: str) -> None:
    exam_id = hall.publish(results=rule)
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.answer_all(person, sitting_id)
    hall.hand_in(person, sitting_id)
    assert not hall.exam(exam_id).tells_score
    assert hours_of(hall, person) == 0
    over = NOW + 121 * MINUTE
    assert hall.tick(over).exams == 1
    if rule == "after_release":
        assert hours_of(hall, person) == 0
        hall.run(lambda session: manage.release(session, ADMIN, exam_id, over))
        assert hall.tick(over).told == 1
    assert hall.exam(exam_id).tells_keys
    assert hours_of(hall, person) == 5400


def test_hooks_hear_of_every_end_and_of_the_telling_once(hall: ExamHarness, person: int, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(finish, "ON_CLOSED", [lambda session, catalog, exam, attempt, now: heard.append(f"closed {attempt.score}")])
    monkeypatch.setattr(finish, "ON_ANNOUNCED", [lambda session, catalog, exam, attempt, now: heard.append(f"told {attempt.passed}")])
    sitting_id = hall.begin(person, hall.publish()).status.sitting_id
    hall.hand_in(person, sitting_id)
    for seconds in range(0, 10, 2):
        hall.tick(NOW + 120 * MINUTE + timedelta(seconds=5 + seconds))
    assert heard == ["closed 0", "told False"]


def test_an_exam_ended_early_hands_in_for_everybody_and_a_cancelled_one_earns_nothing(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.answer_all(person, sitting_id)
    with pytest.raises(Refusal, match="请写明结束的原因"):
        hall.run(lambda session: manage.close(session, hall.catalog, ADMIN, exam_id, " ", NOW + MINUTE))
    assert hall.run(lambda session: manage.close(session, hall.catalog, ADMIN, exam_id, "机房断电", NOW + MINUTE)) == 1
    assert (hall.attempt(sitting_id).closed_by, hall.exam(exam_id).state) == ("staff", "closed")
    hall.tick(NOW + 2 * MINUTE)
    assert hours_of(hall, person) == 5400
    other = hall.publish(name="另一场")
    second = hall.begin(person, other, NOW + 3 * MINUTE).status.sitting_id
    hall.answer_all(person, second, NOW + 3 * MINUTE)
    assert hall.run(lambda session: manage.cancel(session, hall.catalog, ADMIN, other, "题目泄露", NOW + 4 * MINUTE)) == 1
    hall.tick(NOW + 200 * MINUTE)
    assert hours_of(hall, person) == 5400
    with pytest.raises(Refusal, match="没有编号"):
        hall.begin(person, other, NOW + 5 * MINUTE)


def test_an_answer_under_way_counts_though_the_exam_is_ended_at_that_moment(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    key = hall.keys(sitting_id)[0][0]
    engine = hall.dispatcher.database.engine

    def ended() -> int:
        return int(hall.run(lambda session: manage.close(session, hall.catalog, ADMIN, exam_id, "机房断电", NOW + MINUTE)))

    with ThreadPoolExecutor(1) as invigilator:
        with engine.connect() as connection, connection.begin():
            answers.record_exam_answer(session_on(connection), hall.catalog, person, sitting_id, 1, key, message(NOW), NOW)
            ending = invigilator.submit(ended)
            while engine.dialect.name != "sqlite" and not ending.done() and not waits(engine):
                pass
        assert ending.result(30) == 1
    assert hall.attempt(sitting_id).score == 2000


def waits(engine: Engine) -> bool:
    """Whether anybody waits for a lock."""
    with engine.connect() as connection:
        return bool(connection.execute(text("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")).scalar())


def test_what_arrived_before_the_invigilators_word_counts_though_it_waited_for_its_turn(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    keys = hall.keys(sitting_id)
    hall.run(lambda session: manage.close(session, hall.catalog, ADMIN, exam_id, "机房断电", NOW + MINUTE))

    hall.answer(person, sitting_id, 1, keys[0][0], NOW + 2 * MINUTE, arrived=NOW + MINUTE)
    with pytest.raises(Refusal, match="未记录"):
        hall.answer(person, sitting_id, 2, keys[1][0], NOW + 2 * MINUTE, arrived=NOW + MINUTE + timedelta(microseconds=1))

    assert hall.attempt(sitting_id).score == 2000


def test_nobody_begins_an_exam_that_is_ended_while_their_paper_is_drawn(hall: ExamHarness, person: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exam_id = hall.publish()
    begin = attempts.begin

    def slowly(session: Session, *args: Any) -> int:
        made = begin(session, *args)
        manage.close(session, hall.catalog, ADMIN, exam_id, "机房断电", NOW)
        return made

    monkeypatch.setattr(attempts, "begin", slowly)
    with pytest.raises(Refusal, match="刚刚结束或取消"):
        hall.begin(person, exam_id)
    assert hall.dispatcher.database.read_now(lambda session: attempts.of_exam(session, exam_id)) == []


def test_the_clock_closes_nothing_that_has_got_more_time_since_it_looked(hall: ExamHarness, person: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sitting_id = hall.begin(person, hall.publish()).status.sitting_id
    late = NOW + 31 * MINUTE
    seen = hall.dispatcher.database.read_now(lambda session: attempts.overdue(session, late, 10))
    hall.run(lambda session: extra_time.extend_deadline(session, sitting_id, late + 10 * MINUTE))
    monkeypatch.setattr(attempts, "overdue", lambda *_: seen)

    assert hall.tick(late).attempts == 0
    assert hall.attempt(sitting_id).state == "open"


def test_an_exam_called_off_takes_back_what_it_had_given_at_once(hall: ExamHarness, person: int) -> None:
    other = hall.run(lambda session: enroll(session, "1002"))
    first = hall.publish(name="上一场", results="at_once")
    exam_id = hall.publish(results="at_once")
    for who, sat in ((other, first), (person, exam_id), (other, exam_id)):
        sitting_id = hall.begin(who, sat).status.sitting_id
        hall.answer_all(who, sitting_id)
        hall.hand_in(who, sitting_id)
    assert (hours_of(hall, person), hours_of(hall, other)) == (5400, 10_800)

    hall.run(lambda session: manage.cancel(session, hall.catalog, ADMIN, exam_id, "题目泄露", NOW + MINUTE))

    assert (hours_of(hall, person), hours_of(hall, other)) == (0, 5400)
    kept = hall.dispatcher.database.read_now(lambda session: session.execute(text("SELECT state, reason FROM certificate ORDER BY id")).all())
    assert [tuple(row) for row in kept] == [("valid", ""), ("revoked", "考试已取消"), ("revoked", "考试已取消")]


def test_the_plan_of_an_exam_that_is_over_is_not_kept(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    hall.begin(person, exam_id)
    assert set(hall.catalog.papers) == {exam_id}
    hall.run(lambda session: manage.close(session, hall.catalog, ADMIN, exam_id, "提前结束", NOW + MINUTE))
    hall.dispatcher.database.read_now(lambda session: question_pool.prepare_ahead(session, hall.catalog, NOW + MINUTE))
    assert hall.catalog.papers == {}


def test_an_exam_that_cannot_be_drawn_is_logged_once_until_that_changes(hall: ExamHarness) -> None:
    exam_id = hall.publish()
    kept = hall.catalog.drawn
    with capture_logs() as said:
        for drawn in ({}, {}, kept, {}):
            hall.catalog.drawn = drawn
            hall.catalog.papers.clear()
            hall.dispatcher.database.read_now(lambda session: question_pool.prepare_ahead(session, hall.catalog, NOW))
    assert [one["exam"] for one in said if one["event"] == "no papers can be drawn"] == [exam_id, exam_id]


# ── Extra time ──


def test_the_same_request_is_not_taken_twice_and_one_that_came_to_nothing_does_not_wait(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    asked = hall.run(lambda session: exam_extra_time.request_extra_time(session, ADMIN, exam_id, "1001", "time", 10, "断网", NOW + MINUTE))
    with pytest.raises(Refusal, match=f"同样的申请（编号 {asked.id}）还没有批准"):
        hall.run(lambda session: exam_extra_time.request_extra_time(session, SECOND, exam_id, "1001", "time", 10, "会议室断网", NOW + MINUTE))
    other = hall.run(lambda session: exam_extra_time.request_extra_time(session, ADMIN, exam_id, "1001", "time", 5, "断网", NOW + MINUTE))

    def standing() -> list[tuple[int, bool]]:
        found = hall.run(lambda session: exam_extra_time.list_requests(session, ADMIN, exam_id, NOW + 3 * MINUTE))
        return [(one.id, stands) for one, stands in found]

    hall.run(lambda session: exam_extra_time.approve(session, SECOND, asked.id, NOW + 2 * MINUTE))
    assert standing() == [(other.id, True), (asked.id, False)]
    hall.hand_in(person, sitting_id, NOW + 3 * MINUTE)
    assert standing() == [(other.id, False), (asked.id, False)]


def test_extra_time_takes_two_people_and_counts_at_once(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    asked = hall.run(lambda session: exam_extra_time.request_extra_time(session, ADMIN, exam_id, "1001", "time", 10, "会议室断网", NOW + MINUTE))
    assert hall.attempt(sitting_id).deadline == NOW + 30 * MINUTE, "one word changes nothing"
    with pytest.raises(Refusal, match="必须是两个人"):
        hall.run(lambda session: exam_extra_time.approve(session, ADMIN, asked.id, NOW + MINUTE))
    with pytest.raises(Refusal, match="不能批准自己的考试"):
        hall.run(lambda session: exam_extra_time.approve(session, Author("1001", "test"), asked.id, NOW + MINUTE))
    with pytest.raises(Refusal, match=f"没有编号为 {asked.id} 的加时或重开申请"):
        hall.run(lambda session: exam_extra_time.approve(session, Author("9003", "test", ("某局/财务处",)), asked.id, NOW + MINUTE))
    approved, attempt = hall.run(lambda session: exam_extra_time.approve(session, SECOND, asked.id, NOW + 2 * MINUTE))
    assert (approved.asked_by, approved.approved_by, approved.reason) == ("9001", "9002", "会议室断网")
    assert attempt.deadline == NOW + 40 * MINUTE
    with pytest.raises(Refusal, match="已由 9002 批准过"):
        hall.run(lambda session: exam_extra_time.approve(session, Author("9003", "test"), asked.id, NOW + 2 * MINUTE))
    hall.answer(person, sitting_id, 1, hall.keys(sitting_id)[0][0], NOW + 39 * MINUTE)
    assert hall.tick(NOW + 41 * MINUTE).attempts == 1


def test_a_reopened_paper_keeps_its_answers_and_is_marked_anew(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    keys = hall.keys(sitting_id)
    hall.answer(person, sitting_id, 1, keys[0][0])
    hall.hand_in(person, sitting_id)
    asked = hall.run(lambda session: exam_extra_time.request_extra_time(session, ADMIN, exam_id, "1001", "reopen", 20, "误触交卷", NOW + MINUTE))
    hall.run(lambda session: exam_extra_time.approve(session, SECOND, asked.id, NOW + 2 * MINUTE))
    reopened = hall.attempt(sitting_id)
    assert (reopened.state, reopened.score, reopened.deadline) == ("open", None, NOW + 22 * MINUTE)
    with pytest.raises(Refusal, match="已经答过"):
        hall.answer(person, sitting_id, 1, keys[0][1], NOW + 3 * MINUTE)
    for n in range(2, 7):
        hall.answer(person, sitting_id, n, keys[n - 1][0], NOW + 3 * MINUTE)
    assert hall.hand_in(person, sitting_id, NOW + 4 * MINUTE).attempt.score == 10_000


def test_a_paper_is_reopened_after_the_end_only_while_no_key_can_be_told(hall: ExamHarness, person: int) -> None:
    over = NOW + 121 * MINUTE
    exam_id = hall.publish(results="after_release")
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.hand_in(person, sitting_id)
    hall.tick(over)
    assert hall.exam(exam_id).is_over
    asked = hall.run(lambda session: exam_extra_time.request_extra_time(session, ADMIN, exam_id, "1001", "reopen", 20, "平台故障", over))
    hall.run(lambda session: exam_extra_time.approve(session, SECOND, asked.id, over))
    assert (hall.attempt(sitting_id).state, hall.exam(exam_id).state) == ("open", "published")
    hall.answer_all(person, sitting_id, over + MINUTE)
    hall.tick(over + 21 * MINUTE)
    assert (hall.attempt(sitting_id).score, hall.exam(exam_id).state) == (10_000, "closed")
    told = hall.publish(results="after_close", name="另一场")
    other = hall.begin(person, told).status.sitting_id
    hall.hand_in(person, other)
    hall.tick(over)
    with pytest.raises(Refusal, match="答案可以查看了，不能再重开"):
        hall.run(lambda session: exam_extra_time.request_extra_time(session, ADMIN, told, "1001", "reopen", 20, "平台故障", over))


def test_nobody_asks_for_time_of_their_own_or_for_who_is_not_there(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    with pytest.raises(Refusal, match="没有进入考试"):
        hall.run(lambda session: exam_extra_time.request_extra_time(session, ADMIN, exam_id, "1001", "time", 10, "断网", NOW))
    hall.begin(person, exam_id)
    with pytest.raises(Refusal, match="不能为自己的考试"):
        hall.run(lambda session: exam_extra_time.request_extra_time(session, Author("1001", "test"), exam_id, "1001", "time", 10, "断网", NOW))
    with pytest.raises(Refusal, match="没有编号为"):
        hall.run(
            lambda session: exam_extra_time.request_extra_time(
                session, Author("9001", "t", ("某局/财务处",)), exam_id, "1001", "time", 10, "断网", NOW
            )
        )


def test_what_first_attempts_missed_is_expected_to_be_harder(hall: ExamHarness, person: int) -> None:
    sitting_id = hall.begin(person, hall.publish("判断 10×1；30 分钟；及格 60%")).status.sitting_id
    hall.answer_all(person, sitting_id, right=5)

    def difficulties(session: Session) -> dict[str, float]:
        return {one.question: one.difficulty for one in question_pool.list_candidates(session, hall.catalog)}

    before = hall.dispatcher.database.read_now(difficulties)
    hall.hand_in(person, sitting_id)
    after = hall.dispatcher.database.read_now(difficulties)
    paper = hall.dispatcher.database.read_now(lambda session: attempts.items(session, sitting_id))
    assert [after[one.question] < before[one.question] for one in paper] == [True] * 5 + [False] * 5
    assert [after[one.question] > before[one.question] for one in paper] == [False] * 5 + [True] * 5
    assert sum(after[name] != before[name] for name in before) == 10


# ── Make-up ──


def test_a_makeup_is_for_those_absent_or_failed_with_another_paper_a_cap_and_once(hall: ExamHarness, person: int) -> None:
    absent, passed = [hall.run(lambda session, no=no: enroll(session, no)) for no in ("1002", "1003")]
    exam_id = hall.publish(audience=PeopleAre(("1001", "1002", "1003")))
    first = hall.begin(person, exam_id).status.sitting_id
    hall.answer_all(person, first, right=1)
    hall.hand_in(person, first)
    good = hall.begin(passed, exam_id).status.sitting_id
    hall.answer_all(passed, good)
    hall.hand_in(passed, good)
    over = NOW + 121 * MINUTE

    def arrange(session: Session) -> int:
        return manage.create_makeup(session, hall.catalog, ADMIN, exam_id, over, over + 60 * MINUTE, over)

    with pytest.raises(Refusal, match="还没有结束"):
        hall.run(arrange)
    hall.tick(over)
    made = hall.run(arrange)
    with pytest.raises(Refusal, match="每场只补一次"):
        hall.run(arrange)
    hall.run(lambda session: manage.publish(session, hall.catalog, ADMIN, made, over))
    with pytest.raises(Refusal, match="不在这场考试的范围里"):
        hall.begin(passed, made, over)
    assert hall.begin(absent, made, over).status.size == 6
    again = hall.begin(person, made, over).status.sitting_id

    def questions(session: Session) -> list[set[str]]:
        return [{one.question for one in attempts.items(session, sitting_id)} for sitting_id in (first, again)]

    before, after = hall.dispatcher.database.read_now(questions)
    assert not before & after
    hall.answer_all(person, again, over)
    done = hall.hand_in(person, again, over)
    assert (done.attempt.score, done.attempt.passed) == (6000, True), "full marks count as the pass line"
    hall.tick(over + 61 * MINUTE)
    assert hours_of(hall, person) == 5400
    kinds = hall.run(lambda session: session.execute(text("SELECT source_kind FROM ledger WHERE person_id = :p"), {"p": person}).scalars().all())
    assert kinds == ["makeup"]
    with pytest.raises(Refusal, match="本身就是补考"):
        hall.run(lambda session: manage.create_makeup(session, hall.catalog, ADMIN, made, over, over + 300 * MINUTE, over + 62 * MINUTE))


def test_an_administrator_of_a_unit_steers_only_the_exams_of_that_unit(hall: ExamHarness, person: int) -> None:
    whole = hall.publish()
    local = Author("9005", "test", ("某局/办公室",))
    for act in (
        lambda session: manage.publish(session, hall.catalog, local, whole, NOW),
        lambda session: manage.cancel(session, hall.catalog, local, whole, "试试", NOW),
        lambda session: manage.progress(session, local, whole, NOW),
    ):
        with pytest.raises(Refusal, match="没有编号"):
            hall.run(act)
    mine = hall.draft(author=local)
    assert [one.id for one in hall.run(lambda session: manage.list_exams(session, local))] == [mine]
    assert replace(hall.exam(mine), id=0).audience == UnitIs("某局/办公室")
