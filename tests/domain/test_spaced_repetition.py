"""A question in somebody's memory: graded by its answer, kept by FSRS, aimed at the day that counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import fsrs
import pytest

from bot.domain.library.question import Judge, Question
from bot.domain.message import Refusal
from bot.domain.study.review_goal import (
    MAX_MINUTES,
    ReviewGoal,
    best_reviews,
    expected_recall,
    forecast_recall,
    minutes_needed,
    parse_goal_day,
    parse_minutes,
    parse_target,
)
from bot.domain.study.spaced_repetition import (
    AGAIN,
    GOOD,
    HARD,
    MemoryCard,
    Mistake,
    Rating,
    due_by,
    due_soon,
    first_review,
    grade_answer,
    recall_probability,
    review,
    slow_after,
    update_mistake,
)
from bot.domain.times import end_of
from tests.conftest import NOW

DAY = timedelta(days=1)


def question(stem: str = "公职人员可以兼任本单位的审计职务。") -> Question:
    return Judge(
        id="q", level=1, law="民法典", version=date(2020, 5, 28), article="第一条", point="目的", stem=stem, key="对", explanation="因为如此。"
    )


# ── The package's own reference vectors (test_basic of py-fsrs 6.3) ──


def test_the_packages_reference_intervals_come_out() -> None:
    at = datetime(2022, 11, 29, 12, 30, tzinfo=UTC)
    card: MemoryCard | None = None
    intervals = []
    for grade in map(Rating, (3, 3, 3, 3, 3, 3, 1, 1, 3, 3, 3, 3, 3)):
        card = first_review(grade, at) if card is None else review(card, grade, at)
        intervals.append((card.due - card.reviewed_at).days)
        at = card.due
    assert intervals == [0, 2, 11, 46, 163, 498, 0, 0, 2, 4, 7, 12, 21]


def test_the_packages_reference_memory_comes_out() -> None:
    at = datetime(2022, 11, 29, 12, 30, tzinfo=UTC)
    card = first_review(AGAIN, at)
    for grade, after in ((GOOD, 0), (GOOD, 1), (GOOD, 3), (GOOD, 8), (GOOD, 21)):
        at += timedelta(days=after)
        card = review(card, grade, at)
    assert card.stability == pytest.approx(53.62691, abs=1e-4)
    assert card.difficulty == pytest.approx(6.3574867, abs=1e-4)


def test_days_between_reviews_are_days_in_shanghai() -> None:
    """23:00 to 07:00 is a night; 00:10 to 23:50 is one and the same day."""
    evening = datetime(2026, 3, 2, 15, tzinfo=UTC)
    card = review(first_review(AGAIN, evening - 3 * DAY), GOOD, evening)
    assert review(card, GOOD, evening + timedelta(hours=8)).stability == review(card, GOOD, evening + DAY).stability
    early = datetime(2026, 3, 2, 16, 10, tzinfo=UTC)
    card = review(card, GOOD, early)
    assert recall_probability(card, early + timedelta(hours=23)) == 1.0
    assert recall_probability(card, early + DAY) < 1.0


# ── Grades ──


@pytest.mark.parametrize(
    ("correct", "seconds", "grade"),
    [(False, 1, AGAIN), (False, 300, AGAIN), (True, 5, GOOD), (True, 300, HARD), (True, 601, GOOD), (True, None, GOOD)],
)
def test_an_answer_grades_itself(correct: bool, seconds: float | None, grade: Rating) -> None:
    assert grade_answer(question(), seconds, correct=correct) is grade


def test_slow_is_twice_the_reading_time_and_half_a_minute() -> None:
    assert slow_after(question("字" * 198)) == 2 * 30 + 30
    assert grade_answer(question("字" * 198), 90, correct=True) is GOOD
    assert grade_answer(question("字" * 198), 91, correct=True) is HARD


# ── The notebook ──


def test_a_right_answer_to_what_was_never_wrong_makes_no_card() -> None:
    assert update_mistake(None, "q", GOOD, NOW) is None
    assert update_mistake(None, "q", HARD, NOW) is None


def test_a_question_leaves_after_two_right_in_a_row_and_comes_back_when_wrong() -> None:
    first = update_mistake(None, "q", AGAIN, NOW)
    assert first is not None
    trail = []
    kept: Mistake | None = first
    for grade in (GOOD, AGAIN, GOOD, HARD, GOOD, AGAIN):
        kept = update_mistake(kept, "q", grade, NOW + DAY)
        assert kept is not None
        trail.append((kept.right_in_a_row, kept.listed))
    assert trail == [(1, True), (0, True), (1, True), (2, False), (3, False), (0, True)]
    assert kept is not None
    assert kept.entered_at == NOW


def test_what_left_is_still_due_one_day() -> None:
    kept = update_mistake(None, "q", AGAIN, NOW)
    for _ in range(2):
        kept = update_mistake(kept, "q", GOOD, NOW + DAY)
    assert kept is not None
    assert not kept.listed
    assert kept.card.due > NOW + 2 * DAY
    assert due_by([kept], kept.card.due) == []
    assert due_by([kept], kept.card.due + timedelta(seconds=1)) == [kept]


def test_the_longest_due_comes_first_and_what_is_due_in_three_days_is_near() -> None:
    tonight = end_of(date(2026, 3, 2))
    book = [due_in(days) for days in (-1, -5, 2, 4, 0)]
    assert [one.question for one in due_by(book, tonight)] == ["-5", "-1", "0"]
    assert [one.question for one in due_soon(book, tonight)] == ["-5", "-1", "0", "2"]


def due_in(days: float) -> Mistake:
    return Mistake(str(days), NOW - 20 * DAY, MemoryCard(2, None, 5.0, 5.0, NOW + days * DAY, NOW - 6 * DAY))


# ── The day that counts ──


def book(n: int, stability: float = 0.212) -> list[Mistake]:
    return [Mistake(f"q{i:03}", NOW - DAY, MemoryCard(1, 0, stability, 6.4, NOW, NOW - DAY - timedelta(minutes=i))) for i in range(n)]


def cards(kept: list[Mistake]) -> list[MemoryCard]:
    return [one.card for one in kept]


def test_the_minutes_of_a_day_are_never_passed() -> None:
    goal = ReviewGoal(date(2026, 3, 20), minutes=3)
    assert goal.reviews == 6
    assert len(best_reviews(book(50), goal, NOW, goal.reviews)) == 6
    assert best_reviews(book(50), goal, NOW, 0) == []


def test_what_gains_most_for_the_day_is_asked_first() -> None:
    solid = [Mistake("solid", NOW - DAY, MemoryCard(2, None, 900.0, 5.0, NOW + 90 * DAY, NOW - DAY))]
    goal = ReviewGoal(date(2026, 3, 20))
    assert [one.question for one in best_reviews(solid + book(3), goal, NOW, 3)] == ["q000", "q001", "q002"]
    assert best_reviews(solid, goal, NOW, 3) == [], "what is known on the day anyhow is left in peace"


def test_reviews_raise_what_may_be_expected_and_more_minutes_raise_it_further() -> None:
    goal = ReviewGoal(date(2026, 3, 20))
    kept = cards(book(40))
    found = forecast_recall(kept, goal, NOW)
    assert found.without_reviews < found.expected < expected_recall(kept, ReviewGoal(goal.day, minutes=12), NOW) <= 1


def test_a_target_in_reach_needs_nothing_more() -> None:
    assert forecast_recall(cards(book(5)), ReviewGoal(date(2026, 3, 20)), NOW).minutes_needed is None


def test_a_target_out_of_reach_says_what_would_be_needed() -> None:
    goal, kept = ReviewGoal(date(2026, 3, 20)), cards(book(120))
    found = forecast_recall(kept, goal, NOW)
    assert found.expected < 0.9
    assert found.minutes_needed is not None
    assert goal.minutes < found.minutes_needed <= MAX_MINUTES
    assert expected_recall(kept, ReviewGoal(goal.day, found.minutes_needed), NOW) >= 0.9
    assert expected_recall(kept, ReviewGoal(goal.day, found.minutes_needed - 1), NOW) < 0.9


def test_what_no_minutes_can_reach_is_said() -> None:
    assert minutes_needed(cards(book(400)), ReviewGoal(date(2026, 3, 3), target=99), NOW) == MAX_MINUTES + 1


def test_on_the_day_itself_nothing_more_is_promised() -> None:
    kept, goal = cards(book(4)), ReviewGoal(date(2026, 3, 2))
    assert expected_recall(kept, goal, NOW) == pytest.approx(forecast_recall(kept, goal, NOW).without_reviews)


def test_the_forecast_agrees_with_what_the_model_does() -> None:
    """Playing the days out card by card, a right answer wherever it is likelier than not, comes near the forecast."""
    goal, kept = ReviewGoal(date(2026, 3, 30)), book(24)
    promised = expected_recall(cards(kept), goal, NOW)
    for n in range(28):
        at = NOW + n * DAY
        for one in best_reviews(kept, goal, at, goal.reviews):
            after = update_mistake(one, one.question, GOOD if recall_probability(one.card, at) >= 0.5 else AGAIN, at)
            assert after is not None
            kept[kept.index(one)] = after
    assert sum(recall_probability(one.card, goal.noon) for one in kept) / len(kept) == pytest.approx(promised, abs=0.05)


# ── What is written in 设置 ──


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2026-12-04", date(2026, 12, 4)), ("12-04", date(2026, 12, 4)), ("12·4", date(2026, 12, 4)), ("１２月４日", date(2026, 12, 4)),
        ("宪法日", date(2026, 12, 4)), ("1月5日", date(2027, 1, 5)), ("2026-03-02", date(2026, 3, 2)), ("2026年7月1日", date(2026, 7, 1)),
    ],
)  # fmt: skip
def test_a_day_is_read_as_people_write_it(said: str, day: date) -> None:
    assert parse_goal_day(said, date(2026, 3, 2)) == day


@pytest.mark.parametrize(("said", "why"), [("2026-03-01", "已经过去"), ("2029-01-01", "太远"), ("2月30日", "日历上没有"), ("下周", "不是日期")])
def test_a_day_that_cannot_be_meant_is_refused(said: str, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        parse_goal_day(said, date(2026, 3, 2))


def test_minutes_and_the_aim_stay_inside_their_bounds() -> None:
    assert (parse_minutes("6 分钟"), parse_minutes("60"), parse_target("95%")) == (6, 60, 95)
    for bad in ("0", "61", "很多", "-3", "99999"):
        with pytest.raises(Refusal, match="1 到 60"):
            parse_minutes(bad)
    with pytest.raises(Refusal, match="50 到 99"):
        parse_target("100")


def test_our_scheduler_is_the_packages_with_its_fuzz_off() -> None:
    from bot.domain.study.spaced_repetition import SCHEDULER

    assert fsrs.Scheduler(enable_fuzzing=False).to_dict() == SCHEDULER.to_dict()
