"""The exam's page without a browser: what it is told, what it may say, and what a foreign, late, broken or repeated word does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import Engine, text

from bot.app import build, run
from bot.commands.tasks import card_code
from bot.dispatch import BUSY_REPLY, Dispatcher
from bot.domain.links import PURPOSES
from bot.domain.message import Incoming, Reply
from bot.web.exam import ExamPage
from bot.web.sessions import WebSessions
from tests.conftest import NOW, Chat, Clock, enroll
from tests.support.exam_client import MIXED, ExamPageHarness, ExamPageVisit, any_answer, begin_exam, new_message_id
from tests.support.exams import ExamHarness
from tests.support.service import settings
from tests.support.web_client import SAME, browser, link_to, pages_at


@pytest.fixture
async def office(dispatcher: Dispatcher, clock: Clock) -> AsyncIterator[ExamPageHarness]:
    hall = ExamHarness(dispatcher)
    hall.run(lambda session: (enroll(session, "1001", "学员甲"), enroll(session, "1002", "学员乙")))
    exam_id = hall.publish(MIXED, results="at_once")

    def attach(application: web.Application, door: WebSessions) -> None:
        ExamPage(door, dispatcher.database, dispatcher.catalog, dispatcher.handle, partial(card_code, "exam"), clock).attach(application)

    async with pages_at(dispatcher.database, clock, attach) as url:
        yield ExamPageHarness(hall, clock, url, exam_id)


async def test_the_chat_hands_out_the_page_where_our_pages_stand_somewhere_and_the_result_after_the_end(office: ExamPageHarness) -> None:
    chat = Chat(office.hall.dispatcher, office.clock, "1001")
    await chat.say(f"考试 {office.exam_id}")
    assert [button.label for button in chat.last.buttons] == ["开始考试"]
    assert "BOT_PUBLIC_URL" in await chat.say(f"考试 网页 {office.exam_id}")
    office.hall.dispatcher.pages = office.url
    await chat.say(f"考试 {office.exam_id}")
    assert [button.label for button in chat.last.buttons] == ["开始考试", "在网页上答"]
    said = await chat.say(chat.last.buttons[1].say)
    link = next(line for line in said.splitlines() if line.startswith("http"))
    assert link.startswith(f"{office.url}/exam/in/")
    assert "10 分钟内有效，只能打开一次" in said
    async with browser() as session, session.post(link, headers=SAME) as answer:
        assert answer.status == 200
        page = await answer.text()
        visit = ExamPageVisit(session, f"{office.url}/exam/{office.exam_id}", page.partition('name="proof" content="')[2].partition('"')[0])
        sitting = (await begin_exam(visit))["sitting"]
        await chat.say("答题卡")
        assert f"考试 网页 {office.exam_id}" in [button.say for button in chat.last.buttons]
        await visit.post("/hand-in", sitting=sitting)
    office.hall.tick(NOW + timedelta(hours=3))
    office.clock.now = NOW + timedelta(hours=3)
    await chat.say(f"考试 {office.exam_id}")
    assert "逐题对照" in [button.label for button in chat.last.buttons]


async def test_no_link_is_said_where_others_read_it(office: ExamPageHarness) -> None:
    office.hall.dispatcher.pages = office.url
    chat = Chat(office.hall.dispatcher, office.clock, "1001")
    said = await chat.hear(replace(chat.message(f"考试 网页 {office.exam_id}"), in_group=True))
    assert "请在和我的单聊里发送" in said
    assert office.rows("SELECT COUNT(*) FROM link") == [(0,)]


async def test_somebody_for_whom_an_exam_is_not_gets_no_link_to_it(office: ExamPageHarness) -> None:
    office.hall.dispatcher.pages = office.url
    chat = Chat(office.hall.dispatcher, office.clock, "1001")
    assert "没有编号" in await chat.say("考试 网页 999")
    assert office.rows("SELECT COUNT(*) FROM link") == [(0,)]


async def test_the_page_tells_the_rules_then_the_paper_then_the_result(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        ready = await visit.get("/state")
        assert (ready["phase"], ready["hindrance"], "时间照走" in ready["rules"][0]) == ("ready", "", True)
        state = await begin_exam(visit)
        assert [item["n"] for item in state["items"]] == list(range(1, 10))
        assert {item["choice"] for item in state["items"]} == {None}
        for item in state["items"]:
            told = await visit.answer(state["sitting"], item["n"], any_answer(item))
            assert (told["recorded"], told["say"][:3]) == (True, "已记录")
        progress = await visit.get("/progress")
        assert len(progress["choices"]) == 9
        status, over = await visit.post("/hand-in", sitting=state["sitting"])
        assert (status, over["phase"]) == (200, "over")
        assert over["score"]["total"] == "18"
        assert over["score"]["verdict"] == "有简答题待阅，分数暂定"
        assert over["answers"] == [], "keys are told only when nobody sits the exam any more"


async def test_what_is_recorded_from_the_page_is_an_answer_as_from_the_chat_and_tells_where_it_came_from(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        state = await begin_exam(visit)
        await visit.answer(state["sitting"], 1, any_answer(state["items"][0]), "page-" + "a" * 24)
    assert office.rows("SELECT channel, message_id, late FROM answer") == [("local", "page-" + "a" * 24, 0)]
    assert office.rows("SELECT app, sender FROM inbox WHERE message_id LIKE 'page-%'") == [("page", "1001")]


async def test_twenty_copies_of_an_answer_record_it_once_and_all_get_the_same_words(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        state = await begin_exam(visit)
        by = new_message_id()
        told = await asyncio.gather(*(visit.answer(state["sitting"], 1, any_answer(state["items"][0]), by) for _ in range(20)))
    assert {(one["recorded"], one["say"]) for one in told} == {(True, told[0]["say"])}
    assert office.rows("SELECT COUNT(*) FROM answer") == [(1,)]


async def test_of_two_different_answers_at_once_the_first_stands_and_the_other_is_told_so(office: ExamPageHarness) -> None:
    async with browser() as one, browser() as two:
        visit, other = await office.come(one), await office.come(two)
        state = await begin_exam(visit)
        first, second = (said for said, _ in state["items"][0]["options"][:2])
        told = await asyncio.gather(visit.answer(state["sitting"], 1, first), other.answer(state["sitting"], 1, second))
        assert sorted(one["recorded"] for one in told) == [False, True]
        no = next(one for one in told if not one["recorded"])
        assert no["say"].startswith("未记录：第 1 题已经答过")
        stands = (await visit.get("/progress"))["choices"]["1"]
        assert stands == (first if told[0]["recorded"] else second)


async def test_what_the_chat_answers_meanwhile_is_seen_on_the_page_in_the_letters_of_the_page(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        state = await begin_exam(visit)
        chat = Chat(office.hall.dispatcher, office.clock, "1001")
        shown = await chat.say("继续")
        item = state["items"][0]
        assert item["stem"][:20] in shown
        assert (await chat.tap("B")).startswith("已记录")
        assert (await visit.get("/progress"))["choices"] == {"1": "B"}
        assert (await visit.get("/state"))["items"][0]["choice"] == "B"


async def test_the_time_of_arrival_decides_and_a_copy_of_what_came_in_time_gets_its_answer_again(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        state = await begin_exam(visit)
        in_time, sitting = new_message_id(), state["sitting"]
        office.clock.now = NOW + timedelta(minutes=30)
        assert (await visit.answer(sitting, 1, any_answer(state["items"][0]), in_time))["recorded"]
        office.clock.now += timedelta(microseconds=1)
        late = await visit.answer(sitting, 2, any_answer(state["items"][1]))
        again = await visit.answer(sitting, 1, any_answer(state["items"][0]), in_time)
        assert (late["recorded"], late["say"][:3], again["recorded"]) == (False, "未记录", True)
        office.hall.tick(office.clock.now + timedelta(seconds=10))
        over = await visit.get("/state")
        assert (over["phase"], "到时自动交卷" in over["ended"]) == ("over", True)
    assert office.rows("SELECT COUNT(*) FROM answer") == [(1,)]


async def test_handing_in_twice_and_after_the_clock_is_told_as_it_stands(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        state = await begin_exam(visit)
        told = await asyncio.gather(*(visit.post("/hand-in", sitting=state["sitting"]) for _ in range(5)))
        assert {(status, over["phase"]) for status, over in told} == {(200, "over")}
        status, refused = await visit.post("/begin")
        assert (status, "最多 1 次" in refused["say"]) == (409, True)
    assert office.rows("SELECT state, closed_by FROM attempt") == [("closed", "self")]


async def test_nothing_that_the_page_is_told_before_the_end_holds_a_key_and_after_it_everything_is_told(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        state = await begin_exam(visit)
        heard = [json.dumps(state, ensure_ascii=False)]
        for item in state["items"]:
            heard.append(json.dumps(await visit.answer(state["sitting"], item["n"], any_answer(item)), ensure_ascii=False))
        heard += [json.dumps(await visit.get(path), ensure_ascii=False) for path in ("/state", "/progress")]
        async with session.get(visit.url) as page:
            heard.append(await page.text())
        heard.append(json.dumps((await visit.post("/hand-in", sitting=state["sitting"]))[1], ensure_ascii=False))
        office.hall.tick(NOW + timedelta(hours=3))
        told = (await visit.get("/state"))["answers"]
    assert len(told) == 9
    assert all(one["source"].startswith("依据：") and one["key"] and len(one["explanation"]) > 10 for one in told)
    questions = [office.hall.catalog.library.questions[name] for (name,) in office.rows("SELECT question FROM sitting_item")]
    secrets = [one["explanation"] for one in told] + [point.say for question in questions for point in question.points]
    assert [secret for secret in secrets if any(secret in one for one in heard)] == []
    assert {name for item in state["items"] for name in item} == {"n", "kind", "label", "stem", "options", "several", "points", "choice"}


async def test_the_paper_of_a_colleague_is_neither_answered_nor_handed_in(office: ExamPageHarness) -> None:
    async with browser() as one, browser() as two:
        mine, theirs = await office.come(one, "1001"), await office.come(two, "1002")
        sitting = (await begin_exam(mine))["sitting"]
        state = await begin_exam(theirs)
        told = await theirs.answer(sitting, 1, "A")
        assert (told["recorded"], told["say"]) == (False, "未记录：这份试卷不是发给您的。")
        assert (await theirs.post("/hand-in", sitting=sitting))[1]["phase"] == "open"
        assert (await theirs.get("/state"))["sitting"] == state["sitting"]
    assert office.rows("SELECT COUNT(*) FROM answer") == [(0,)]
    assert office.rows("SELECT DISTINCT state FROM attempt") == [("open",)]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"id": "x", "sitting": 1, "n": 1, "choice": "A"},
        {"id": "page-" + "g" * 24, "sitting": 1, "n": 1, "choice": "A"},
        {"id": "page-" + "a" * 24, "sitting": "1", "n": 1, "choice": "A"},
        {"id": "page-" + "a" * 24, "sitting": True, "n": 1, "choice": "A"},
        {"id": "page-" + "a" * 24, "sitting": 1, "n": 0, "choice": "A"},
        {"id": "page-" + "a" * 24, "sitting": 10**12, "n": 1, "choice": "A"},
        {"id": "page-" + "a" * 24, "sitting": 1, "n": 1, "choice": ""},
        {"id": "page-" + "a" * 24, "sitting": 1, "n": 1, "choice": "A" * 2_001},
        {"id": "page-" + "a" * 24, "sitting": 1, "n": 1, "choice": ["A"]},
    ],
)
async def test_an_answer_that_no_page_of_ours_sends_is_refused(office: ExamPageHarness, said: dict[str, Any]) -> None:
    async with browser() as session:
        visit = await office.come(session)
        await begin_exam(visit)
        assert (await visit.post("/answer", **said))[0] == 400
    assert office.rows("SELECT COUNT(*) FROM inbox WHERE message_id LIKE 'page-%'") == [(0,)]


async def test_half_characters_and_nul_in_a_written_answer_break_nothing(office: ExamPageHarness) -> None:
    async with browser() as session:
        visit = await office.come(session)
        state = await begin_exam(visit)
        n = next(item["n"] for item in state["items"] if item["kind"] == "short")
        body = json.dumps({"id": new_message_id(), "sitting": state["sitting"], "n": n, "choice": "\ud800甲\x00乙"})
        headers = {**SAME, "X-Proof": visit.proof, "Content-Type": "application/json"}
        async with session.post(f"{visit.url}/answer", data=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["recorded"]) == (200, True)
    assert office.rows("SELECT choice FROM answer") == [("甲乙",)]


async def test_a_service_that_is_busy_is_asked_again_and_nothing_counts_as_refused(database: Any, dispatcher: Dispatcher, clock: Clock) -> None:
    hall = ExamHarness(dispatcher)
    hall.run(lambda session: enroll(session, "1001", "学员甲"))
    exam_id = hall.publish(MIXED)
    replies = iter([BUSY_REPLY, None])

    async def handle(incoming: Incoming) -> Reply:
        return next(replies) or await dispatcher.handle(incoming)

    def attach(application: web.Application, door: WebSessions) -> None:
        ExamPage(door, database, dispatcher.catalog, handle, partial(card_code, "exam"), clock).attach(application)

    async with pages_at(database, clock, attach) as url, browser() as session:
        visit = await ExamPageHarness(hall, clock, url, exam_id).come(session)
        state = await begin_exam(visit)
        said = {"id": new_message_id(), "sitting": state["sitting"], "n": 1, "choice": any_answer(state["items"][0])}
        assert (await visit.post("/answer", **said))[0] == 503
        assert (await visit.post("/answer", **said))[1]["recorded"]


async def test_an_exam_that_is_not_for_somebody_is_none(office: ExamPageHarness) -> None:
    office.hall.run(lambda session: session.execute(text("UPDATE exam SET state = 'cancelled'")) and None)
    async with browser() as session:
        link = await link_to(office.hall.dispatcher.database, office.url, office.clock.now, "exam", str(office.exam_id), "1001")
        async with session.post(link, headers=SAME) as answer:
            assert (answer.status, "没有这场考试" in await answer.text()) == (404, True)


async def test_every_changing_route_of_the_house_wants_the_proof_of_its_own_page(sqlite_engine: Engine) -> None:
    """bot/docs/reliability.md W6 over the whole application: whatever is added later is tried too."""
    made = build.build(settings(), sqlite_engine)
    application, _ = run.build_web_app(made)
    routes = [route for route in application.router.routes() if route.method not in ("GET", "HEAD")]
    ours = [route.resource.canonical for route in routes if route.resource is not None and not route.resource.canonical.startswith("/channels/")]
    assert {"/exam/in/{token}", "/exam/out", "/exam/{ref}/answer", "/exam/{ref}/begin", "/exam/{ref}/hand-in"} <= set(ours)
    made.database.start()
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.database.write_now(lambda session: enroll(session, "1001", roles=("admin",)))
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with browser() as session:
            for purpose in PURPOSES:
                link = await link_to(made.database, url, made.clock(), purpose, "1", "1001")
                async with session.post(link, headers=SAME, allow_redirects=False):
                    pass
            for path in ours:
                address = f"{url}{path.replace('{ref}', '1').replace('{token}', 'x')}"
                for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site", "X-Proof": "x"}):
                    async with session.post(address, json={}, headers=headers) as answer:
                        assert answer.status in (403, 405), (path, headers)
                async with session.get(address) as answer:
                    assert answer.status in (403, 404, 405), path
    finally:
        await runner.cleanup()
        await asyncio.to_thread(made.database.stop)
