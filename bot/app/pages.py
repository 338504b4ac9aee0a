"""Our own pages: those behind their door, and the one that everybody may see."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from bot.app.house import House
from bot.commands.tasks import card_of
from bot.domain.message import Handle
from bot.services.certificate.press import Press
from bot.web.certificates import Certificates
from bot.web.door import Door
from bot.web.exam import ExamPage
from bot.web.live import Console, Feed, Screen
from bot.web.pages import Pages


def attach(app: web.Application, house: House, handle: Handle) -> Door:
    """Add the pages, each under its path, and the files they share. `handle` is the hall, for what people say on a page."""
    pages = Pages()
    pages.attach(app)
    Certificates(house.desk, house.clock, pages, Press(house.settings.web.font), lambda: house.dispatcher.pages).attach(app)
    door = Door(house.desk, house.clock, pages, house.settings.public_url)
    ExamPage(door, house.desk, lambda: house.shelf, handle, partial(card_of, "exam"), house.clock).attach(app)
    feed = Feed(house.desk, lambda: house.shelf, house.clock)
    feed.attach(app)
    Screen(house.desk, feed, pages, lambda: house.dispatcher.pages, chat=house.settings.web.local_chat).attach(app)
    Console(house.desk, lambda: house.shelf, house.clock, feed, door, pages).attach(app)
    return door
