"""An exam's page without a browser: a client that opens a link and sends what the page's script would send."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import aiohttp
from sqlalchemy import text

from tests.conftest import Clock
from tests.support.exams import ExamHarness
from tests.support.web_client import SAME, link_to

MIXED = "单选 3×2、多选 2×2、判断 2×1、填空 1×2、简答 1×4；30 分钟；及格 60%"
_ids = itertools.count(1)


def new_message_id() -> str:
    return f"page-{next(_ids):024x}"


@dataclass
class ExamPageVisit:
    """Somebody on the exam's page."""

    session: aiohttp.ClientSession
    url: str
    proof: str = ""

    async def get(self, path: str) -> dict[str, Any]:
        async with self.session.get(f"{self.url}{path}", headers={"Accept": "application/json"}) as answer:
            assert answer.status == 200, await answer.text()
            body: dict[str, Any] = await answer.json()
            return body

    async def post(self, path: str, **said: Any) -> tuple[int, dict[str, Any]]:
        headers = {**SAME, "Accept": "application/json", "X-Proof": self.proof}
        async with self.session.post(f"{self.url}{path}", json=said, headers=headers) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else {}

    async def answer(self, sitting: int, n: int, choice: str, by: str = "") -> dict[str, Any]:
        status, body = await self.post("/answer", id=by or new_message_id(), sitting=sitting, n=n, choice=choice)
        assert status == 200
        return body


@dataclass
class ExamPageHarness:
    """An exam over the shipped question banks, its page, and the app behind it."""

    hall: ExamHarness
    clock: Clock
    url: str
    exam_id: int

    async def come(self, session: aiohttp.ClientSession, staff_no: str = "1001") -> ExamPageVisit:
        """Open a fresh link and take what the page carries."""
        link = await link_to(self.hall.dispatcher.database, self.url, self.clock.now, "exam", str(self.exam_id), staff_no)
        async with session.post(link, headers=SAME) as answer:
            page = await answer.text()
        assert answer.status == 200, page
        return ExamPageVisit(session, f"{self.url}/exam/{self.exam_id}", page.partition('name="proof" content="')[2].partition('"')[0])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.hall.dispatcher.database.read_now(lambda session: [tuple(row) for row in session.execute(text(query))])


async def begin_exam(visit: ExamPageVisit) -> dict[str, Any]:
    status, state = await visit.post("/begin")
    assert (status, state["phase"]) == (200, "open")
    return state


def any_answer(item: dict[str, Any]) -> str:
    return str(item["options"][0][0]) if item["options"] else "不清楚"
