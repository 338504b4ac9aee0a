"""A real browser for the pages: where it is found, how it is started, what it was seen to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

CHROMIUM = os.environ.get("BOT_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=60_000)
SIZES = {"phone": (375, 812), "desk": (1280, 800)}

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine: apt install chromium, or set BOT_TEST_CHROMIUM")


@dataclass
class Seen:
    """Whom the page talked to, and what its console complained of."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        try:
            yield made
        finally:
            await made.close()


@asynccontextmanager
async def page_in(made: Browser, size: str, **more: Any) -> AsyncIterator[tuple[Page, Seen]]:
    """An empty page of a size, in a browser context of its own."""
    width, height = SIZES[size]
    context = await made.new_context(viewport={"width": width, "height": height}, **more)
    seen = Seen()
    page = await context.new_page()
    page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).hostname or ""))
    page.on("websocket", lambda line: seen.hosts.add(urlsplit(line.url).hostname or ""))
    page.on("console", lambda message: seen.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda wrong: seen.complaints.append(str(wrong)))
    try:
        yield page, seen
    finally:
        await context.close()


async def fits(page: Page) -> bool:
    """Nothing sticks out sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def small_targets(page: Page, least: float = 44) -> list[str]:
    """What can be pressed and is lower or narrower than a thumb needs, by its words."""
    found: list[str] = await page.evaluate(_SMALL, least)
    return found


async def contrast(page: Page, what: str) -> float:
    """How much what is read stands out from its ground: at least 4.5 (WCAG AA). Waits until it is there: an answer takes its time to be saved."""
    await page.wait_for_selector(what, state="attached")
    return float(await page.evaluate(_CONTRAST, what))


_SMALL = """(least) => [...document.querySelectorAll('button, a.button, select, textarea, input[type=text], input[type=search], label.option')]
  .filter((one) => one.offsetParent && Math.min(one.getBoundingClientRect().height, one.getBoundingClientRect().width) < least)
  .map((one) => one.textContent || one.tagName)"""
_CONTRAST = """(what) => {
  const of = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const shown = document.querySelector(what);
  let ground = shown;
  while (of(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const [a, b] = [light(of(getComputedStyle(shown).color)), light(of(getComputedStyle(ground).backgroundColor))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
