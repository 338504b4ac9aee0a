"""The local chat page in a real browser: a phone in the hand and on the desk, by thumb and by keyboard, over a restart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import SIZES, Seen, browser, contrast, fits, needs_chromium, page_in
from tests.support.service import environment, free_port, served

pytestmark = needs_chromium


@asynccontextmanager
async def page_at(made: Browser, url: str, size: str, **more: Any) -> AsyncIterator[tuple[Page, Seen]]:
    async with page_in(made, size, **more) as (page, seen):
        await page.goto(url)
        await expect(page.get_by_text("您好")).to_be_visible()
        yield page, seen


async def say(page: Page, words: str) -> None:
    await page.get_by_label("输入消息").fill(words)
    await page.keyboard.press("Enter")


async def answer(page: Page) -> None:
    """Answer the open question as its kind asks: by its buttons where it has some, in words where it has none."""
    options = page.locator(".option:enabled")
    if await options.count():
        await options.first.click()
        if await page.locator(".submit:enabled").count():
            await page.locator(".submit:enabled").click()
    else:
        await say(page, "不清楚")


@pytest.mark.parametrize("size", SIZES)
async def test_a_learner_says_daily_taps_an_option_and_reads_recorded(size: str, demo: Path) -> None:
    async with served("--demo", env=environment(demo)) as service, browser() as made, page_at(made, f"{service.url}/", size) as (page, seen):
        assert urlsplit(page.url).path == "/chat"
        await say(page, "每日")
        await expect(page.get_by_text("第1/5题")).to_be_visible()
        for number in range(1, 6):
            await answer(page)
            await expect(page.locator(".mark", has_text="已记录")).to_have_count(number)
        chosen = page.locator(".ask.locked .option.chosen")
        if await chosen.count():
            await expect(chosen.first).to_be_disabled()
        assert await page.locator(".ask:not(.locked) .option").count() == 0, "a question that was answered can still be tapped"
        assert await fits(page)
        small = await page.evaluate(
            "[...document.querySelectorAll('button, select, textarea')].filter(e => e.offsetParent && e.getBoundingClientRect().height < 40).length"
        )
        assert small == 0, "a touch target is too small for a thumb"
        assert seen.hosts == {"127.0.0.1"}
        assert seen.complaints == []


async def test_a_visitor_of_the_demo_changes_into_a_supervisor_and_back(demo: Path) -> None:
    async with served("--demo", env=environment(demo)) as service, browser() as made, page_at(made, service.url, "phone") as (page, seen):
        await say(page, "我的学时")
        await expect(page.get_by_text("年度应达")).to_be_visible()
        await page.get_by_label("切换身份").select_option(label="督学 · 陈乙")
        await expect(page.get_by_text("陈乙，您好")).to_be_visible()
        await expect(page.get_by_text("年度应达")).to_have_count(0)
        await expect(page.get_by_role("navigation").get_by_text("报表", exact=True)).to_be_visible()
        await page.get_by_label("切换身份").select_option(label="管理员 · 陈甲")
        await say(page, "帮助")
        await expect(page.get_by_text("【管理员】").first).to_be_attached()
        await page.get_by_label("切换身份").select_option(value="1009")
        await expect(page.get_by_text("年度应达")).to_be_visible()
        assert seen.complaints == []


async def test_the_keyboard_alone_is_enough(demo: Path) -> None:
    async with served("--demo", env=environment(demo)) as service, browser() as made, page_at(made, service.url, "desk") as (page, seen):
        await expect(page.get_by_label("输入消息")).to_be_focused()
        await page.keyboard.type("练习 民法典")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("第1/10题")).to_be_visible()
        for number in range(1, 11):
            kind = await page.locator(".ask").last.locator(".no").inner_text()
            if "多选" in kind:
                await page.keyboard.press("a")
                await page.keyboard.press("2")
                await expect(page.locator(".submit")).to_have_text("提交 AB")
                await page.keyboard.press("Enter")
            elif "单选" in kind or "判断" in kind:
                await page.keyboard.press("1" if number % 2 else "b")
            else:
                await page.keyboard.type("不清楚")
                await page.keyboard.press("Enter")
            await expect(page.locator(".mark", has_text="已记录")).to_have_count(number)
        await page.keyboard.press("Shift+Tab")
        ringed = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ringed == "solid", "the focus cannot be seen"
        assert await page.evaluate("document.getElementById('log').getAttribute('aria-live')") == "polite"
        assert seen.complaints == []


async def test_words_typed_into_the_box_are_words_even_when_they_begin_with_a_letter(demo: Path) -> None:
    async with served("--demo", env=environment(demo)) as service, browser() as made, page_at(made, service.url, "desk") as (page, _):
        box = page.get_by_label("输入消息")
        await box.fill("帮")
        await page.keyboard.type("b")
        await expect(box).to_have_value("帮b")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("x")
        await expect(box).to_have_value("帮b\nx")


async def test_a_restart_in_between_is_bridged_and_nothing_is_asked_twice(demo: Path) -> None:
    env = environment(demo, free_port())
    async with browser() as made:
        async with served("--demo", env=env) as service:
            context = await made.new_context(viewport={"width": 375, "height": 812})
            page = await context.new_page()
            await page.goto(service.url)
            await say(page, "每日")
            await expect(page.get_by_text("第1/5题")).to_be_visible()
            assert await service.end() == 0
        await expect(page.get_by_role("status")).to_contain_text("正在重连")
        await answer(page)
        await expect(page.locator(".mark", has_text="已记录")).to_have_count(0)
        async with served("--demo", env=env) as service:
            await expect(page.get_by_role("status")).to_contain_text("在线")
            await expect(page.locator(".mark", has_text="已记录")).to_have_count(1)
            await expect(page.get_by_text("第2/5题")).to_have_count(1)
            await page.reload()
            await expect(page.locator(".mark", has_text="已记录")).to_have_count(1)
            await expect(page.get_by_text("第1/5题")).to_have_count(1)
            assert await service.end() == 0
        await context.close()


async def test_what_one_window_says_the_other_window_of_the_same_person_shows(demo: Path) -> None:
    async with (
        served("--demo", env=environment(demo)) as service,
        browser() as made,
        page_at(made, service.url, "phone") as (one, _),
        page_at(made, service.url, "desk") as (two, _),
    ):
        await say(one, "每日")
        await expect(two.get_by_text("第1/5题")).to_be_visible()
        await answer(one)
        await expect(two.locator(".mark", has_text="已记录")).to_have_count(1)
        first = two.locator(".ask").first
        if await first.locator(".option").count():
            await expect(first).to_have_class(re.compile("locked"))


async def test_a_name_that_is_markup_is_shown_and_not_obeyed(demo: Path) -> None:
    async with served("--demo", env=environment(demo)) as service, browser() as made, page_at(made, service.url, "desk") as (page, seen):
        nasty = "<img src=x onerror=alert(1)><script>alert(2)</script>"
        asked: list[str] = []
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        await say(page, nasty)
        await expect(page.locator(".mine .bubble").last).to_have_text(nasty)
        await asyncio.sleep(0.3)
        assert await page.locator(".log img, .log script").count() == 0
        assert asked == []
        # Even markup that found its way in would run nothing: the page's own rules forbid it.
        await page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))")
        assert await page.evaluate("window.ran") is None
        assert seen.hosts == {"127.0.0.1"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_is_readable_by_day_and_by_night(scheme: Any, demo: Path) -> None:
    """Contrast of what is read: at least 4.5 to 1 (WCAG AA)."""
    async with (
        served("--demo", env=environment(demo)) as service,
        browser() as made,
        page_at(made, service.url, "phone", color_scheme=scheme) as (page, _),
    ):
        await say(page, "每日")
        await expect(page.get_by_text("第1/5题")).to_be_visible()
        for what in (".bubble", ".mine .bubble", ".ask .no", ".ask .stem", ".chip", ".quick .chip", ".state", ".when", ".persona select"):
            assert await contrast(page, what) >= 4.5, what
