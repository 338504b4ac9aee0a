"""Whose turn it is among what a person has open."""

from __future__ import annotations

import random

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.message import Refusal
from bot.domain.study.sitting import FORMS, TaskClaim
from bot.services.study import current_task, quiz
from bot.storage.study import current_task as study_current_task
from bot.storage.study import sittings
from tests.conftest import NOW, Chat, enroll


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
