"""Texts that want to run, in every field of the exam's page and of its data: they are shown and not obeyed (bot/docs/reliability.md W4)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from sqlalchemy import Engine, text

from bot.web.templates import Templates
from tests.support.browser import browser, needs_chromium, page_in
from tests.support.exam_browser import ExamBrowserHarness, open_exam_browser
from tests.support.hostile_texts import HOSTILE

NOBODY = "#exam img, #exam script, #exam svg, #exam a, #exam style, #exam iframe, #exam link, .top script, .top svg, [onerror], [onload], [onfocus]"


class _Shape(HTMLParser):
    """The tags of a page with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))


def test_sixty_hostile_texts_change_no_tag_of_a_page() -> None:
    pages = Templates()

    def shape(said: str) -> list[tuple[str, ...]]:
        visitor = SimpleNamespace(proof=said, ref=said, learner=SimpleNamespace(name=said, staff_no=said, id=said))
        purpose = SimpleNamespace(title=said)
        shown = [
            pages.show("exam/page.html", visitor=visitor, name=said),
            pages.show("door/closed.html", visitor=visitor, head=said, sentence=said, onward=said),
            pages.show("door/open.html", purpose=purpose),
        ]
        return [tag for one in shown for tag in _Shape(one.text or "").tags]

    assert len(HOSTILE) == 60
    plain = shape("x")
    for said in HOSTILE:
        assert shape(said) == plain, said


@pytest.fixture
async def office(sqlite_engine: Engine) -> AsyncIterator[ExamBrowserHarness]:
    async with open_exam_browser(sqlite_engine) as made:
        yield made


@needs_chromium
async def test_sixty_hostile_texts_in_every_field_that_the_page_fetches_are_shown_and_not_obeyed(office: ExamBrowserHarness) -> None:
    asked: list[str] = []
    many = HOSTILE[0]
    now = datetime.now(UTC)
    deadline = (now + timedelta(hours=1)).isoformat()
    items = [
        {
            "n": n,
            "kind": "single",
            "label": said,
            "stem": said,
            "options": [["A", said], ["B", said]],
            "several": n % 2 == 0,
            "points": said,
            "choice": None,
        }
        for n, said in enumerate(HOSTILE, 1)
    ]
    common = {"now": now.isoformat(), "sitting": 1, "name": many}
    opened = {**common, "phase": "open", "place": 1, "deadline": deadline, "items": items}
    fields = ("label", "verdict", "stem", "mine", "key", "explanation", "source", "note")
    answers = [{"n": n, "tone": said, **dict.fromkeys(fields, said)} for n, said in enumerate(HOSTILE, 1)]
    score = {"got": many, "total": many, "verdict": many, "tone": many}
    over = {**common, "phase": "over", "hindrance": many, "ended": many, "told": many, "score": score, "answers": answers}
    ready = {**common, "phase": "ready", "hindrance": "", "facts": [[said, said] for said in HOSTILE], "rules": HOSTILE}
    office.run(lambda session: session.execute(text("UPDATE person SET name = :name"), {"name": many}) and None)
    office.run(lambda session: session.execute(text("UPDATE exam SET name = :name"), {"name": many}) and None)
    async with browser() as made, page_in(made, "phone") as (page, seen):
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        for path, body in (
            ("state", ready),
            ("begin", opened),
            ("answer", {"recorded": False, "say": many}),
            ("progress", {**common, "phase": "open", "deadline": deadline, "choices": {}}),
            ("hand-in", over),
        ):
            await _fulfil(page, path, body)
        await page.goto(await office.link())
        await page.get_by_role("button", name="打开考试").click()
        await expect(page.locator(".top .who")).to_contain_text(many)
        await expect(page.locator(".top .name")).to_have_text(many)
        await expect(page.locator(".rules li")).to_have_count(60)
        assert await page.locator(NOBODY).count() == 0
        await page.get_by_role("button", name="开始考试").click()
        for said in HOSTILE:
            await expect(page.locator(".question .stem")).to_have_text(said, use_inner_text=False)
            assert await page.locator(NOBODY).count() == 0, said
            await page.locator(".steps button").last.click()
        await page.get_by_role("button", name="回去接着答").click()
        await page.locator(".option").first.click()
        await page.locator(".sure").click()
        await expect(page.locator("p.note.bad")).to_have_text(many)
        await page.get_by_role("button", name="答题卡").click()
        await page.get_by_role("button", name="检查并交卷").last.click()
        await page.get_by_role("button", name="确认交卷").click()
        await expect(page.locator(".answers li")).to_have_count(60)
        assert await page.locator(NOBODY).count() == 0
        assert await page.evaluate("window.ran") is None
        assert asked == []
        # Even markup that found its way in would run nothing: the page's own rules forbid it.
        await page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))")
        assert await page.evaluate("window.ran") is None
        assert seen.hosts == {"127.0.0.1"}


async def _fulfil(page: Page, path: str, body: Any) -> None:
    async def give(route: Route) -> None:
        await route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    await page.route(f"**/{path}", give)
