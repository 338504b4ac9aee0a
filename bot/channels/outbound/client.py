"""The HTTP client for all calls to a platform: tokens, retries, pauses, and errors without secrets in them."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from types import TracebackType
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
from yarl import URL

from bot.channels.base import Clock, Note, Token, TokenStore
from bot.channels.outbound import errors
from bot.channels.outbound.apis import Api, Judge, Params
from bot.channels.outbound.errors import UNREADABLE, Kind, PlatformError
from bot.channels.outbound.http import Answer, allowed_url, exchange, redact
from bot.channels.outbound.tokens import HeldToken, Tokens
from bot.logs import get_logger

log = get_logger(__name__)

USER_AGENT = "xuefa-bot"
CONNECTIONS = 50
"""Calls at a time. Thousands at once wait for their turn here, where nothing of them was begun, and not within the time of their call."""
TURN_SECONDS = 45.0
"""How long a call waits for its turn at most: with the call itself less than a delivery's lease (bot/jobs/delivery_worker.py)."""
IDLE_SECONDS = 15
"""How long an idle connection is kept: shorter than the platforms do, so that no message is sent on one that is being closed."""
SHORT_WAIT = 1.5
"""A rate limit of at most so many seconds is waited for within the call."""
ATTEMPTS = 3
NO_TOKEN = HeldToken(Token("", datetime.max.replace(tzinfo=UTC)), 0)
ZONE: Final = ZoneInfo("Asia/Shanghai")
REFUSALS_HEARD: dict[Kind, int] = {"transient": 5, "unknown": 5, "permission": 3, "config": 3, "token": 3}
"""How many refusals of one kind in a row lead to a pause. Limits pause at once; refusals of one person or one text never do."""
FIRST_PAUSE: dict[Kind, float] = {"transient": 2.0, "unknown": 2.0, "permission": 60.0, "config": 60.0, "token": 60.0}
LONGEST_PAUSE: dict[Kind, float] = {"transient": 60.0, "unknown": 60.0, "permission": 600.0, "config": 600.0, "token": 600.0}
LIMIT_PAUSES = (60.0, 3600.0)
"""A limit that persists after its minute is taken for the hourly one, and after the hour for the daily one (bot/docs/protocols.md#wecom-limits)."""


@dataclass(slots=True)
class _Pause:
    kind: Kind | None = None
    count: int = 0
    until: datetime | None = None
    error: PlatformError | None = None


