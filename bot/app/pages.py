"""Our own pages: those behind their door, and the one that everybody may see."""

from __future__ import annotations

from aiohttp import web

from bot.app.house import House
from bot.services.certificate.press import Press
from bot.web.certificates import Certificates
from bot.web.door import Door
from bot.web.pages import Pages


def attach(app: web.Application, house: House) -> Door:
    """Add the pages, each under its path, and the files they share."""
    pages = Pages()
    pages.attach(app)
    Certificates(house.desk, house.clock, pages, Press(house.settings.web.font), lambda: house.dispatcher.pages).attach(app)
    return Door(house.desk, house.clock, pages, house.settings.public_url)
