"""The exam's page in a real browser: on a phone over a line that drops, by keyboard, with hostile texts, to the last second."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Route, expect
from sqlalchemy import Engine, text

from tests.support.browser import SIZES, browser, contrast, fits, needs_chromium, page_in, small_targets
from tests.support.exam_browser import ExamBrowserHarness, answer, begin, expect_saved, open_exam_browser, sitting
from tests.support.service import free_port, running_service

pytestmark = needs_chromium


@pytest.fixture
async def office(sqlite_engine: Engine) -> AsyncIterator[ExamBrowserHarness]:
    async with open_exam_browser(sqlite_engine) as made:
        yield made


async def test_an_exam_is_taken_on_a_phone_over_a_dropped_line_and_a_reload(office: ExamBrowserHarness) -> None:
    async with browser() as made, sitting(office, made, "phone", has_touch=True, is_mobile=True) as (page, seen):
        for n in range(1, 4):
            await answer(page)
            await expect_saved(page, n)
        # The request arrives, its answer is lost; then nothing gets through at all.
        lost: list[str] = []

        async def drop(route: Route) -> None:
            lost.append(route.request.post_data or "")
            if len(lost) == 1:
                await route.fetch()
            await route.abort("connectionreset")

        await page.route("**/answer", drop)
        await answer(page)
        await answer(page)
        await expect(page.get_by_text("没有连上网")).to_be_visible()
        await expect(page.locator(".strip .saved")).to_have_text("已保存 3/10")
        await expect(page.get_by_text("第 6/10 题")).to_be_visible()
        # Reloaded while two answers are on their way: what the browser kept is said again with the same ids.
        await page.reload()
        await expect(page.locator(".strip .line")).to_contain_text("2 题")
        await page.unroute("**/answer", drop)
        await expect_saved(page, 5)
        ids = {json.loads(one)["n"]: json.loads(one)["id"] for one in lost}
        assert dict(office.rows("SELECT n, message_id FROM answer WHERE n IN (4, 5)")) == ids
        for _ in range(5):
            await answer(page)
        await expect_saved(page, 10)
        await expect(page.get_by_text("全部题目都答了")).to_be_visible()
        assert await fits(page)
        await page.get_by_role("button", name="确认交卷").click()
        await expect(page.get_by_text("您已于")).to_be_visible()
        await expect(page.locator(".score")).to_contain_text("/ 20 分")
        assert office.rows("SELECT COUNT(*), COUNT(DISTINCT n) FROM answer") == [(10, 10)]
        assert office.rows("SELECT state, closed_by FROM attempt") == [("closed", "self")]
        assert seen.hosts == {"127.0.0.1"}
        assert [one for one in seen.complaints if "ERR_CONNECTION_RESET" not in one] == []
    library = office.service.app.catalog.library
    for (name,) in office.rows("SELECT question FROM sitting_item"):
        assert not any(library.questions[name].explanation in one for one in office.heard), "a key left before the end"


async def test_a_restart_in_the_middle_is_bridged_and_the_visit_goes_on(sqlite_engine: Engine) -> None:
    where: dict[str, Any] = {"listen": f"127.0.0.1:{free_port()}"}
    async with browser() as made, page_in(made, "phone") as (page, _):
        async with open_exam_browser(sqlite_engine, **where) as office:
            await begin(office, page)
            await answer(page)
            await expect_saved(page, 1)
        await answer(page)
        await expect(page.get_by_text("没有连上网")).to_be_visible()
        async with running_service(sqlite_engine, **where):
            await expect_saved(page, 2)
            await page.reload()
            await expect_saved(page, 2)
        assert office.rows("SELECT COUNT(*), COUNT(DISTINCT n) FROM answer") == [(2, 2)]


async def test_the_local_chat_page_opens_the_exam_in_a_page_of_its_own(office: ExamBrowserHarness) -> None:
    async with browser() as made, page_in(made, "phone") as (page, seen):
        await page.goto(f"{office.service.url}/chat")
        await page.get_by_label("输入消息").fill(f"考试 {office.exam_id}")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="在网页上答").click()
        link = page.get_by_role("link")
        await expect(link).to_be_visible()
        async with page.context.expect_page() as opened:
            await link.click()
        exam = await opened.value
        await exam.get_by_role("button", name="打开考试").click()
        await expect(exam.get_by_role("button", name="开始考试")).to_be_visible()
        await expect(exam.locator(".who")).to_contain_text("学员甲")
        assert seen.complaints == []


async def test_the_choice_is_final_only_after_it_was_confirmed_and_the_page_says_so(office: ExamBrowserHarness) -> None:
    async with browser() as made, sitting(office, made, "phone") as (page, _):
        await page.locator(".option").nth(0).click()
        await expect(page.get_by_text("记录后不能再改")).to_be_visible()
        await page.locator(".option").nth(1).click()
        await page.get_by_role("button", name="下一题").click()
        await page.reload()
        await page.get_by_role("button", name="答题卡").click()
        await expect(page.get_by_role("button", name="第 1 题，选了，还没确定")).to_be_visible()
        assert office.rows("SELECT COUNT(*) FROM answer") == [(0,)]
        await page.get_by_role("button", name="第 1 题，").click()
        await expect(page.locator(".option input").nth(1)).to_be_checked()
        await page.locator(".sure").click()
        await expect_saved(page, 1)
        await page.get_by_role("button", name="上一题").click()
        await expect(page.get_by_text("已保存：B，以这一次为准")).to_be_visible()
        await expect(page.locator(".option input").first).to_be_disabled()
        await page.get_by_role("button", name="答题卡").click()
        await page.get_by_role("button", name="检查并交卷").last.click()
        await expect(page.get_by_text("没有答（9 题）")).to_be_visible()


async def test_what_is_answered_in_the_chat_meanwhile_shows_on_the_page_and_the_other_way_round(office: ExamBrowserHarness) -> None:
    async with browser() as made, sitting(office, made, "desk") as (page, _):
        await answer(page)
        await expect_saved(page, 1)
        shown = await office.say("继续")
        assert "未答 9 题" in shown
        assert "已记录" in await office.say("第 2 题 A")
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect_saved(page, 2)
        await expect(page.get_by_role("button", name="第 2 题，已保存")).to_be_visible()


async def test_the_clock_is_the_services_whatever_the_phone_thinks_and_the_last_seconds_save_what_was_picked(office: ExamBrowserHarness) -> None:
    async with browser() as made, page_in(made, "phone") as (page, _):
        await page.clock.install(time=office.service.app.clock() + timedelta(hours=5))
        await page.goto(await office.link())
        await page.get_by_role("button", name="打开考试").click()
        await page.get_by_role("button", name="开始考试").click()
        await expect(page.locator(".strip .left")).to_contain_text("29:5")
        await page.locator(".option").first.click()
        office.run(lambda session: session.execute(text("UPDATE attempt SET deadline = :at"), {"at": _stamp(office, 6)}) and None)
        await page.reload()
        await expect(page.get_by_text("快到时间了")).to_be_visible()
        await expect(page.get_by_text("正在用已保存的答案收卷")).to_be_visible(timeout=15_000)
        assert office.rows("SELECT n FROM answer") == [(1,)]
        office.close_due(timedelta(seconds=30))
        await expect(page.get_by_text("到时自动交卷")).to_be_visible(timeout=15_000)
        assert office.rows("SELECT closed_by FROM attempt") == [("clock",)]


def _stamp(office: ExamBrowserHarness, seconds: float) -> str:
    return f"{office.service.app.clock() + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


async def test_the_keyboard_alone_is_enough(office: ExamBrowserHarness) -> None:
    async with browser() as made, sitting(office, made, "desk") as (page, seen):
        for n in range(1, 11):
            kind = await page.locator(".question .no").inner_text()
            if "填空" in kind or "简答" in kind:
                await page.keyboard.type("不清楚")
                if "简答" in kind:
                    await page.keyboard.press("Tab")
            else:
                await page.keyboard.press("Space")
            await expect(page.locator(".sure")).to_be_enabled()
            await page.keyboard.press("Enter")
            await expect_saved(page, n)
        ringed = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ringed == "solid", "the focus cannot be seen"
        for _ in range(4):
            if await page.evaluate("document.activeElement.textContent") == "确认交卷":
                break
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("您已于")).to_be_visible()
        assert seen.complaints == []


@pytest.mark.parametrize("size", SIZES)
async def test_every_step_is_readable_and_its_targets_are_large_enough_for_a_thumb_in_small_and_in_large_type(
    size: str, office: ExamBrowserHarness
) -> None:
    async with browser() as made, sitting(office, made, size, reduced_motion="reduce") as (page, _):
        await answer(page)
        await page.locator(".option").first.click()
        for large in (False, True):
            if large:
                await page.get_by_role("button", name="大字").click()
            if size == "phone":
                await page.get_by_role("button", name="答题卡").click()
            assert await small_targets(page) == []
            assert await fits(page)
            for what in (
                ".question .no",
                ".question .stem",
                ".option .words",
                ".sure",
                ".said",
                ".place",
                '.place[data-state="saved"]',
                ".legend",
                ".saved",
                ".who",
            ):
                assert await contrast(page, what) >= 4.5, what
        await page.reload()
        await expect(page.locator("html")).to_have_class("large")


async def test_a_page_whose_visit_is_over_says_so_and_keeps_what_was_not_saved(office: ExamBrowserHarness) -> None:
    async with browser() as made, sitting(office, made, "phone") as (page, _):
        await answer(page)
        await expect_saved(page, 1)
        await office.say("退出网页")
        await answer(page)
        await expect(page.get_by_text("这个页面要从聊天里打开")).to_be_visible()
        assert office.rows("SELECT COUNT(*) FROM answer") == [(1,)]
        await page.goto(await office.link())
        await page.get_by_role("button", name="打开考试").click()
        await expect_saved(page, 2)
        assert office.rows("SELECT COUNT(*), COUNT(DISTINCT n) FROM answer") == [(2, 2)]
