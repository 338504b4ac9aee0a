"""An exam in the chat: rules first, a tap an item, resumed anywhere, handed in; administrators make it, watch it, give time.

See bot/docs/rules.md S12.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.services.exam import manage, paper_view
from bot.storage.exam import attempts
from bot.storage.study import current_task, sittings
from bot.storage.tables.people import AccountRow
from bot.web.exam import state_of
from tests.conftest import NOW, Chat, Clock, enroll
from tests.support.exams import ADMIN, ExamHarness

NEW = "考试 新建 年度学法考试；2026-03-02 09:00 至 11:00；全员；单选 4×2、判断 2×1；案例≥30%；30 分钟；及格 60%"


@pytest.fixture
def hall(dispatcher: Dispatcher) -> ExamHarness:
    return ExamHarness(dispatcher)


@pytest.fixture
def admin(dispatcher: Dispatcher, clock: Clock) -> Chat:
    dispatcher.database.write_now(lambda session: enroll(session, "9001", "管理员甲", roles=("admin",)))
    return Chat(dispatcher, clock, "9001")


@pytest.fixture
def second(dispatcher: Dispatcher, clock: Clock) -> Chat:
    dispatcher.database.write_now(lambda session: enroll(session, "9002", "管理员乙", roles=("admin", "supervisor")))
    return Chat(dispatcher, clock, "9002")


async def published(admin: Chat, line: str = NEW) -> int:
    """An exam made in the chat; its number."""
    drafted = await admin.say(line, after=0)
    found = re.search(r"考试 发布 (\d+)", drafted)
    assert found is not None, drafted
    assert "已发布" in await admin.say(f"考试 发布 {found[1]}", after=0)
    return int(found[1])


async def begun(chat: Chat, exam_id: int) -> int:
    """An exam begun in the chat; the sitting."""
    await chat.say(f"考试 {exam_id}")
    said = await chat.say(f"考试 开始 {exam_id}")
    assert "开始计时" in said, said
    assert chat.last.card is not None
    return int(chat.last.card.task[1:].split(".")[0])


async def test_the_rules_are_said_before_the_clock_runs(chat: Chat, admin: Chat, hall: ExamHarness) -> None:
    exam_id = await published(admin)
    assert f"考试 {exam_id}《年度学法考试》可以考" in await chat.say("考试")
    rules = await chat.say(f"考试 {exam_id}")
    for said in ("开始就计时", "时间照走", "以第一次作答为准", "到时自动交卷", "结束前不公布答案", "6 题，满分 10 分，6 分及格，限时 30 分钟"):
        assert said in rules
    assert hall.dispatcher.database.read_now(lambda session: current_task.focus(session, 1)) is None
    started = await chat.say(f"考试 开始 {exam_id}")
    assert re.search(r"第1/6题 · 单选题 · \S+ · 2 分", started), "the law stands with the item"
    assert "还剩 30 分" in started


async def test_a_paper_is_answered_by_taps_and_letters_and_handed_in_after_a_look(chat: Chat, admin: Chat, hall: ExamHarness) -> None:
    exam_id = await published(admin)
    sitting_id = await begun(chat, exam_id)
    keys = hall.keys(sitting_id)
    said = await chat.tap(keys[0][0])
    assert said.startswith(f"已记录：第 1 题 {keys[0][0]}。")
    assert "正确" not in said
    assert "第2/6题" in said
    assert "第3/6题" in await chat.say(f"选{keys[1][1]}")
    assert "第 5 题" in await chat.say(f"5{keys[4][0]}"), "3B: a question by its number"
    assert "第4/6题" in await chat.say("第 4 题")
    assert "第3/6题" in await chat.say("上一题")
    assert "第4/6题" in await chat.say("下一题")
    assert "第6/6题" in await chat.say("6")
    sheet = await chat.say("答题卡")
    assert "未答：第 3–4、6 题" in sheet
    asked = await chat.say("交卷")
    assert "还有 3 题没有答：第 3–4、6 题" in asked
    assert hall.attempt(sitting_id).state == "open"
    done = await chat.say("确认交卷")
    assert done.startswith("已记录：考试《年度学法考试》已于 3月2日 09:00 交卷，答了 3/6 题。")
    assert "成绩在考试结束（3月2日 11:00）后公布" in done
    closed = hall.attempt(sitting_id)
    assert (closed.closed_by, closed.score) == ("self", 3000)
    assert "本人交卷" in await chat.say(f"考试 {exam_id}")


async def test_the_first_answer_stands_and_a_card_of_long_ago_says_so(chat: Chat, admin: Chat, hall: ExamHarness) -> None:
    exam_id = await published(admin)
    sitting_id = await begun(chat, exam_id)
    first = chat.last.card
    assert first is not None
    right, wrong = hall.keys(sitting_id)[0]
    await chat.tap(wrong)
    assert (await chat.tap_on(first, right)).startswith(f"未记录：第 1 题已经答过（{wrong}），以第一次为准")
    await chat.say("1")
    assert (await chat.say(right)).startswith("未记录：第 1 题已经答过")
    other = Chat(chat.dispatcher, chat.clock, "1002")
    hall.run(lambda session: enroll(session, "1002"))
    assert "不是发给您的" in await other.tap_on(first, right)


async def test_an_exam_goes_on_in_another_channel_with_the_clock_running(chat: Chat, admin: Chat, hall: ExamHarness) -> None:
    def bind(session: Session) -> None:
        session.add(AccountRow(channel="wecom", user="zhang", person_id=1, bound_at=NOW, bound_by="test"))

    hall.run(bind)
    sitting_id = await begun(chat, await published(admin))
    await chat.tap(hall.keys(sitting_id)[0][0])
    left = await chat.say("退出")
    assert "时间照走" in left
    other = Chat(chat.dispatcher, chat.clock, "zhang", "wecom")
    chat.clock.pass_(600)
    said = await other.say("继续")
    assert "第2/6题" in said
    assert "还剩 19 分" in said
    assert (await other.tap(hall.keys(sitting_id)[1][0])).startswith("已记录：第 2 题")


async def test_a_late_answer_is_not_recorded_and_the_paper_is_handed_in_by_the_clock(
    chat: Chat, admin: Chat, hall: ExamHarness, clock: Clock
) -> None:
    sitting_id = await begun(chat, await published(admin))
    card = chat.last.card
    assert card is not None
    end = hall.attempt(sitting_id).deadline
    clock.now = end - timedelta(seconds=1)
    assert (await chat.tap_on(card, hall.keys(sitting_id)[0][0], after=1)).startswith("已记录"), "the last moment counts"
    card = chat.last.card
    assert card is not None
    late = await chat.tap_on(card, "A", after=0.001)
    assert late.startswith("未记录：考试《年度学法考试》已于")
    hall.tick(end + timedelta(seconds=6))
    assert (await chat.tap_on(card, "A")).startswith("未记录")
    assert "到时自动交卷" in await chat.say("考试 1")
    assert hall.attempt(sitting_id).score == 2000


async def test_nothing_that_is_said_before_the_end_holds_a_key(chat: Chat, admin: Chat, hall: ExamHarness, clock: Clock) -> None:
    """Everything outbound during the exam is searched for the explanations of the paper and for verdicts."""
    await chat.say("每日")
    exam_id = await published(admin)
    sitting_id = await begun(chat, exam_id)
    said = []
    for words in ("练习", "每日", "错题", "挑战", "学习 xf-00", "纠错 这题不对", "纠错", "我的学时", "报表", "帮助", "继续"):
        said.append(await chat.say(words))
    for n, (right, wrong) in enumerate(hall.keys(sitting_id), 1):
        said.append(await chat.say(f"{n}{right if n % 2 else wrong}"))
    await chat.say("退出")
    for words in ("练习", "每日", "错题", "挑战", "A"):
        refused = await chat.say(words)
        said.append(refused)
    assert "您正在考《年度学法考试》，交卷以前不能做别的题" in await chat.say("练习")
    said.append(await chat.say("交卷"))
    said.append(await chat.say("确认交卷"))
    catalog = hall.catalog
    paper = hall.dispatcher.database.read_now(lambda session: paper_view.shown_paper(session, catalog, sitting_id))
    stems = {one.stem for one in paper}
    on_paper = [one for one in catalog.library.questions.values() if one.stem in stems]
    assert len(on_paper) >= 6
    for _ in range(12):
        said.append(await chat.say("练习"))
        said += [await chat.say(words) for words in ("A", "对", "退出")]
    everything = "\n".join(said)
    for one in on_paper:
        assert one.explanation not in everything
        assert one.stem not in "\n".join(said[-48:]), "not drawn for practice while the exam can be sat"
    clock.now = NOW + timedelta(hours=2, seconds=6)
    hall.tick(clock.now)
    assert "得分" in await chat.say(f"考试 {exam_id}")


async def test_a_question_of_the_paper_that_stands_in_another_set_keeps_its_verdict_back(
    chat: Chat, admin: Chat, hall: ExamHarness, clock: Clock
) -> None:
    sitting_id = await begun(chat, await published(admin))

    def slip_in(session: Session) -> None:
        from bot.storage.exam import attempts
        from bot.storage.study import sittings as quiz

        one = attempts.items(session, sitting_id)[0]
        set_id = quiz.open_sitting(session, 1, "daily", "2026-03-02", [(one.question, one.version_id)], clock.now)
        current_task.set_focus(session, 1, "sitting", set_id, clock.now)

    await chat.say("确认交卷")
    hall.run(slip_in)
    said = await chat.say("A")
    assert said.startswith("已记录。这道题在您的考试卷里，对错、答案和解析在考试结束（3月2日 11:00）后再看。")
    assert not re.search("正确|错误|解析：", said)


async def test_nobodys_answer_waits_for_a_question_about_exams_while_they_have_no_paper(
    chat: Chat, admin: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await published(admin)
    await chat.say("每日")
    asked: list[int] = []

    def watched(session: Session, person_id: int) -> list[attempts.OpenExamAttempt]:
        asked.append(person_id)
        return []

    monkeypatch.setattr(attempts, "attempts_at_open_exams", watched)
    assert (await chat.say("A")).startswith("已记录")
    assert asked == []


async def test_an_administrator_who_sits_the_exam_is_told_its_keys_by_no_command_of_theirs(
    chat: Chat, admin: Chat, second: Chat, hall: ExamHarness, clock: Clock
) -> None:
    exam_id = await published(admin)
    sitting_id = await begun(second, exam_id)
    placed = hall.dispatcher.database.read_now(lambda session: attempts.items(session, sitting_id))[0]
    key = hall.catalog.library.questions[placed.question]

    def reported(session: Session) -> None:
        sittings.add_report(session, 1, placed.version_id, None, "答案不对", clock.now)

    hall.run(reported)
    line = f"更正 考试 {exam_id} {placed.question} 作废 原因=题干有误"
    assert "您正在考《年度学法考试》" in await second.say(line)
    await second.say("确认交卷")

    assert "题目 " + placed.question + " 在您的考试卷里" in await second.say(line)
    listed = await second.say("纠错")
    assert "标准答案：这道题在您的考试卷里，考试结束后再看" in listed
    assert key.show_key() in await admin.say("纠错"), "who has not sat it deals with the report"
    clock.now = NOW + timedelta(hours=2, seconds=6)
    hall.tick(clock.now)
    assert (await second.say(line)).startswith("已记录。更正 #1")


async def test_an_old_paper_is_shown_with_no_key_while_another_exam_with_its_items_can_be_sat(
    chat: Chat, admin: Chat, hall: ExamHarness, clock: Clock
) -> None:
    items = "、".join(f"{name}×2" for name in sorted(hall.catalog.drawn)[:3])
    first, second = (hall.publish(f"固定 {items}；30 分钟；及格 60%", name=name) for name in ("上半年考试", "下半年考试"))
    await begun(chat, first)
    await chat.say("确认交卷")
    hall.run(lambda session: manage.close(session, hall.catalog, ADMIN, first, "提前结束", clock.now))
    explained = f"考试 {first} 解析"
    assert "解析：" in await chat.say(explained)

    await begun(chat, second)
    assert "您正在考《下半年考试》，交卷以后再看答案和解析。" in await chat.say(explained)
    await chat.say("确认交卷")
    assert "这份卷里有您另一场考试的题" in await chat.say(explained)
    page = hall.dispatcher.database.read_now(lambda session: state_of(session, hall.catalog, 1, first, clock.now))
    assert page["answers"] == []
    assert "另一场考试的题" in page["told"]

    hall.run(lambda session: manage.close(session, hall.catalog, ADMIN, second, "提前结束", clock.now))
    assert "解析：" in await chat.say(explained)


async def test_an_exam_is_put_down_for_a_live_contest_only(chat: Chat, admin: Chat) -> None:
    await chat.say("每日")
    exam_id = await published(admin)
    await chat.say(f"考试 {exam_id}")
    assert "每日一练先放下了" in await chat.say(f"考试 开始 {exam_id}")
    assert "您正在进行考试《年度学法考试》，先做完它" in await chat.say("每日")
    await chat.say("确认交卷")
    assert "第1/5题" in await chat.say("继续"), "what was put off comes back"


async def test_extra_time_is_asked_by_one_and_approved_by_another(chat: Chat, admin: Chat, second: Chat, hall: ExamHarness) -> None:
    exam_id = await published(admin)
    sitting_id = await begun(chat, exam_id)
    before = hall.attempt(sitting_id).deadline
    asked = await admin.say(f"考试 加时 {exam_id} 1001 10 原因=会议室断网")
    found = re.search(r"考试 批准 (\d+)", asked)
    assert found is not None
    assert "必须是两个人" in await admin.say(f"考试 批准 {found[1]}")
    assert "1001 加时 10 分钟，会议室断网；9001 申请，待批准" in await second.say(f"考试 申请 {exam_id}")
    await admin.say(f"考试 加时 {exam_id} 1001 5 会议室断网")
    assert "已批准并生效" in await second.say(f"考试 批准 {found[1]}")
    assert hall.attempt(sitting_id).deadline == before + timedelta(minutes=10)
    assert "还剩 39 分" in await chat.say("继续")
    await chat.say("确认交卷")
    listed = await second.say(f"考试 申请 {exam_id}")
    assert ("已失效，没有批准" in listed, "待批准" in listed, second.last.buttons) == (True, False, ())


async def test_administrators_see_progress_end_release_and_make_up(chat: Chat, admin: Chat, hall: ExamHarness, clock: Clock) -> None:
    exam_id = await published(admin, NEW.replace("及格 60%", "及格 60%；出分=公布后；依据=年度要点第三条"))
    sitting_id = await begun(chat, exam_id)
    assert "应考 2 人，参考 1 人（在考 1，已交 0）" in await admin.say(f"考试 进度 {exam_id}")
    assert "还没有考：管理员甲（9001）" in await admin.say(f"考试 进度 {exam_id}")
    assert "代交 1 份" in await admin.say(f"考试 结束 确认 {exam_id} 机房断电")
    assert hall.attempt(sitting_id).closed_by == "staff"
    assert "成绩在公布后通知您" in await chat.say(f"考试 {exam_id}")
    assert "成绩已公布" in await admin.say(f"考试 公布 确认 {exam_id}")
    assert "得分 0/10 分，不合格" in await chat.say(f"考试 {exam_id}")
    drafted = await admin.say(f"考试 补考 {exam_id} 2026-03-03 09:00 至 11:00 不及格 最多 7 分")
    assert "年度学法考试（补考）" in drafted
    assert "最多计 7 分" in drafted
    found = re.search(r"考试 发布 (\d+)", drafted)
    assert found is not None
    await admin.say(f"考试 发布 {found[1]}")
    clock.now = NOW + timedelta(days=1, minutes=5)
    assert "这是补考，成绩最多按 7 分计" in await chat.say(f"考试 {found[1]}")
    assert "不在这场考试的范围里" in await admin.say(f"考试 {found[1]}"), "absent, and the rule says failed"
    assert "年度学法考试" in await admin.say("考试 管理")


async def test_what_administrators_do_is_unknown_to_staff_and_bad_lines_say_how(chat: Chat, admin: Chat) -> None:
    for words in ("考试 新建 x；y；z；单选 5", "考试 发布 1", "考试 加时 1 1001 10 断网", "考试 公布 1"):
        assert "没有看懂「考试" in await chat.say(words)
    assert "请写全四项" in await admin.say("考试 新建 年度考试；2026-03-02 09:00 至 11:00")
    assert "民法典 单选题 还差 3 道" in await admin.say(NEW.replace("单选 4×2", "民法典 单选 71×2"))
    assert "出分只能写" in await admin.say(f"{NEW}；出分=马上")
    assert "没有看懂条件" in await admin.say(f"{NEW}；条件=学两课")
    drafted = await admin.say(f"{NEW}；条件=必修 2 课；迟到=15；次数=2；宽限=3；出分=立即")
    for said in ("必修 2 课", "开考 15 分钟后不得入场", "可考 2 次，到时宽限 3 秒", "交卷后立即出分"):
        assert said in drafted


async def test_the_paper_is_looked_back_at_with_its_keys_after_the_end_only(chat: Chat, admin: Chat, hall: ExamHarness, clock: Clock) -> None:
    exam_id = await published(admin, f"{NEW}；出分=立即")
    assert "您没有参加考试" in await chat.say(f"考试 {exam_id} 解析")
    sitting_id = await begun(chat, exam_id)
    assert "您还没有交卷" in await chat.say(f"考试 {exam_id} 解析")
    keys = hall.keys(sitting_id)
    for n, (right, wrong) in enumerate(keys[:5], 1):
        await chat.say(f"{n}{wrong if n == 3 else right}")
    handed_in = await chat.say("确认交卷")
    assert "得分 7/10 分，合格（6 分及格）。答案和解析在考试结束（3月2日 11:00）后可看。" in handed_in
    assert "现在还不能看答案和解析" in await chat.say(f"考试 {exam_id} 解析 3")
    late = await chat.say("6A")
    assert late.startswith("未记录：考试《年度学法考试》您已交卷")
    clock.now = NOW + timedelta(hours=2, seconds=6)
    hall.tick(clock.now)
    looked = await chat.say(f"考试 {exam_id} 解析")
    assert "1✓　2✓　3✗　4✓　5✓　6—" in looked
    assert f"您答：{keys[2][1]}；正确答案：{keys[2][0]}" in looked
    assert "解析：" in looked
    assert "依据：" in looked
    assert f"考试 {exam_id} 解析 6" in [one.say for one in chat.last.buttons]
    assert "您答：没有答" in await chat.say(f"考试 {exam_id} 解析 第6题")
    assert "没有第 7 题" in await chat.say(f"考试 {exam_id} 解析 7")


async def test_a_paper_that_was_handed_in_stands_among_those_sat(chat: Chat, admin: Chat) -> None:
    exam_id = await published(admin, f"{NEW}；出分=立即")
    assert "开始计时" in await chat.say(f"考试 {exam_id} 开始"), "either order of the words begins it"
    await chat.say("确认交卷")

    said = await chat.say("考试")

    assert said.startswith("现在没有要参加的考试。\n考过的：")
    assert [one.say for one in chat.last.buttons] == []


async def test_the_hours_of_an_exam_name_it(chat: Chat, admin: Chat, hall: ExamHarness) -> None:
    exam_id = await published(admin, f"{NEW}；出分=立即")
    keys = hall.keys(await begun(chat, exam_id))
    for n, (right, _) in enumerate(keys, 1):
        await chat.say(f"{n}{right}")
    await chat.say("确认交卷")

    assert "考试《年度学法考试》" in await chat.say("为什么")


async def test_an_exam_ends_before_its_time_only_once_it_is_open_and_is_released_only_where_that_is_its_rule(admin: Chat) -> None:
    later = await published(admin, NEW.replace("2026-03-02", "2026-03-03"))
    assert f"才开始，还没有人能考；不办了请发「考试 取消 {later} 原因」" in await admin.say(f"考试 结束 {later} 不办了")
    open_ = await published(admin, NEW.replace("年度学法考试", "三月小测"))
    assert "已结束" in await admin.say(f"考试 结束 确认 {open_} 机房断电")
    assert [one.say for one in admin.last.buttons] == [f"考试 进度 {open_}"]
    assert "按规则考试结束后出分，参考的人已经看得到" in await admin.say(f"考试 公布 {open_}")


async def test_an_administrator_finds_the_questions_of_an_exam_without_the_reports_of_supervisors(chat: Chat, admin: Chat) -> None:
    exam_id = await published(admin)
    await begun(chat, exam_id)
    await admin.say(f"考试 进度 {exam_id}")
    assert [one.say for one in admin.last.buttons] == [f"考试 进度 {exam_id}"]
    assert "还没有结束" in await admin.say(f"题目分析 {exam_id}")
    await admin.say(f"考试 结束 确认 {exam_id} 机房断电")

    await admin.say(f"考试 进度 {exam_id}")

    assert f"题目分析 {exam_id}" in [one.say for one in admin.last.buttons]
    assert "《年度学法考试》题目分析" in await admin.say(f"题目分析 {exam_id}")
    assert "例如「题目分析 12」" in await admin.say("题目分析")
    assert "没有看懂" in await chat.say(f"题目分析 {exam_id}")


async def test_the_rules_name_what_holds_for_this_exam_only(chat: Chat, admin: Chat, hall: ExamHarness) -> None:
    plain = await published(admin)
    several = await published(admin, NEW.replace("年度学法考试", "多选小测").replace("判断 2×1", "多选 2×2") + "；出分=公布后")

    async def rules_of(exam_id: int) -> tuple[str, str]:
        page = hall.dispatcher.database.read_now(lambda session: state_of(session, hall.catalog, 1, exam_id, NOW))["rules"]
        return await chat.say(f"考试 {exam_id}"), "".join(page)

    for said in await rules_of(plain):
        assert ("得一半分" in said, "考试结束前不公布答案" in said) == (False, True)
    for said in await rules_of(several):
        assert ("得一半分" in said, "公布成绩前不公布答案" in said) == (True, True)


async def test_somebody_without_an_exam_is_told_so(chat: Chat) -> None:
    assert "现在没有要参加的考试" in await chat.say("考试")
    for words in ("答题卡", "交卷", "确认交卷", "上一题"):
        assert "没有在考的考试" in await chat.say(words)
    assert "没有编号为 7 的考试" in await chat.say("考试 7")
    assert replace(chat.last, buttons=()).card is None


@pytest.mark.parametrize("consent", ["确认", "是的", "确定。", "好的"])
async def test_a_consent_after_handing_in_was_asked_about_hands_in_whatever_item_is_open(chat: Chat, admin: Chat, consent: str) -> None:
    exam_id = await published(admin)
    await begun(chat, exam_id)
    assert "判断题" in await chat.say("第 5 题"), "a yes would be an answer to it"
    await chat.say("交卷")
    assert (await chat.say(consent)).startswith("已记录：考试《年度学法考试》已于")


async def test_a_yes_to_a_judgement_stays_its_answer_when_nothing_was_asked(chat: Chat, admin: Chat) -> None:
    await begun(chat, await published(admin))
    await chat.say("第 5 题")
    assert (await chat.say("是的")).startswith("已记录：第 5 题 对")


async def test_one_letter_several_times_is_no_answer_in_an_exam_either(chat: Chat, admin: Chat) -> None:
    await begun(chat, await published(admin))
    await chat.say("第 1 题")
    said = await chat.say("BBBB")
    assert said.startswith("未记录")
    assert "一次只答一题" in said
    assert chat.last.buttons[0].say == "B"


@pytest.mark.parametrize("written", ["考试 年度学法考试", "考试《年度学法考试》", "考试 《年度学法考试》吧"])
async def test_an_exam_is_found_by_its_name_as_the_list_writes_it(chat: Chat, admin: Chat, written: str) -> None:
    exam_id = await published(admin)
    assert f"考试 开始 {exam_id}" in await chat.say(written)
