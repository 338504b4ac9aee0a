"""Jinja templates of the pages, which escape every value, and the static files that go with them.

A page of a noun is `templates/<noun>/….html` over `base.html`, with its script in `static/<noun>.js`. Nothing is loaded from elsewhere and no
script or style is inline in a page: the content security policy (bot/web/middleware.py) would block it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.domain.times import SHANGHAI, chinese_date

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent / "pages"
EMBLEM = HERE.parent / "chat" / "icon.svg"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
IMMUTABLE = "public, max-age=31536000, immutable"


class Templates:
    """Renders templates and serves their static files under an address that changes with their content."""

    def __init__(self, base: str = "", templates: Path = HERE / "templates", static: Path = HERE / "static") -> None:
        """`base` is the path under which a browser finds the service, without a slash at its end."""
        self.base = base
        self._files = {path.name: path.read_bytes() for path in sorted(static.iterdir()) if path.suffix in TYPES}
        self._files["emblem.svg"] = EMBLEM.read_bytes()
        # One digest for all files: modules that import each other by relative names stay of the same release.
        self._digest = hashlib.sha256(b"\0".join(name.encode() + b"\0" + body for name, body in self._files.items())).hexdigest()[:16]
        self._templates = templates

    @cached_property
    def _environment(self) -> Environment:
        """Made when the first page is shown: the chat alone needs no jinja."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(self._templates), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.globals["static"] = self.static
        environment.globals["base"] = self.base
        environment.filters["moment"] = _format_moment
        environment.filters["day"] = chinese_date
        return environment

    def attach(self, app: web.Application) -> None:
        app.router.add_get("/static/{digest}/{name}", self._file)

    def static(self, name: str) -> str:
        """The address of a file of `static/`. KeyError for one that is not there."""
        return f"{self.base}/static/{self._digest}/{name}" if name in self._files else self._missing(name)

    def show(self, template: str, status: int = 200, **values: Any) -> web.Response:
        """A page. `values` are inserted as text, never as markup; a name that the template uses and nobody gives is an error."""
        text = self._environment.get_template(template).render({"visitor": None, **values})
        # Our forms must send their origin (bot/web/sessions.py); other sites are sent no referrer.
        return web.Response(status=status, text=text, content_type="text/html", headers={"Referrer-Policy": "same-origin"})

    def _missing(self, name: str) -> str:
        raise KeyError(name)

    async def _file(self, request: web.Request) -> web.Response:
        body = self._files.get(name := request.match_info["name"])
        if body is None:
            raise web.HTTPNotFound
        tag = f'"{self._digest}"'
        # A page of another release asks with another digest: it is served, but must not cache.
        headers = {"ETag": tag, "Cache-Control": IMMUTABLE if request.match_info["digest"] == self._digest else "no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=TYPES[Path(name).suffix], charset="utf-8", headers=headers)


def _format_moment(moment: datetime) -> str:
    """A moment in Shanghai's time: 3月2日 09:05."""
    local = moment.astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日 {local:%H:%M}"
