"""The public verification pages of certificates: the number alone shows whether it holds, number and code show all (bot/docs/rules.md S23)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from aiohttp import web

from bot.domain.certificate import CertificateQuery, full_number, page_path, parse_number
from bot.domain.message import Refusal
from bot.domain.times import chinese_date, clock_of, day_of
from bot.logs import get_logger
from bot.services.certificate import certificates
from bot.services.certificate.certificates import PublicCertificate
from bot.services.certificate.pdf import FORMS, CertificatePrinter
from bot.services.certificate.typesetter import Form
from bot.storage.certificate import IssuedCertificate
from bot.storage.db.database import Database
from bot.web import middleware
from bot.web.templates import Templates

log = get_logger(__name__)

MAX_TYPED_LENGTH = 100
BURST = 20
REFILL_EVERY = timedelta(seconds=3)
"""Look-ups at once, and one more every three seconds, for each address; those with a right code are not counted."""
MAX_ADDRESSES = 4096


class LookUpRateLimit:
    """How often an address may still guess. In memory: the code is what keeps a name, this only keeps the noise down."""

    def __init__(self) -> None:
        self._spent: OrderedDict[str, datetime] = OrderedDict()

    def is_open(self, address: str, now: datetime) -> bool:
        return self._spent.get(address, now) <= now + REFILL_EVERY * (BURST - 1)

    def count(self, address: str, now: datetime) -> None:
        """One more guess: the moment at which all of them will be forgotten moves on."""
        self._spent[address] = max(self._spent.get(address, now), now) + REFILL_EVERY
        self._spent.move_to_end(address)
        while len(self._spent) > MAX_ADDRESSES:
            self._spent.popitem(last=False)


class CertificatePages:
    """The pages under `/certificates`."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], pages: Templates, printer: CertificatePrinter, home: Callable[[], str]
    ) -> None:
        """`home` returns the public base address of the pages."""
        self._database = database
        self._clock = clock
        self._pages = pages
        self._printer = printer
        self._home = home
        self._rate_limit = LookUpRateLimit()
        # One at a time: drawing takes a core for a tenth of a second, and people who answer come first.
        self._drawing = ThreadPoolExecutor(1, thread_name_prefix="press")

    def attach(self, app: web.Application) -> None:
        app.router.add_get("/certificates", self._form)
        for form in FORMS:
            app.router.add_get(f"/certificates/{{number}}.{form}", partial(self._file, form))
        app.router.add_get("/certificates/{number}", self._page)
        app.cleanup_ctx.append(self._until_drawn)

    async def _until_drawn(self, app: web.Application) -> AsyncIterator[None]:
        yield
        self._drawing.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._printer.close)

    async def _form(self, request: web.Request) -> web.Response:
        """The empty form; with a number typed into it, the way to its page."""
        typed, code = (request.query.get(name, "").strip()[:MAX_TYPED_LENGTH] for name in ("number", "code"))
        if not typed:
            return self._show(typed)
        query = parse_number(f"{typed}-{code}" if code else typed)
        if query is None:
            return self._show(typed, 404)
        return web.Response(
            status=303, headers={"Location": self._pages.base + page_path(full_number(query.number, query.code) if query.code else query.number)}
        )

    async def _page(self, request: web.Request) -> web.Response:
        typed = request.match_info["number"][:MAX_TYPED_LENGTH]
        query, certificate, slow = await self._look(request, typed)
        if slow:
            return self._show(typed, 429, problem="slow")
        if certificate is None:
            return self._show(typed, 404, problem="code" if query is not None and query.code else "number")
        unseen = "" if certificate.held is None or certificate.state != "valid" else await self._unseen(certificate.held)
        return self._show(certificate.number, found=certificate, unseen=unseen)

    async def _file(self, form: Form, request: web.Request) -> web.Response:
        """The picture or the PDF; only for whoever has the code, and while the certificate holds."""
        _, certificate, slow = await self._look(request, request.match_info["number"])
        if slow:
            return self._show("", 429, problem="slow")
        if certificate is None or certificate.held is None or certificate.state != "valid":
            raise web.HTTPNotFound
        try:
            content = await self._draw(certificate.held, form)
        except Refusal as refusal:
            return web.Response(status=503, text=str(refusal))
        return web.Response(
            body=content, content_type=FORMS[form], headers={"Content-Disposition": f'inline; filename="{certificate.number}.{form}"'}
        )

    async def _look(self, request: web.Request, typed: str) -> tuple[CertificateQuery | None, PublicCertificate | None, bool]:
        """What was asked, what may be shown of it, and whether the asker has to wait."""
        query = parse_number(typed[:MAX_TYPED_LENGTH])
        if query is None:
            return None, None, False
        address, now = middleware.address_of(request), self._clock()
        if not self._rate_limit.is_open(address, now):
            log.info("certificates asked for too fast")
            return query, None, True
        certificate = await self._database.read(lambda session: certificates.look_up(session, typed[:MAX_TYPED_LENGTH]))
        if certificate is None or certificate.held is None:
            self._rate_limit.count(address, now)
        return query, certificate, False

    async def _unseen(self, held: IssuedCertificate) -> str:
        """Why there is no picture; empty when there is one. It is drawn here and kept, so that the page promises nothing that does not come."""
        try:
            await self._draw(held, "png")
        except Refusal as refusal:
            log.warning("certificate not drawn", number=held.number, reason=str(refusal))
            return "图片和 PDF 暂时不能生成，不影响证书效力；如有需要，请联系发证单位。"
        return ""

    async def _draw(self, held: IssuedCertificate, form: Form) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._drawing, self._printer.draw, held, form, self._home())

    def _show(self, typed: str, status: int = 200, *, problem: str = "", found: PublicCertificate | None = None, unseen: str = "") -> web.Response:
        if status == 404 and not problem:
            problem = "number"
        now = self._clock()
        asked_at = f"{chinese_date(day_of(now))} {clock_of(now)}"
        full = "" if found is None or found.held is None else self._pages.base + page_path(full_number(found.held.number, found.held.code))
        body = None if found is None or found.held is None else found.held.body
        response = self._pages.show(
            "certificates/check.html",
            status,
            typed=typed,
            problem=problem,
            found=found,
            body=body,
            full=full,
            unseen=unseen,
            asked_at=asked_at,
        )
        response.headers["X-Robots-Tag"] = "noindex"
        # The address of a page with a code in it is not to be told to anybody, ourselves included.
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
