"""A person at an exam's page in a real browser; the app is served in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from playwright.async_api import Browser, Page, Response, expect
from sqlalchemy import Engine, text

from bot.channels.local import Persona
from bot.domain.campaign.campaign import Author
from bot.domain.exam import exam
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.message import Address, Incoming
from bot.domain.people.audience import All
from bot.services.exam import finish, manage
from tests.conftest import enroll
from tests.support.browser import Seen, page_in
from tests.support.service import RunningService, running_service
from tests.support.web_client import link_to

MIXED = "单选 4×2、多选 2×2、判断 2×1、填空 1×2、简答 1×4；30 分钟；及格 60%"
ADMIN = Author("9001", "test")


@dataclass
class ExamBrowserHarness:
    """A served app with an exam that is open now, and everything that was sent to its pages."""

    service: RunningService
    exam_id: int
    heard: list[str] = field(default_factory=list)

    def run(self, work: Any) -> Any:
        return self.service.app.database.write_now(work)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.service.app.database.read_now(lambda session: [tuple(row) for row in session.execute(text(query))])

    async def link(self, staff_no: str = "1001") -> str:
        return await link_to(self.service.app.database, self.service.url, self.service.app.clock(), "exam", str(self.exam_id), staff_no)

    async def say(self, words: str) -> str:
        hall = self.service.app
        incoming = Incoming(Address("local", "test", "1001"), words, f"chat-{len(self.heard)}-{words}", hall.clock())
        return (await hall.dispatcher.handle(incoming)).text

    def close_due(self, after: timedelta) -> None:
        now = self.service.app.clock() + after
        self.run(lambda session: finish.close_due(session, self.service.app.catalog, now))


@asynccontextmanager
async def open_exam_browser(engine: Engine, **more: Any) -> AsyncIterator[ExamBrowserHarness]:
    """An app in this process with learner 1001, who can also use the local chat page, and an open exam of ten items."""
    async with running_service(engine, [Persona("1001", "学员甲", "学员")], **more) as service:
        hall = service.app
        now = hall.clock()
        wanted = exam.WantedExam("年度学法考试", parse_blueprint(MIXED), All(), now, now + timedelta(hours=2), results="at_once")

        def publish(session: Any) -> int:
            enroll(session, "1001", "学员甲")
            exam_id = manage.create(session, hall.catalog, ADMIN, wanted, now)
            manage.publish(session, hall.catalog, ADMIN, exam_id, now)
            return exam_id

        yield ExamBrowserHarness(service, hall.database.write_now(publish))


@asynccontextmanager
async def sitting(office: ExamBrowserHarness, browser: Browser, size: str, **more: Any) -> AsyncIterator[tuple[Page, Seen]]:
    """The page of 1001 with the exam begun."""
    async with page_in(browser, size, **more) as (page, seen):

        async def hear(response: Response) -> None:
            if "/exam/" in response.url and response.status == 200:
                office.heard.append(await response.text())

        page.on("response", hear)
        await begin(office, page)
        yield page, seen


async def begin(office: ExamBrowserHarness, page: Page) -> None:
    await page.goto(await office.link())
    await page.get_by_role("button", name="打开考试").click()
    await page.get_by_role("button", name="开始考试").click()
    await expect(page.get_by_text("第 1/10 题")).to_be_visible()


async def answer(page: Page) -> None:
    """Answer the question that is shown, as its kind asks, and confirm."""
    options = page.locator(".option")
    if await options.count():
        await options.first.click()
    else:
        await page.locator(".written input, .written textarea").fill("写在这里的答案")
    await page.locator(".sure").click()


def expect_saved(page: Page, n: int) -> Any:
    return expect(page.locator(".strip .saved")).to_have_text(f"已保存 {n}/10")
