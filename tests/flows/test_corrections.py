"""A wrong key in the chat: an administrator proposes, another confirms, the learner reads why; appeals get a number and an answer."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from bot.dispatch import Dispatcher
from tests.conftest import Chat, Clock, enroll
from tests.flows.test_daily import change, rows
from tests.support.corrections import AFTER, Board


@pytest.fixture
def board(dispatcher: Dispatcher, clock: Clock) -> Board:
    made = Board(dispatcher)
    clock.now = AFTER
    return made


def chat_of(board: Board, clock: Clock, staff_no: str) -> Chat:
    return Chat(board.hall.dispatcher, clock, staff_no)


async def test_one_proposes_another_confirms_and_everybody_is_told_what_it_does(board: Board, clock: Clock) -> None:
    first, second = chat_of(board, clock, "9001"), chat_of(board, clock, "9002")

    said = await first.say(f"更正 考试 {board.exam} {board.first} 改 {board.wrong} 原因=解析与条文不符，已核对")
    assert said.startswith("已记录。更正 #1　待确认")
    assert "1002 学员1002：成绩 4 → 6，不合格 → 合格，补计学时 90 分钟" in said
    assert "原因：解析与条文不符，已核对" in said
    assert "还没有改" in said
    asked = "SELECT d.person_id FROM delivery d JOIN campaign c ON c.id = d.campaign_id WHERE c.name LIKE '%更正待确认'"
    assert len(rows(board.hall.dispatcher.database, asked)) == 2, "both administrators know that it waits"
    assert "须由另一位管理员确认" in await first.say("更正 确认 1")

    said = await second.say("更正 确认 1")
    assert said.startswith("已记录。更正 #1 已生效。")
    assert "已通知 3 人" in said
    assert "什么都没有改动" in await second.say("更正 确认 1")
    assert "已生效" in await first.say("更正")
    assert "9001 提出，9002 确认" in await first.say("更正 1")
    assert board.scores()[1] == (6000, True)


async def test_a_proposal_is_taken_back(board: Board, clock: Clock) -> None:
    admin = chat_of(board, clock, "9001")
    await admin.say(f"更正 {board.exam} {board.first} 作废 原因=题干有歧义")
    assert (await admin.say("更正 撤回 1")).startswith("已记录")
    assert "已经撤回" in await admin.say("更正 确认 1")
    assert board.scores()[0] == (6000, True)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("更正 考试 {exam} {first} 改 B", "怎么改、为什么"),
        ("更正 考试 {exam} {first} 改 H 原因=x", "没有「H」这个答案"),
        ("更正 考试 {exam} 改 B 原因=x", "请写明题目编号"),
        ("更正 考试 99 {first} 作废 原因=x", "没有编号为 99 的考试"),
        ("更正 考试 {exam} nothing-1 作废 原因=x", "没有题目 nothing-1"),
        ("更正 报告 77 作废 原因=x", "没有编号为 #77 的纠错报告"),
        ("更正 确认", "请写更正的编号"),
        ("更正 确认 99", "没有编号为 99 的更正"),
    ],
)
async def test_what_cannot_be_put_right_is_refused_with_the_way_to_say_it(board: Board, clock: Clock, said: str, answer: str) -> None:
    assert answer in await chat_of(board, clock, "9001").say(said.format(exam=board.exam, first=board.first))
    assert rows(board.hall.dispatcher.database, "SELECT COUNT(*) FROM correction") == [(0,)]


async def test_a_learner_may_not_put_keys_right(board: Board, clock: Clock) -> None:
    assert "没有看懂" in await chat_of(board, clock, "1001").say(f"更正 考试 {board.exam} {board.first} 送分 原因=x")


async def test_a_readers_report_becomes_a_correction_and_is_answered_by_it(board: Board, clock: Clock) -> None:
    answered = f"SELECT a.id, a.person_id, a.version_id FROM answer a WHERE a.question = '{board.first}' AND a.person_id = {board.people[1]}"
    answer_id, person_id, version_id = rows(board.hall.dispatcher.database, answered)[0]
    change(
        board.hall.dispatcher.database,
        "INSERT INTO report (person_id, version_id, answer_id, said, reported_at, answered)"
        f" VALUES ({person_id}, {version_id}, {answer_id}, '答案不对', '2026-03-02T02:00:00.000000Z', '')",
    )
    said = await chat_of(board, clock, "9001").say(f"更正 报告 1 改 {board.wrong} 原因=读者指出，已核对")
    assert "更正 #1" in said
    await chat_of(board, clock, "9002").say("更正 确认 1")

    assert rows(board.hall.dispatcher.database, "SELECT answered FROM report")[0][0].startswith("您报告得对，已更正：改标准答案")
    assert "您报告得对" in await chat_of(board, clock, "1002").say("学习")


async def test_the_old_paper_shows_the_old_question_the_old_answer_and_why_it_counts_now(board: Board, clock: Clock) -> None:
    learner = chat_of(board, clock, "1002")
    place = next(one.n for one in board.review(1) if one.question.id == board.first)
    await chat_of(board, clock, "9001").say(f"更正 {board.exam} {board.first} 改 {board.wrong} 原因=解析与条文不符")
    assert "成绩正在核对更正" in await learner.say(f"考试 {board.exam} 解析")
    await chat_of(board, clock, "9002").say("更正 确认 1")

    assert f"后来更正过：第 {place} 题" in await learner.say(f"考试 {board.exam} 解析")
    said = await learner.say(f"考试 {board.exam} 解析 {place}")
    question = board.hall.catalog.library.questions[board.first]
    mine = next(one for one in board.review(1) if one.n == place)
    assert question.stem in said
    assert f"您当时答：{mine.choice}；当时的标准答案：{mine.question.key}" in said
    assert f"📝 本题后来更正：改标准答案：{mine.choice}。原因：解析与条文不符。题目和作答保持原样" in said
    assert "得 2/2 分" in said


async def test_why_names_the_exam_and_both_sides_of_a_reversal(board: Board, clock: Clock) -> None:
    second = board.questions[1]
    question = board.hall.catalog.library.questions[second]
    other = next(letter for letter, _ in question.options if letter not in (question.key, board.wrong))
    await chat_of(board, clock, "9001").say(f"更正 {board.exam} {second} 改 {other} 原因=条文已改")
    await chat_of(board, clock, "9002").say("更正 确认 1")
    learner = chat_of(board, clock, "1001")

    said = await learner.say("为什么")
    assert "考试 +90 分钟 考试《年度学法考试》" in said
    assert "考试 -90 分钟 考试《年度学法考试》" in said
    assert re.search(r"这一条已被 #\d+ 冲销", await learner.say("为什么 1"))


async def test_a_question_that_was_taken_out_says_so_on_the_old_paper(board: Board, clock: Clock) -> None:
    await chat_of(board, clock, "9001").say(f"更正 {board.exam} {board.first} 作废 原因=题干有歧义")
    await chat_of(board, clock, "9002").say("更正 确认 1")
    place = next(one.n for one in board.review(0) if one.question.id == board.first)

    assert "此题不计分，其余各题折算成满分" in await chat_of(board, clock, "1001").say(f"考试 {board.exam} 解析 {place}")


async def test_a_supervisor_at_an_exam_reads_no_keys_in_reports(board: Board, clock: Clock) -> None:
    person = board.hall.run(lambda session: enroll(session, "7001", roles=("supervisor",)))
    boss = chat_of(board, clock, "7001")
    assert "题目分析" in await boss.say(f"报表 题目分析 {board.exam}")
    another = board.hall.publish(
        f"固定 {board.first}×2；30 分钟；及格 60%", at=clock.now, opens_at=clock.now, closes_at=clock.now + timedelta(hours=2)
    )
    sitting = int(board.hall.begin(person, another, clock.now).status.sitting_id)

    assert (await boss.say(f"报表 题目分析 {board.exam}")).startswith("未记录：您正在考")
    board.hall.hand_in(person, sitting, clock.now)
    assert "等那场考试结束后再看" in await boss.say(f"报表 题目分析 {board.exam}")
    assert "作答线索" in await boss.say(f"报表 考试线索 {board.exam}")


# ── Appeals ──


async def test_an_appeal_gets_a_number_a_day_and_an_answer_that_is_kept(board: Board, clock: Clock) -> None:
    learner, admin = chat_of(board, clock, "1002"), chat_of(board, clock, "9001")

    said = await learner.say(f"申诉 {board.exam} 第 1 题的标准答案与条文不符")
    assert said.startswith("已记录。申诉 #1：考试《年度学法考试》。管理员将在 3月9日前答复")
    assert "申诉 #1" in await learner.say(f"申诉 {board.exam} 再说一遍"), "one about this paper waits already"
    assert "办理中，3月9日前答复" in await learner.say("申诉")

    listed = await admin.say("申诉")
    assert "#1 学员1002（1002）　考试 1《年度学法考试》4 分，不合格" in listed
    assert "第 1 题的标准答案与条文不符" in listed
    assert (await admin.say("申诉 回复 1 维持 已复核，答案无误")).startswith("已记录。申诉 #1 已答复：维持原结果")
    assert "已经答复过" in await admin.say("申诉 回复 1 准予 改主意了")
    assert "3月2日维持原结果。已复核，答案无误" in await learner.say("申诉")
    assert rows(board.hall.dispatcher.database, "SELECT actor, action, target, detail FROM audit WHERE action = '答复申诉'") == [
        ("9001", "答复申诉", "appeal:1", "1002；维持原结果；已复核，答案无误")
    ]
    told = rows(
        board.hall.dispatcher.database, "SELECT c.content FROM campaign c JOIN delivery d ON d.campaign_id = c.id WHERE c.name LIKE '%申诉有了答复%'"
    )
    assert len(told) == 1
    assert "已复核，答案无误" in told[0][0]


async def test_a_granted_appeal_names_the_correction_that_puts_it_right(board: Board, clock: Clock) -> None:
    learner, admin = chat_of(board, clock, "1002"), chat_of(board, clock, "9001")
    await learner.say(f"申诉 {board.exam} 第 1 题答案不对")
    assert "更正 5 不是考试" in await admin.say("申诉 回复 1 准予 更正 5 确有错误")
    await admin.say(f"更正 {board.exam} {board.first} 改 {board.wrong} 原因=申诉属实")
    await chat_of(board, clock, "9002").say("更正 确认 1")

    assert (await admin.say("申诉 回复 1 准予 更正 1 确有错误，已改")).startswith("已记录")
    assert rows(board.hall.dispatcher.database, "SELECT granted, correction_id, answered FROM appeal") == [(1, 1, "确有错误，已改")]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("申诉 99 不服", "没有参加过编号为 99 的考试"),
        ("申诉 1", "请写明理由"),
        ("申诉 1 " + "长" * 501, "最多 500 字"),
        ("申诉 我不服", "请写考试编号和理由"),
        ("申诉 回复 1 准予 我自己同意", "请写考试编号和理由"),
    ],
)
async def test_an_appeal_that_cannot_be_heard_is_refused(board: Board, clock: Clock, said: str, answer: str) -> None:
    heard = await chat_of(board, clock, "1002").say(said)

    assert heard.startswith("未记录")
    assert answer in heard


async def test_a_result_that_is_held_back_is_appealed_against_when_it_is_told(board: Board, clock: Clock) -> None:
    await chat_of(board, clock, "9001").say(f"更正 {board.exam} {board.first} 作废 原因=待核")
    assert "正在更正题目，成绩暂不公布" in await chat_of(board, clock, "1001").say(f"申诉 {board.exam} 不服")


async def test_nobody_answers_their_own_appeal_and_a_units_administrator_only_those_of_the_unit(board: Board, clock: Clock) -> None:
    admin = chat_of(board, clock, "9001")
    database = board.hall.dispatcher.database
    change(database, f"UPDATE role SET person_id = {board.people[0]} WHERE person_id = (SELECT id FROM person WHERE staff_no = '9002')")
    other = chat_of(board, clock, "1001")
    await other.say(f"申诉 {board.exam} 不服")
    await chat_of(board, clock, "1003").say(f"申诉 {board.exam} 也不服")
    assert "不能答复自己的申诉" in await other.say("申诉 回复 1 准予 我自己同意")

    change(database, "INSERT INTO unit (id, parent_id, name, path) SELECT 77, id, '财务处', '某局/财务处' FROM unit WHERE path = '某局'")
    change(database, "UPDATE role SET unit_id = 77 WHERE person_id = (SELECT id FROM person WHERE staff_no = '9001')")
    assert "待答复" not in await admin.say("申诉")
    assert "没有编号为 #2 的申诉" in await admin.say("申诉 回复 2 准予 好")
    assert re.search(r"待答复的申诉 2 件", await other.say("申诉"))
