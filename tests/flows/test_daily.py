"""The daily five: put, answered, recorded once, credited by rule, kept in the notebook when wrong."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from bot.domain.library.question import Question
from bot.domain.message import QuestionCard
from bot.storage.db.database import Database
from bot.storage.study import sittings
from tests.conftest import Chat


def question_in_hand(chat: Chat, ask: QuestionCard | None = None) -> Question:
    """The question on the card, as its row has it."""
    ask = ask or chat.last.card
    assert ask is not None, "no question is in hand"
    sitting, n = ask.task[1:].split(".")
    catalog = chat.dispatcher.catalog()

    def look(session: Session) -> Question:
        row = sittings.item(session, int(sitting), int(n))
        assert row is not None
        return catalog.question(session, row.version_id)

    return chat.dispatcher.database.read_now(look)


def right_answer(question: Question) -> str:
    return question.accepted[0] if question.accepted else question.key or "。".join(point.words[0] for point in question.points)


def wrong_answer(question: Question) -> str:
    if question.kind == "judge":
        return "错" if question.key == "对" else "对"
    if question.options:
        return next(letter for letter in question.letters if letter not in question.key)
    return "完全不知道"


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """What a plain query sees."""
    return [tuple(row) for row in database.read_now(lambda session: session.connection().execute(text(query)).all())]


def change(database: Database, statement: str) -> None:
    """A plain statement, as somebody with the database's own shell would run it."""
    database.write_now(lambda session: session.connection().execute(text(statement)).rowcount)


async def test_a_learner_does_the_five_of_the_day_and_each_answer_stands_in_the_ledger(chat: Chat) -> None:
    assert "第1/5题" in await chat.say("每日")

    for _ in range(5):
        said = await chat.say(right_answer(question_in_hand(chat)))
        assert said.startswith("已记录")

    assert "答对 5 题" in said
    assert rows(chat.dispatcher.database, "SELECT COUNT(*), SUM(correct) FROM answer") == [(5, 5)]
    assert rows(chat.dispatcher.database, "SELECT COUNT(*), SUM(credit_seconds) FROM ledger") == [(5, 337)]
    assert rows(chat.dispatcher.database, "SELECT seconds, items FROM year_total") == [(337, 5)]


async def test_a_round_left_at_once_does_not_claim_to_have_recorded_anything(chat: Chat) -> None:
    await chat.say("练习")
    said = await chat.say("退出")
    assert ("一题也没有答" in said, "已记录" in said) == (True, False)


async def test_the_daily_set_is_the_same_all_day_and_new_the_next(chat: Chat) -> None:
    await chat.say("每日")
    first = chat.last.card
    assert first is not None
    await chat.say("退出")
    await chat.say("每日")
    assert chat.last.card == first
    for _ in range(5):
        await chat.say(right_answer(question_in_hand(chat)))
    assert "已经完成" in await chat.say("每日")

    chat.clock.pass_(hours=24)
    assert "第1/5题" in await chat.say("每日")


async def test_yesterdays_unfinished_set_makes_way_for_todays(chat: Chat) -> None:
    await chat.say("每日")
    await chat.say(right_answer(question_in_hand(chat)))
    await chat.say("退出")
    chat.clock.pass_(hours=24)
    assert "第1/5题" in await chat.say("每日")
    for _ in range(5):
        said = await chat.say(right_answer(question_in_hand(chat)))
    assert "还有没做完的" not in said
    assert rows(chat.dispatcher.database, "SELECT state, COUNT(*) FROM sitting GROUP BY state ORDER BY state") == [("done", 1), ("left", 1)]


async def test_a_wrong_answer_is_explained_and_kept_in_the_notebook_until_two_are_right(chat: Chat) -> None:
    await chat.say("每日")
    question = question_in_hand(chat)
    said = await chat.say(wrong_answer(question))
    assert said.startswith("已记录")
    assert "回答错误" in said or "部分" in said
    assert question.explanation in said
    assert "错题本" in said
    await chat.say("退出")

    assert "共 1 题" in await chat.say("错题")
    assert "再对 1 次移出" in await chat.say(right_answer(question))
    await chat.say("错题")
    assert "移出错题本" in await chat.say(right_answer(question))
    assert "空的" in await chat.say("错题")


async def test_a_second_answer_to_the_same_card_changes_nothing(chat: Chat) -> None:
    await chat.say("每日")
    ask = chat.last.card
    assert ask is not None
    question = question_in_hand(chat)
    letter = question.choices[0][0] if question.choices else right_answer(question)
    assert (await chat.tap_on(ask, letter)).startswith("已记录")
    assert (await chat.tap_on(ask, letter)).startswith("未记录")
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM answer") == [(1,)]


async def test_what_is_no_answer_is_refused_with_the_way_to_answer(chat: Chat) -> None:
    await chat.say("练习")
    while not question_in_hand(chat).options:
        await chat.say("跳过")
    said = await chat.say("今天天气真好呀我们去哪里吃饭")
    assert said.startswith("未记录")
    assert "请回复" in said


async def test_an_answer_without_a_question_is_refused(chat: Chat) -> None:
    assert (await chat.say("B")).startswith("未记录")


async def test_practice_repeats_earn_nothing(chat: Chat) -> None:
    await chat.say("每日")
    question = question_in_hand(chat)
    await chat.say(wrong_answer(question))
    await chat.say("错题")
    assert "今年已计过" in await chat.say(right_answer(question))
