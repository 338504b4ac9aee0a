"""The mock exam: a paper like the next exam's, silent until its end; and the exam's day as the day to review for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import Session

from bot.domain.exam.blueprint import parse_blueprint
from bot.services.exam import own_exams
from bot.storage.study import sittings
from tests.conftest import NOW, Chat
from tests.flows.test_daily import question_in_hand, right_answer, rows, wrong_answer
from tests.flows.test_memory import missed, work_through
from tests.support.exams import ExamHarness


@pytest.fixture
def hall(chat: Chat) -> ExamHarness:
    return ExamHarness(chat.dispatcher)


async def test_without_an_exam_the_usual_paper_is_drawn_by_its_blueprint(chat: Chat) -> None:
    said = await chat.say("练习 模拟")
    assert "模拟考试（通用卷）：20 题，满分 100 分，60 分及格，限时 20 分钟，到 09:20。全部答完才出结果；不计考试学时。" in said
    catalog = chat.dispatcher.catalog()
    drawn = rows(chat.dispatcher.database, "SELECT question, points FROM sitting_item ORDER BY n")
    kinds = [(catalog.library.questions[name].kind, points) for name, points in drawn]
    assert {pair: kinds.count(pair) for pair in kinds} == {("single", 4000): 10, ("multiple", 8000): 5, ("judge", 4000): 5}
    assert len({name for name, _ in drawn}) == 20


async def test_nothing_is_told_before_the_end_and_then_the_points(chat: Chat) -> None:
    await chat.say("练习 模拟")
    lost, said = 0, ""
    for n in range(20):
        question = question_in_hand(chat)
        wrong = n < 5
        lost += (8 if question.kind == "multiple" else 4) if wrong else 0
        said = await chat.say(wrong_answer(question) if wrong else right_answer(question))
        assert said.startswith("已记录。")
        assert "回答" not in said
        assert question.explanation not in said
    assert f"得 {100 - lost} 分（满分 100 分，60 分及格），✅ 达到及格线；用时 1 分钟" in said
    assert "有 5 题没有全对，已收入错题本，发「练习 错题」逐题看解析" in said
    assert "第1/5题" in await chat.say("练习 错题")


async def test_a_mock_exam_earns_as_practice_and_never_as_an_exam(chat: Chat) -> None:
    await chat.say("练习 模拟")
    assert await work_through(chat) == 20
    assert rows(chat.dispatcher.database, "SELECT DISTINCT category, rule, source_kind FROM ledger") == [("practice", "D3", "item")]


async def test_what_is_answered_after_the_time_does_not_count(chat: Chat) -> None:
    await chat.say("练习 模拟")
    for _ in range(19):
        await chat.say(right_answer(question_in_hand(chat)))
    last = question_in_hand(chat)
    said = await chat.say(right_answer(last), after=20 * 60)
    assert f"得 {100 - (8 if last.kind == 'multiple' else 4)} 分" in said
    assert "有 1 题在限时之后才答，没有计分" in said


async def test_an_unfinished_mock_exam_waits_and_makes_way_for_the_next(chat: Chat) -> None:
    await chat.say("练习 模拟")
    await chat.say(right_answer(question_in_hand(chat)))
    await chat.say("退出")
    assert "第2/20题" in await chat.say("继续")
    assert "第1/20题" in await chat.say("练习 模拟")
    assert rows(chat.dispatcher.database, "SELECT state, COUNT(*) FROM sitting GROUP BY state ORDER BY state") == [("left", 1), ("open", 1)]


async def test_with_an_exam_announced_the_mock_is_like_it_and_keeps_its_fixed_items_out(chat: Chat, hall: ExamHarness) -> None:
    fixed = next(name for name in hall.catalog.drawn if hall.catalog.library.questions[name].kind == "single")
    hall.publish(f"单选 4×2、判断 2×1；固定 {fixed}×10；30 分钟；及格 60%", opens_at=NOW + timedelta(days=3), closes_at=NOW + timedelta(days=4))
    assert "模拟考试（照《年度学法考试》的命题蓝图）：6 题，满分 10 分，6 分及格，限时 30 分钟" in await chat.say("练习 模拟")


async def test_what_the_banks_cannot_give_is_said(chat: Chat, hall: ExamHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_exams, "DEFAULT_BLUEPRINT", parse_blueprint("监察法 单选 150×1；30 分钟；及格 60%"))
    said = await chat.say("练习 模拟")
    assert "现在出不了模拟卷" in said
    assert "还差" in said


# ── The exam's day ──


async def test_the_day_of_the_next_exam_is_what_reviews_aim_at_unless_one_sets_another(chat: Chat, hall: ExamHarness) -> None:
    missed(chat.dispatcher, 5)
    hall.publish(opens_at=NOW + timedelta(days=18), closes_at=NOW + timedelta(days=20))
    assert "2026-03-20 考试（按考试安排）" in await chat.say("设置")
    assert "🎯 3月20日考试（还有 18 天）" in await chat.say("错题")
    await chat.say("设置 考试日期 2026-04-01")
    assert "🎯 4月1日考试" in await chat.say("错题")


async def test_an_exam_under_way_is_aimed_at_by_its_last_day_and_one_that_was_sat_by_none(chat: Chat, hall: ExamHarness) -> None:
    missed(chat.dispatcher, 5)
    exam_id = hall.publish(opens_at=NOW - timedelta(days=1), closes_at=NOW + timedelta(days=4))
    assert "🎯 3月6日考试截止（还有 4 天）" in await chat.say("错题")
    begun = hall.begin(1, exam_id, chat.clock.now)
    hall.hand_in(1, begun.status.attempt.sitting_id, chat.clock.now)
    assert "🎯" not in await chat.say("错题")


async def test_an_exam_that_opens_today_and_can_be_sat_for_two_weeks_is_aimed_at_by_its_last_day(chat: Chat, hall: ExamHarness) -> None:
    missed(chat.dispatcher, 5)
    hall.publish(opens_at=NOW, closes_at=NOW + timedelta(days=14))
    assert "🎯 3月16日考试截止（还有 14 天）" in await chat.say("错题")
    chat.clock.now = NOW + timedelta(days=13, hours=23)
    assert "🎯 今天考试截止：错题本里的题预计答对" in await chat.say("错题")


async def test_a_mistake_of_an_exam_enters_the_notebook_when_its_keys_are_told(chat: Chat, hall: ExamHarness) -> None:
    exam_id = hall.publish()
    begun = hall.begin(1, exam_id)
    hall.answer_all(1, begun.status.attempt.sitting_id, right=4)
    hall.hand_in(1, begun.status.attempt.sitting_id)
    hall.tick(NOW)
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM notebook_card") == [(0,)]
    hall.tick(NOW + timedelta(hours=3))
    assert rows(chat.dispatcher.database, "SELECT COUNT(*), MIN(right_in_a_row) FROM notebook_card") == [(2, 0)]


def test_an_item_of_a_mock_is_worth_what_the_blueprint_says(chat: Chat) -> None:
    def work(session: Session) -> int:
        catalog = chat.dispatcher.catalog()
        names = list(catalog.drawn.items())[:2]
        return sittings.open_sitting(session, 1, "mock", "0@x", names, NOW, {names[0][0]: 2500})

    sitting_id = chat.dispatcher.database.write_now(work)
    assert rows(chat.dispatcher.database, f"SELECT points FROM sitting_item WHERE sitting_id = {sitting_id} ORDER BY n") == [(2500,), (0,)]