class Pauses:
    """The pauses of each (token, path)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses: dict[tuple[str, str], _Pause] = {}

    def check(self, key: str, path: str) -> None:
        """Raise the error that caused the pause, with the remaining seconds, while it lasts."""
        pause = self._pauses.get((key, path))
        if pause is None or pause.until is None or pause.error is None:
            return
        seconds = (pause.until - self._clock()).total_seconds()
        if seconds > 0:
            # A call that is not sent is certainly not done, even if the pause began with an unknown outcome.
            kind: Kind = "transient" if pause.error.kind == "unknown" else pause.error.kind
            raise PlatformError(kind, pause.error.code, "paused: " + pause.error.message, retry_after=seconds)

    def record(self, key: str, path: str, error: PlatformError | None) -> None:
        """Record the result of a call; `error.retry_after` is set to the pause if one begins."""
        pause = self._pauses.setdefault((key, path), _Pause())
        if error is None or error.kind in ("recipient", "content", "window"):
            # A call that was running when the limit was reached does not end the pause.
            if pause.until is None or pause.until <= self._clock():
                pause.kind, pause.count, pause.until, pause.error = None, 0, None, None
            return
        pause.count = pause.count + 1 if pause.kind == error.kind else 1
        pause.kind = error.kind
        seconds = self._pause(pause.count, error)
        if seconds is not None:
            error.retry_after = seconds
            pause.until = self._clock() + timedelta(seconds=seconds)
            pause.error = error

    def _pause(self, count: int, error: PlatformError) -> float | None:
        """Seconds of the pause, or None for none."""
        if error.kind == "quota":
            return self._until_tomorrow()
        if error.kind == "rate":
            seconds = error.retry_after or LIMIT_PAUSES[0]
            if seconds < LIMIT_PAUSES[0] or count == 1:
                return seconds
            return max(seconds, LIMIT_PAUSES[1]) if count == 2 else self._until_tomorrow()
        if count < REFUSALS_HEARD[error.kind]:
            return None
        return min(FIRST_PAUSE[error.kind] * 2.0 ** min(count - REFUSALS_HEARD[error.kind], 10), LONGEST_PAUSE[error.kind])

    def _until_tomorrow(self) -> float:
        now = self._clock().astimezone(ZONE)
        tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=5, second=0, microsecond=0)
        return (tomorrow - now).total_seconds()


@dataclass(frozen=True, slots=True)
class _ApiRequest:
    method: str
    path: str
    params: Params
    json: Any


class Outbound:
    """Calls with a token and posts without one; every failure is a `PlatformError`, logged once and counted."""

    def __init__(
        self,
        *,
        tokens: TokenStore,
        clock: Clock,
        note: Note,
        holder: str,
        secrets: tuple[str, ...] = (),
        total: float = 8.0,
        read: float = 5.0,
        cap: int = 1_048_576,
        rng: Random | None = None,
    ) -> None:
        """`holder` names this replica in leases; `total` bounds a call and `read` each wait for data, in seconds; `cap` is in bytes."""
        self._clock = clock
        self._note = note
        self._secrets = secrets
        self._total = total
        self._read = read
        self._cap = cap
        self._rng = rng or Random()  # noqa: S311 - spreads retries, guards nothing
        self._tokens = Tokens(tokens, clock, holder, self._fetch, lease_seconds=total + 2)
        self._pauses = Pauses(clock)
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            trust_env=False,
        )

    async def close(self) -> None:
        await self._tokens.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Outbound:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def call(self, api: Api, method: str, path: str, *, params: dict[str, str] | Params | None = None, json: Any = None) -> dict[str, Any]:
        """The platform's answer to a call that carries the token; raises `PlatformError`. Parameters as pairs where a name comes twice.

        A refused token is renewed once; what was certainly not done is tried again within `total` seconds from its turn; nothing else is.
        """
        try:
            await self._take_turn()
            try:
                self._pauses.check(api.key, path)
                deadline = asyncio.get_running_loop().time() + self._total
                answer = await self._try_call(api, _ApiRequest(method, path, _pairs(params), json), deadline)
            finally:
                self._turns.release()
        except PlatformError as wrong:
            raise self._report(api.name, path, wrong) from None
        self._pauses.record(api.key, path, None)
        return answer

    async def sign_in(self, api: Api) -> None:
        """Fetch a token and do nothing with it: whether the platform can be reached and takes id and secret. Raises `PlatformError`."""
        try:
            await self._token(api, None, self._total)
        except PlatformError as wrong:
            raise self._report(api.name, "", wrong) from None

    async def post(
        self, url: str, json: Any, *, allowed_hosts: frozenset[str], judge: Judge = errors.dingtalk_old, name: str = "webhook"
    ) -> dict[str, Any]:
        """Post to an address from a message, if its origin is configured; entries of `allowed_hosts` are hosts (https) or whole origins.

        The address is never logged: whoever knows it can send in our name.
        """
        target = allowed_url(url, allowed_hosts)
        try:
            if target is None:
                raise PlatformError("config", "host-refused", "the address does not lead to a configured host")
            answer = self._judge(judge, await self._exchange("POST", target, {}, json, self._total))
        except PlatformError as wrong:
            raise self._report(name, "", wrong) from None
        return answer

    async def _take_turn(self) -> None:
        try:
            await asyncio.wait_for(self._turns.acquire(), TURN_SECONDS)
        except TimeoutError:
            raise PlatformError("transient", "turn", "too many calls at once") from None

    async def _try_call(self, api: Api, request: _ApiRequest, deadline: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        refused: HeldToken | None = None
        for tries_left in reversed(range(ATTEMPTS)):
            held = NO_TOKEN if api.place == "none" else await self._token(api, refused, deadline - loop.time())
            try:
                answer = self._judge(api.judge, await self._with_token(api, request, held.token, deadline - loop.time()))
            except PlatformError as wrong:
                wait = self._retry_delay(wrong, deadline - loop.time()) if tries_left else None
                if wrong.kind == "token" and refused is None and tries_left:
                    refused, wait = held, 0.0
                elif wrong.kind == "token":
                    self._tokens.refuse(api, held)
                    log.error("token refused after renewal", platform=api.name, code=wrong.code)
                elif wrong.kind in ("recipient", "content", "window"):
                    self._tokens.accept(api)
                if wait is None:
                    self._pauses.record(api.key, request.path, wrong)
                    raise
                await asyncio.sleep(wait)
            else:
                self._tokens.accept(api)
                return answer
        raise PlatformError("transient", "tries")

    async def _token(self, api: Api, refused: HeldToken | None, seconds: float) -> HeldToken:
        try:
            return await asyncio.wait_for(self._tokens.get(api, refused), max(seconds, 0.001))
        except TimeoutError:
            raise PlatformError("transient", "token-timeout", "no token in time") from None

    def _retry_delay(self, wrong: PlatformError, seconds: float) -> float | None:
        """Seconds until another attempt within this call, or None for no other attempt."""
        if wrong.kind == "rate" and wrong.retry_after is not None and wrong.retry_after <= SHORT_WAIT:
            wait = wrong.retry_after * self._rng.uniform(1.0, 1.3)
        elif wrong.kind == "transient":
            wait = self._rng.uniform(0.2, 0.6)
        else:
            return None
        return wait if wait < seconds / 2 else None

    async def _with_token(self, api: Api, request: _ApiRequest, token: Token, seconds: float) -> Answer:
        place, _, name = api.place.partition(":")
        params = [*request.params, *([(name, token.value)] if place in ("query", "param") else [])]
        headers = {name: token.value} if place == "header" else {}
        return await self._send(api, request.method, request.path, params, headers, request.json, seconds)

    async def _send(self, api: Api, method: str, path: str, params: Params, headers: dict[str, str], json: Any, seconds: float) -> Answer:
        url = URL(api.base.rstrip("/") + path)
        if api.sign is None:
            return await self._exchange(method, url.with_query(params), headers, json, seconds, trust=api.trust)
        signed = {**headers, **api.sign(method, url.path, params)}
        if method == "GET":
            return await self._exchange(method, url.with_query(params), signed, None, seconds, trust=api.trust)
        return await self._exchange(method, url, signed, None, seconds, form=params, trust=api.trust)

    async def _exchange(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        json: Any,
        seconds: float,
        *,
        form: Params | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> Answer:
        if self._session is None:
            raise RuntimeError("Outbound speaks between start() and close()")
        return await exchange(
            self._session, method, url, headers=headers, json=json, total=seconds, read=self._read, cap=self._cap, form=form, trust=trust
        )

    async def _fetch(self, api: Api, refused: bool) -> Token:
        try:
            return await api.fetch(_Fetcher(self, api, refused))
        except PlatformError as wrong:
            raise self._scrub(wrong) from None

    def _judge(self, judge: Judge, response: Answer) -> dict[str, Any]:
        status, answer = response
        wrong = judge(status, answer)
        if wrong is None and UNREADABLE in answer:
            wrong = PlatformError("unknown", "not-json", f"HTTP {status} without a JSON object")
        if wrong is not None:
            raise self._scrub(wrong)
        return answer

    def _scrub(self, wrong: PlatformError) -> PlatformError:
        secrets = (*self._secrets, *self._tokens.values())
        return PlatformError(wrong.kind, redact(wrong.code, secrets)[:80], redact(wrong.message, secrets), retry_after=wrong.retry_after)

    def _report(self, name: str, path: str, wrong: PlatformError) -> PlatformError:
        scrubbed = self._scrub(wrong)
        log.warning(
            "outbound failed",
            platform=name,
            path=path,
            kind=scrubbed.kind,
            code=scrubbed.code,
            said=scrubbed.message,
            retry_after=scrubbed.retry_after,
        )
        self._note("outbound_error", name, 1)
        return scrubbed


class _Fetcher:
    """Requests without a token, for fetching one (`apis.TokenRequest`)."""

    def __init__(self, outbound: Outbound, api: Api, refused: bool) -> None:
        self._outbound = outbound
        self._api = api
        self.refused = refused

    def now(self) -> datetime:
        return self._outbound._clock()

    async def __call__(self, method: str, path: str, *, params: dict[str, str] | None = None, json: Any = None) -> Answer:
        try:
            return await self._outbound._send(self._api, method, path, _pairs(params), {}, json, self._outbound._total)
        except PlatformError as wrong:
            # Fetching a token twice does no harm, so an unknown outcome may be retried.
            raise PlatformError("transient" if wrong.kind == "unknown" else wrong.kind, wrong.code, wrong.message) from None


def _pairs(params: dict[str, str] | Params | None) -> Params:
    return list(params.items()) if isinstance(params, dict) else params or []
