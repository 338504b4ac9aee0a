"""Anybody can check a certificate, nobody can collect names, and the page says in one word whether it holds."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Engine
from sqlmodel import Session

from bot.channels.local import Persona
from bot.domain.certificate import certificate_number, full_number
from bot.services.certificate import certificates
from bot.services.certificate.pdf import CertificatePrinter
from bot.storage.certificate import IssuedCertificate
from bot.storage.db.database import Database
from bot.web import middleware
from bot.web.certificates import BURST, CertificatePages
from bot.web.templates import Templates
from tests.conftest import NOW, Clock, enroll
from tests.services.test_certificate_pdf import needs_chinese
from tests.support.browser import CHROMIUM, SIZES, browser
from tests.support.service import running_service as service_standing
from tests.support.service import window

MARKUP = "<b onclick=x>甲</b>#panic()"
TITLE = "年度学法考试"


@dataclass
class Counter:
    """The counter at which certificates are checked, with a few that were issued."""

    client: TestClient[web.Request, web.Application]
    database: Database
    clock: Clock
    held: dict[str, IssuedCertificate]

    def full(self, name: str) -> str:
        one = self.held[name]
        return f"/certificates/{full_number(one.number, one.code)}"

    async def get(self, path: str, **more: Any) -> tuple[int, str]:
        async with self.client.get(path, **more) as answer:
            return answer.status, await answer.text()


def issued(session: Session) -> dict[str, IssuedCertificate]:
    made = {}
    for staff_no, name in (("1001", "张䶮㛃"), ("1002", "李某某"), ("1003", "王某某"), ("1004", MARKUP)):
        person = enroll(session, staff_no, name, unit="某局/办公室")
        facts = certificates.build_facts(session, person, "exam", TITLE, date(2026, 3, 1), result="成绩 92 分，考试合格", hours="2")
        made[name] = certificates.issue(session, person, ("sitting", staff_no), facts, NOW)
    certificates.revoke(session, made["李某某"], "替考，经查属实", NOW, by="9001", via="cli")
    made["新"] = certificates.replace(session, made["王某某"], made["王某某"].body.facts, "姓名有误", NOW, by="9001", via="cli")
    return made


@asynccontextmanager
async def standing(database: Database, clock: Clock, press: CertificatePrinter) -> AsyncIterator[Counter]:
    app = web.Application(middlewares=[middleware.protect])
    app.on_response_prepare.append(middleware.add_headers)
    pages = Templates()
    pages.attach(app)
    CertificatePages(database, clock, pages, press, lambda: "https://xuefa.example").attach(app)
    held = await database.write(issued)
    async with TestClient(TestServer(app)) as client:
        yield Counter(client, database, clock, held)


@pytest.fixture
async def counter(database: Database, clock: Clock) -> AsyncIterator[Counter]:
    """Without a typeface: what is said does not depend on what can be drawn."""
    async with standing(database, clock, CertificatePrinter(system=False)) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "word", "others"),
    [("张䶮㛃", "有效", "已撤销|已换发"), ("李某某", "已撤销", "现在有效|已换发"), ("王某某", "已换发", "现在有效|已撤销")],
)
async def test_the_page_says_valid_revoked_or_replaced(counter: Counter, name: str, word: str, others: str) -> None:
    for path in (counter.full(name), f"/certificates/{counter.held[name].number}"):
        status, page = await counter.get(path)
        assert (status, word in page, re.search(others, page)) == (200, True, None), path


async def test_the_number_alone_tells_neither_name_nor_unit_nor_result(counter: Counter) -> None:
    status, page = await counter.get(f"/certificates/{counter.held['张䶮㛃'].number}")
    assert status == 200
    assert "张**" in page
    assert not re.search(f"䶮|办公室|92|{counter.held['张䶮㛃'].code}", page)


async def test_number_and_code_show_everything_but_never_why_it_was_taken_back(counter: Counter) -> None:
    _, page = await counter.get(counter.full("张䶮㛃"))
    assert all(word in page for word in ("张䶮㛃", "办公室", "成绩 92 分", TITLE, "2026年3月1日", "某局"))
    _, page = await counter.get(counter.full("李某某"))
    assert ("李某某" in page, "替考" in page) == (True, False)


async def test_the_old_number_leads_to_the_new_one_without_its_code(counter: Counter) -> None:
    _, page = await counter.get(counter.full("王某某"))
    assert f'href="/certificates/{counter.held["新"].number}"' in page
    assert counter.held["新"].code not in page


async def test_a_number_of_nobody_a_wrong_code_and_a_slip_of_the_pen_are_not_found(counter: Counter) -> None:
    number = counter.held["张䶮㛃"].number
    wrong = number[:-1] + ("A" if number[-1] != "A" else "B")
    for path in (certificate_number(2026, 999), f"{number}-0000000000", wrong, "..", "%00", "x" * 3000, "'; DROP TABLE certificate; --", "<script>"):
        status, page = await counter.get(f"/certificates/{path}")
        assert status in (400, 404), path
        assert "张" not in page
        assert "<script>" not in page
    assert (await counter.get(f"/certificates/{number}"))[0] == 200


async def test_the_form_leads_to_the_page_however_it_is_filled_in(counter: Counter) -> None:
    one = counter.held["张䶮㛃"]
    assert (await counter.get("/certificates"))[0] == 200
    for query, told in (
        ({"number": one.number.lower()}, "张**"),
        ({"number": one.number, "code": one.code.lower()}, "张䶮㛃"),
        ({"number": f" {one.number} {one.code[:5]}-{one.code[5:]}"}, "张䶮㛃"),
    ):
        status, page = await counter.get("/certificates", params=query)
        assert (status, told in page) == (200, True), query
    for query in ({"number": "XF-1"}, {"number": one.number, "code": "7Q"}, {"number": '"><script>alert(1)</script>'}):
        status, page = await counter.get("/certificates", params=query)
        assert (status, 'role="alert"' in page, "<script>alert" in page) == (404, True, False), query


async def test_a_name_that_is_markup_is_shown_and_not_obeyed(counter: Counter) -> None:
    _, page = await counter.get(counter.full(MARKUP))
    assert "&lt;b onclick=x&gt;" in page
    assert "<b onclick" not in page


async def test_without_a_typeface_the_words_stand_and_no_picture_is_promised(counter: Counter) -> None:
    status, page = await counter.get(counter.full("张䶮㛃"))
    assert (status, "图片和 PDF 暂时不能生成" in page, ".png" in page) == (200, True, False)
    assert "兹证明张䶮㛃同志" in page
    status, said = await counter.get(counter.full("张䶮㛃") + ".png")
    assert (status, "没有可用的中文字体" in said) == (503, True)


@needs_chinese
async def test_picture_and_pdf_come_with_the_code_and_while_it_holds(database: Database, clock: Clock) -> None:
    async with standing(database, clock, CertificatePrinter()) as counter:
        for form, kind, begins in (("png", "image/png", b"\x89PNG"), ("pdf", "application/pdf", b"%PDF-")):
            async with counter.client.get(f"{counter.full('张䶮㛃')}.{form}") as answer:
                assert (answer.status, answer.content_type) == (200, kind)
                assert (await answer.read()).startswith(begins)
                assert answer.headers["Cache-Control"] == "no-store", "it may be taken back"
            for path in (f"/certificates/{counter.held['张䶮㛃'].number}", counter.full("李某某"), counter.full("王某某")):
                assert (await counter.get(f"{path}.{form}"))[0] == 404
        _, page = await counter.get(counter.full("张䶮㛃"))
        assert f'src="{counter.full("张䶮㛃")}.png"' in page


async def test_who_guesses_has_to_wait_and_who_has_the_code_is_not_counted(counter: Counter) -> None:
    for _ in range(BURST * 2):
        assert (await counter.get(counter.full("李某某")))[0] == 200
    numbers = [certificate_number(2026, 1000 + n) for n in range(BURST)]
    assert {(await counter.get(f"/certificates/{number}"))[0] for number in numbers} == {404}
    for path in (f"/certificates/{counter.held['张䶮㛃'].number}", counter.full("李某某"), counter.full("张䶮㛃") + ".png"):
        status, page = await counter.get(path)
        assert (status, "一分钟后再试" in page) == (429, True)
    counter.clock.pass_(60)
    assert (await counter.get(counter.full("李某某")))[0] == 200


async def test_guesses_are_counted_by_address_also_behind_a_proxy_of_this_machine(counter: Counter) -> None:
    path = f"/certificates/{certificate_number(2026, 999)}"

    async def asks(address: str) -> int:
        return (await counter.get(path, headers={"X-Forwarded-For": f"198.51.100.9, {address}"}))[0]

    for n in range(BURST):
        assert await asks(f"2001:db8::{n:x}") == 404
    assert await asks("2001:db8::ffff") == 429, "one line of IPv6 has many addresses"
    assert await asks("2001:db8:0:1::1") == 404
    assert await asks("203.0.113.7") == 404


async def test_the_page_asks_for_nothing_from_elsewhere_and_tells_nobody_its_address(counter: Counter) -> None:
    for path in (counter.full("张䶮㛃"), "/certificates"):
        async with counter.client.get(path) as answer:
            page = await answer.text()
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["X-Robots-Tag"] == "noindex"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert not re.search(r'(?:src|href)="(?:https?:)?//|style=|<style|javascript:|\son\w+=', page)


@needs_chinese
@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine: apt install chromium, or set BOT_TEST_CHROMIUM")
@pytest.mark.parametrize("size", SIZES)
async def test_the_page_fits_and_works_without_a_script(database: Database, clock: Clock, size: str) -> None:
    async with standing(database, clock, CertificatePrinter()) as counter, browser() as made:
        width, height = SIZES[size]
        context = await made.new_context(viewport={"width": width, "height": height}, java_script_enabled=False)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(str(counter.client.make_url("/certificates")))
        one = counter.held["张䶮㛃"]
        await page.get_by_label("证书编号").fill(one.number)
        await page.get_by_label("校验码").fill(one.code)
        await page.get_by_role("button", name="核验").click()
        assert await page.get_by_role("heading", name="有效").is_visible()
        assert await page.get_by_role("img", name="合格证书：兹证明张䶮㛃同志").is_visible()
        box = await page.locator("body").bounding_box()
        assert box is not None
        assert box["width"] <= width
        for button in await page.locator("button:visible, .button:visible").all():
            shape = await button.bounding_box()
            assert shape is not None
            assert shape["height"] >= 40, "a touch target is too small for a thumb"
            assert shape["x"] + shape["width"] <= width
        assert complaints == []
        await context.close()


async def test_the_link_that_the_chat_gives_opens_on_the_service_itself(sqlite_engine: Engine) -> None:
    async with service_standing(sqlite_engine, [Persona("1001", "张䶮㛃", "学员", ())]) as service, aiohttp.ClientSession() as session:
        held = await service.app.database.write(issued)
        async with window(session, service.url) as page:
            told = (await page.say("message-0001", "证书"))["reply"]["text"]
        link = re.search(r"http://\S+/certificates/\S+", told)
        assert link is not None
        assert link[0] == f"{service.url}/certificates/{full_number(held['张䶮㛃'].number, held['张䶮㛃'].code)}"
        async with session.get(link[0]) as answer:
            assert (answer.status, "张䶮㛃" in await answer.text()) == (200, True)
