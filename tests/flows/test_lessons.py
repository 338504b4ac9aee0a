"""Reading a lesson: the server's clock, page by page, closing questions, then the minutes."""

from __future__ import annotations

from bot.domain.library.library import Lesson, expected_reading_seconds
from tests.conftest import Chat
from tests.flows.test_daily import change, question_in_hand, right_answer, rows


def lesson_in_hand(chat: Chat) -> Lesson:
    lesson_id = rows(chat.dispatcher.database, "SELECT lesson FROM reading ORDER BY id DESC LIMIT 1")[0][0]
    return chat.dispatcher.catalog().library.lessons[str(lesson_id)]


def expected(lesson: Lesson) -> list[int]:
    return [expected_reading_seconds(page) for page in lesson.pages]


async def read_through(chat: Chat, lesson: Lesson, seconds: list[int]) -> str:
    said = ""
    for one in seconds:
        said = await chat.say("下一页", after=one)
    for _ in lesson.questions:
        assert "课后题" in said or "第" in said
        said = await chat.say(right_answer(question_in_hand(chat)))
        assert said.startswith("已记录")
    return said


async def test_a_lesson_read_at_ease_earns_its_minutes_after_the_closing_questions(chat: Chat) -> None:
    assert "1/" in await chat.say("学习")
    lesson = lesson_in_hand(chat)
    said = await read_through(chat, lesson, expected(lesson))

    assert "学完了" in said
    total = sum(expected(lesson))
    assert rows(chat.dispatcher.database, "SELECT category, credit_seconds, rule, source_id FROM ledger") == [
        ("online", total, "D2", f"2026:{lesson.id}")
    ]


