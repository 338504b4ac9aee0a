"""Whose turn it is among what a person has open."""

from __future__ import annotations

import random
import re

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.message import Refusal
from bot.domain.study.sitting import FORMS, TaskClaim
from bot.services.study import current_task, quiz
from bot.storage.study import current_task as study_current_task
from bot.storage.study import sittings
from tests.conftest import NOW, Chat, enroll
from tests.flows.test_daily import question_in_hand, rows, wrong_answer


def begin(dispatcher: Dispatcher, person_id: int, kind: str, scope: str) -> int:
    """A sitting of a kind, in hand."""

    def work(session: Session) -> int:
        catalog = dispatcher.catalog()
        sitting_id = sittings.open_sitting(session, person_id, kind, scope, list(catalog.drawn.items())[:3], NOW)
        current_task.take_up(session, catalog, person_id, FORMS[kind].task, sitting_id, FORMS[kind].claim, NOW)
        return sitting_id

    return dispatcher.database.write_now(work)


def test_every_kind_of_sitting_has_a_name_and_a_claim_in_the_order_of_the_house() -> None:
    assert [form.name for form in FORMS.values() if not form.name] == []
    claims = {kind: form.claim for kind, form in FORMS.items()}
    assert claims["live"] < claims["exam"] < claims["contest"] < claims["daily"] < claims["mistakes"]


@pytest.mark.parametrize("held", ["live", "exam"])
def test_what_claims_less_does_not_push_away_a_contest_or_an_exam(dispatcher: Dispatcher, held: str) -> None:
    person_id = dispatcher.database.write_now(lambda session: enroll(session, "1001"))
    sitting_id = begin(dispatcher, person_id, held, "7")
    for less in ("daily", "practice"):
        with pytest.raises(Refusal, match=f"您正在进行{FORMS[held].name}"):
            begin(dispatcher, person_id, less, "2026-03-02")
    with pytest.raises(Refusal, match="先做完它"):
        dispatcher.database.write_now(lambda session: quiz.take_daily_set(session, dispatcher.catalog(), person_id, NOW, random.Random(1)))
    assert dispatcher.database.read_now(lambda session: study_current_task.focus(session, person_id)) == (FORMS[held].task, sitting_id)


def test_a_live_contest_takes_the_place_of_an_exam_and_the_exam_waits_first(dispatcher: Dispatcher) -> None:
    person_id = dispatcher.database.write_now(lambda session: enroll(session, "1001"))
    begin(dispatcher, person_id, "daily", "2026-03-02")
    begin(dispatcher, person_id, "exam", "7")
    begin(dispatcher, person_id, "live", "8")
    waiting = dispatcher.database.read_now(lambda session: current_task.waiting(session, dispatcher.catalog(), person_id))
    assert [(one.claim, one.task) for one in waiting] == [(TaskClaim.EXAM, "exam"), (TaskClaim.DAILY, "sitting")]
    left = dispatcher.database.write_now(lambda session: current_task.pause(session, dispatcher.catalog(), person_id, NOW))
    assert left == "现场竞赛", "who says so may leave"


async def test_a_practice_round_gives_way_for_good_and_the_daily_set_waits(chat: Chat) -> None:
    await chat.say("每日")
    assert "每日一练先放下了" in await chat.say("练习")
    await chat.say("退出")
    assert "第1/5题" in await chat.say("继续")
    await chat.say("退出")
    assert "每日一练（0/5）" in await chat.say("A")


OPENED = {"每日": "每日一练", "练习": "练习", "练习 错题": "练习", "错题": "错题重做", "挑战": "挑战", "学习 民法典": "《", "练习 模拟": "模拟考试"}


async def _with_mistakes(chat: Chat) -> None:
    """A few wrong answers of yesterday, so that there is something to review."""
    await chat.say("每日")
    for _ in range(5):
        await chat.say(wrong_answer(question_in_hand(chat)))
    chat.clock.pass_(days=1)


@pytest.mark.parametrize("first", OPENED)
@pytest.mark.parametrize("second", ["每日", "练习", "错题", "挑战", "学习 监察法"])
async def test_opening_another_names_what_was_put_down_and_its_words_bring_it_back(chat: Chat, first: str, second: str) -> None:
    await _with_mistakes(chat)
    opened = await chat.say(first)
    assert "先放下" not in opened
    before = chat.dispatcher.database.read_now(lambda session: study_current_task.focus(session, 1))
    said = await chat.say(second)
    after = chat.dispatcher.database.read_now(lambda session: study_current_task.focus(session, 1))
    if after == before:
        assert first == second == "每日", said
        return
    match = re.search(r"(\S+?)先放下了，回复「(继续 [^」]+)」可以接着做。", said)
    assert match is not None, said
    assert match[1].startswith(OPENED[first])
    await chat.say(match[2])
    assert chat.dispatcher.database.read_now(lambda session: study_current_task.focus(session, 1)) == before


async def test_what_is_left_says_which_words_bring_it_back_when_something_else_comes_first(chat: Chat) -> None:
    await chat.say("每日")
    lesson = await chat.say("学习 民法典")
    title = re.search(r"📖 《([^》]+)》", lesson)
    assert title is not None
    left = await chat.say("退出")
    assert f"回复「继续 {title[1]}」接着做；「继续」先做每日一练" in left
    assert "第1/5题" in await chat.say("继续")
    assert f"《{title[1]}》" in await chat.say(f"继续 {title[1]}")
    await chat.say("退出")
    assert f"📖 《{title[1]}》" in await chat.say(f"继续 {title[1]}")


async def test_a_round_nobody_came_back_to_does_not_wait_another_day(chat: Chat) -> None:
    await chat.say("练习")
    assert "练习先放下了" in await chat.say("每日")
    chat.clock.pass_(days=1)
    await chat.say("每日")
    assert "练习" not in await chat.say("退出")
    assert rows(chat.dispatcher.database, "SELECT state FROM sitting WHERE kind = 'practice'") == [("left",)]
