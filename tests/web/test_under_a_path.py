"""`BOT_PUBLIC_URL` with a path: behind a proxy that has other systems beside us, every page, picture, file and stream of ours is under our path."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import aiohttp
import pytest
from playwright.async_api import expect
from sqlalchemy import Engine

from bot.domain.certificate import full_number
from bot.settings import BadSettings, load
from tests.support.browser import browser, needs_chromium, page_in
from tests.support.exam_browser import answer, expect_saved, open_exam_browser
from tests.support.reverse_proxy import reverse_proxy
from tests.support.service import running_service
from tests.web.test_certificates import issued
from tests.web.test_live_pages import hall

PATH = "/xuefa"
both_ways = pytest.mark.parametrize("takes_off", [True, False], ids=["the proxy takes the path off", "the proxy leaves the path on"])


@needs_chromium
@both_ways
async def test_the_chat_page_and_an_exam_work_under_a_path(sqlite_engine: Engine, takes_off: bool) -> None:
    async with reverse_proxy(PATH, takes_off=takes_off) as proxy, open_exam_browser(sqlite_engine, public_url=proxy.url) as office:
        proxy.target = office.service.url
        async with browser() as made, page_in(made, "phone") as (page, seen):
            await page.goto(f"{proxy.url}/")
            assert urlsplit(page.url).path == f"{PATH}/chat"
            await page.get_by_label("输入消息").fill("考试 网页 1")
            await page.keyboard.press("Enter")
            link = page.get_by_role("link").filter(has_text="/exam/in/")
            await expect(link).to_be_visible()
            address = await link.get_attribute("href")
            assert address is not None
            assert address.startswith(f"{proxy.url}/exam/in/")
            await page.goto(address)
            await page.get_by_role("button", name="打开考试").click()
            await page.get_by_role("button", name="开始考试").click()
            await expect(page.get_by_text("第 1/10 题")).to_be_visible()
            [cookie] = [cookie for cookie in await page.context.cookies() if cookie["name"] == "visit-exam"]
            assert cookie["path"] == PATH
            await answer(page)
            await expect_saved(page, 1)
            assert seen.complaints == []
        assert proxy.upgrades == 1
        assert proxy.strays == []


@needs_chromium
@both_ways
async def test_the_screen_the_console_and_the_join_page_work_under_a_path(sqlite_engine: Engine, takes_off: bool) -> None:
    async with reverse_proxy(PATH, takes_off=takes_off) as proxy, hall(sqlite_engine, public_url=proxy.url) as live:
        proxy.target = live.url
        addresses = re.findall(r"http://\S+", (await live.say("9001", f"大屏 {live.id}")).text)
        assert len(addresses) >= 2
        assert [address for address in addresses if not address.startswith(f"{proxy.url}/")] == []
        async with browser() as made, page_in(made, "desk") as (console, seen_at_console), page_in(made, "desk") as (screen, seen_at_screen):
            await console.goto(next(address for address in addresses if "/console/in/" in address))
            await console.get_by_role("button", name="打开管理页面").click()
            await expect(console.locator("#label")).not_to_have_text("正在连接…")
            shown = await console.locator("#screen").get_attribute("href")
            assert shown is not None
            assert shown.startswith(f"{PATH}/screen/")
            await screen.goto(f"{proxy.url.removesuffix(PATH)}{shown}")
            await expect(screen.get_by_alt_text("扫码参赛的二维码")).to_be_visible()
            width = await screen.evaluate("document.querySelector('img').naturalWidth")
            assert width > 0
            await console.get_by_role("button", name="出第 1 题", exact=True).click()
            await expect(screen.locator("body")).to_contain_text("第 1")
            await screen.goto(f"{proxy.url}/screen/{live.id}/join")
            chat = await screen.get_by_role("link", name="打开本地聊天页").get_attribute("href")
            assert chat is not None
            assert chat.startswith(f"{PATH}/chat?say=")
            assert seen_at_console.complaints == []
            assert seen_at_screen.complaints == []
        assert proxy.strays == []


@both_ways
async def test_certificates_and_their_files_are_under_the_path(sqlite_engine: Engine, takes_off: bool) -> None:
    async with reverse_proxy(PATH, takes_off=takes_off) as proxy, running_service(sqlite_engine, public_url=proxy.url) as service:
        proxy.target = service.url
        held = (await service.app.database.write(issued))["张䶮㛃"]
        number = full_number(held.number, held.code)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{proxy.url}/certificates", params={"number": number}) as found:
                assert str(found.url) == f"{proxy.url}/certificates/{number}"
                page = await found.text()
            inside = re.findall(r"""(?:href|src|action)="(/[^"]*)\"""", page)
            assert len(inside) > 5
            assert [address for address in inside if not address.startswith(f"{PATH}/")] == []
            for address in {each for each in inside if not each.endswith((".pdf", ".png"))}:
                async with session.get(f"{proxy.url.removesuffix(PATH)}{address}") as there:
                    assert there.status == 200, address
        assert proxy.strays == []


async def test_a_callback_is_heard_under_the_path_and_without_it(sqlite_engine: Engine) -> None:
    async with open_exam_browser(sqlite_engine, public_url="https://host.example/xuefa") as office, aiohttp.ClientSession() as session:
        for path in ("/healthz", "/xuefa/healthz", "/xuefa/metrics", "/xuefa/readyz"):
            async with session.get(f"{office.service.url}{path}") as answer:
                assert answer.status == 200, path
        for path in ("/xuefab/healthz", "/other/healthz", "/xuefa/xuefa/healthz"):
            async with session.get(f"{office.service.url}{path}") as answer:
                assert answer.status == 404, path


@pytest.mark.parametrize(
    "address",
    [
        "law.example.gov.cn", "ftp://law.example.gov.cn", "https://", "https://host/a b", "https://host/x?y=1", "https://host/x#y", "https://a@host/",
        "https://host/exam", "https://host/chat/x", "https://host/../x/./%2e", "https://host//x",
    ],
)  # fmt: skip
def test_an_address_that_cannot_carry_our_pages_is_refused_at_the_start(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_PUBLIC_URL", address)
    with pytest.raises(BadSettings, match="BOT_PUBLIC_URL"):
        load(None)


def test_the_path_stands_in_the_cookie_beside_other_systems_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_PUBLIC_URL", "https://law.example.gov.cn/a/xuefa/")
    settings = load(None)
    assert settings.public_url == "https://law.example.gov.cn/a/xuefa"
    assert settings.base_path == "/a/xuefa"