async def test_a_page_is_credited_up_to_a_fifth_more_and_not_at_all_below_a_third(chat: Chat) -> None:
    await chat.say("学习")
    lesson = lesson_in_hand(chat)
    pages = expected(lesson)
    assert "封顶" in await chat.say("下一页", after=pages[0] * 10)
    assert "不足" in await chat.say("下一页", after=pages[1] // 4)
    said = await read_through(chat, lesson, pages[2:])
    assert f"{2} 页没有全计" in said

    assert rows(chat.dispatcher.database, "SELECT credited FROM page_view WHERE page <= 2 ORDER BY page") == [(int(pages[0] * 6 / 5),), (0,)]
    why = await chat.say("为什么")
    assert "封顶" in why
    assert "不足应读" in why
    assert "规则 D2" in why


async def test_a_lesson_that_was_only_leafed_through_says_so_before_its_questions_and_can_be_read_again(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    for _ in lesson.pages:
        said = await chat.say("下一页", after=1)
    assert "不计学时" in said
    assert [button.say for button in chat.last.buttons][:2] == ["第 1 页", "第 2 页"]

    assert f"1/{len(lesson.pages)}" in await chat.say("第 1 页")
    said = await read_through(chat, lesson, expected(lesson))
    assert "学完了" in said
    assert rows(chat.dispatcher.database, "SELECT credit_seconds FROM ledger WHERE category = 'online'") == [(sum(expected(lesson)),)]


async def test_the_minutes_wait_for_the_closing_questions(chat: Chat) -> None:
    await chat.say("学习")
    lesson = lesson_in_hand(chat)
    for one in expected(lesson):
        await chat.say("下一页", after=one)
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM ledger") == [(0,)]
    await chat.say("退出")
    assert "课后题" in await chat.say("继续")
    for _ in lesson.questions:
        await chat.say(right_answer(question_in_hand(chat)))
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM ledger WHERE category = 'online'") == [(1,)]


async def test_one_lesson_at_a_time_and_leaving_a_page_stops_its_clock_without_credit(chat: Chat) -> None:
    await chat.say("学习 民法典")
    first = lesson_in_hand(chat)
    assert f"《{first.title}》先放下了" in await chat.say("学习 监察法", after=60)
    assert rows(chat.dispatcher.database, "SELECT credited, asked_at IS NOT NULL FROM page_view WHERE page = 1 ORDER BY id LIMIT 1")[0][0] == 0
    second = lesson_in_hand(chat)
    assert f"《{second.title}》先放下了" in await chat.say("每日"), "a set of questions says so too"
    await chat.say("退出")
    back = await chat.say("继续")
    assert "1/" in back


async def test_the_same_lesson_earns_once_a_year(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    await read_through(chat, lesson, expected(lesson))
    await chat.say(f"学习 {lesson.id}")
    said = await read_through(chat, lesson, expected(lesson))
    assert "每年只计一次" in said
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM ledger WHERE category = 'online'") == [(1,)]

    chat.clock.pass_(days=366)
    await chat.say(f"学习 {lesson.id}")
    await read_through(chat, lesson, expected(lesson))
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM ledger WHERE category = 'online'") == [(2,)]


async def test_online_study_counts_two_hours_a_day_and_says_what_was_over(chat: Chat) -> None:
    change(chat.dispatcher.database, "INSERT INTO day_total (person_id, day, category, seconds) SELECT id, '2026-03-02', 'online', 5370 FROM person")
    await chat.say("学习")
    lesson = lesson_in_hand(chat)
    said = await read_through(chat, lesson, expected(lesson))
    total = sum(expected(lesson))
    assert "今日在线学习 2 学时已满" in said
    assert rows(chat.dispatcher.database, "SELECT credit_seconds FROM ledger") == [(30,)]
    assert rows(chat.dispatcher.database, "SELECT seconds FROM uncredited") == [(total - 30,)]


async def test_an_old_page_button_turns_nothing(chat: Chat) -> None:
    await chat.say("学习")
    old = chat.last.card
    assert old is not None
    assert "2/" in await chat.tap_on(old, "下一页", after=60)
    assert (await chat.tap_on(old, "下一页")).startswith("未记录")


async def test_one_task_at_a_time_and_what_is_put_off_comes_back(chat: Chat) -> None:
    await chat.say("每日")
    daily = chat.last.card
    await chat.say("学习")
    assert chat.last.card is not None
    assert chat.last.card.options[0].say == "下一页"
    await chat.say("退出")
    await chat.say("继续")
    assert chat.last.card == daily


async def test_a_misnomer_is_answered_with_the_right_name(chat: Chat) -> None:
    said = await chat.say("学习 公职人员职务处分法")
    assert "公职人员政务处分法" in said
    assert "公职人员政务处分法" in await chat.say("练习 职务处分法")


async def test_a_page_skimmed_by_accident_is_read_again_for_its_time_until_the_lesson_is_finished(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    pages = expected(lesson)
    await chat.say("下一页", after=pages[0])
    await chat.say("下一页", after=2)
    assert f"2/{len(pages)}" in await chat.say("上一页", after=1)
    assert chat.last.buttons[0].say == "上一页"
    for seconds in pages[1:]:
        said = await chat.say("下一页", after=seconds)
    assert "停留太短" not in said
    for _ in lesson.questions:
        said = await chat.say(right_answer(question_in_hand(chat)))
    assert "学完了" in said
    assert rows(chat.dispatcher.database, "SELECT credit_seconds FROM ledger WHERE category = 'online'") == [(sum(pages),)]
    assert "现在没有正在读的课" in await chat.say("上一页"), "what is finished stays as it is"


async def test_a_page_read_twice_is_credited_up_to_its_one_ceiling(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    pages = expected(lesson)
    for seconds in pages:
        await chat.say("下一页", after=seconds)
    for _ in range(3):
        assert f"{len(pages)}/{len(pages)}" in await chat.say("上一页")
        assert "课后题第1/" in await chat.say("下一页", after=pages[-1])
    credited = rows(chat.dispatcher.database, "SELECT SUM(credited) FROM page_view GROUP BY page ORDER BY page")
    assert credited == [(seconds,) for seconds in pages[:-1]] + [(int(pages[-1] * 6 / 5),)]
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM sitting WHERE kind = 'lesson'") == [(1,)], "the same questions come back"


async def test_no_page_is_turned_to_that_was_not_reached(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    assert "还没有读到第 3 页" in await chat.say("第 3 页")
    assert "这就是第一页" in await chat.say("上一页")
    await chat.say("下一页", after=expected(lesson)[0])
    assert f"1/{len(lesson.pages)}" in await chat.say("第一页")
