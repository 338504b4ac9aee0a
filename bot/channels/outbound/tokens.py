"""Access tokens: fetched once at a time, shared between replicas, with growing waits after failures (bot/docs/reliability.md O1, O2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.channels.base import Clock, Token, TokenStore
from bot.channels.outbound.apis import Api
from bot.channels.outbound.errors import PlatformError
from bot.logs import get_logger

log = get_logger(__name__)

RENEW_BEFORE = timedelta(minutes=5)
"""How long before its expiry a token is renewed."""
EARLY_RENEWAL_PAUSE = timedelta(seconds=60)
"""Between two early renewals: some platforms return the same token until it expires."""
FORCED_RENEWAL_PAUSE = timedelta(seconds=30)
"""Between two renewals of a token that should still be valid."""
FIRST_WAIT = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=2)
"""Waits after failures: 60 s, doubled each time. Five fetches in ten minutes at most, and fewer forced ones a day than WeChat allows (20)."""
UNANSWERED_WAIT = timedelta(seconds=2)
"""The first wait after a fetch without any answer, where nothing was refused."""
POLL_SECONDS = 0.2

Fetch = Callable[[Api, bool], Awaitable[Token]]


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token of this process; `serial` grows with each new one, so that a refusal can be matched to it."""

    token: Token
    serial: int


@dataclass(slots=True)
class _TokenState:
    """The state of one token in this process."""

    held: HeldToken | None = None
    refused: str = ""
    forced_renewals: int = 0
    forced_at: datetime | None = None
    early_at: datetime | None = None
    closed_until: datetime | None = None
    failures: int = 0
    fetching: asyncio.Task[HeldToken] | None = None
    last_error: PlatformError = field(default_factory=lambda: PlatformError("transient", "no-token"))


class SingleRunTokens:
    """Access tokens kept for one run of one command. A platform returns the same token when asked again, so the service's own token stays valid."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    async def read(self, key: str) -> Token | None:
        return self._tokens.get(key)

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        return True

    async def save(self, key: str, holder: str, token: Token) -> None:
        self._tokens[key] = token


class Tokens:
    """The tokens of this process, over a store that all replicas share."""

    def __init__(self, store: TokenStore, clock: Clock, holder: str, fetch: Fetch, lease_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._fetch = fetch
        self._lease_seconds = lease_seconds
        self._states: dict[str, _TokenState] = {}
        self._saving: set[asyncio.Task[None]] = set()
        self._serial = 0

    def values(self) -> tuple[str, ...]:
        """Every current token, for redaction."""
        return tuple(state.held.token.value for state in self._states.values() if state.held is not None)

    async def get(self, api: Api, refused: HeldToken | None = None) -> HeldToken:
        """A token to use now; `refused` is the one that the platform has just refused. Raises `PlatformError`."""
        state = self._states.setdefault(api.key, _TokenState())
        now = self._clock()
        if refused is not None:
            self.refuse(api, refused)
        held = state.held
        if held is not None and held.token.expires_at > now:
            if held.token.expires_at - now > RENEW_BEFORE or (state.early_at is not None and now < state.early_at):
                return held
            state.early_at = now + EARLY_RENEWAL_PAUSE
            self._fetch_once(api, state)
            return held
        # All waiters share one fetch; a waiter that is cancelled does not cancel it for the others.
        return await asyncio.shield(self._fetch_once(api, state))

    def refuse(self, api: Api, refused: HeldToken) -> None:
        """Drop a token that the platform refused; it is not used again unless the platform returns it anew."""
        state = self._states.setdefault(api.key, _TokenState())
        if state.held is not None and state.held.serial == refused.serial:
            state.refused = refused.token.value
            state.held = None

    def accept(self, api: Api) -> None:
        """The platform accepted the token: forget earlier refusals."""
        state = self._states.setdefault(api.key, _TokenState())
        state.forced_renewals = 0
        state.refused = ""

    async def close(self) -> None:
        fetches = [state.fetching for state in self._states.values() if state.fetching is not None]
        for fetching in fetches:
            fetching.cancel()
        await asyncio.gather(*fetches, *self._saving, return_exceptions=True)

    def _fetch_once(self, api: Api, state: _TokenState) -> asyncio.Task[HeldToken]:
        """The running fetch, or a new one."""
        if state.fetching is None or state.fetching.done():
            state.fetching = asyncio.create_task(self._obtain(api, state), name=f"token {api.name}")
            state.fetching.add_done_callback(_retrieve_exception)
        return state.fetching

    async def _obtain(self, api: Api, state: _TokenState) -> HeldToken:
        if (stored := await self._read_stored(api, state)) is not None:
            return stored
        self._check_open(state)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 2 * self._lease_seconds
        while not await self._take_lease(api):
            if loop.time() > deadline:
                raise PlatformError("transient", "lease", "somebody else keeps the token's lease")
            await asyncio.sleep(POLL_SECONDS)
            if (stored := await self._read_stored(api, state)) is not None:
                return stored
        # The former holder of the lease may have saved a token between the read and the lease.
        if (stored := await self._read_stored(api, state)) is not None:
            return stored
        forced = bool(state.refused)
        if forced:
            state.forced_at = self._clock()
            state.forced_renewals += 1
        token = await self._fetch_token(api, state, forced)
        state.failures = 0
        # The other replicas read it from the row; who waits here need not wait for that.
        saving = asyncio.create_task(self._save(api, token), name=f"save token {api.name}")
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return self._hold(state, token)

    def _check_open(self, state: _TokenState) -> None:
        """Raise `PlatformError` while no fetch is allowed: after failures, and between two forced renewals."""
        now = self._clock()
        if state.closed_until is not None and now < state.closed_until:
            error = state.last_error
            raise PlatformError(error.kind, error.code, error.message, retry_after=(state.closed_until - now).total_seconds())
        if state.refused and state.forced_at is not None:
            open_at = state.forced_at + max(FORCED_RENEWAL_PAUSE, _doubled(FIRST_WAIT, state.forced_renewals))
            if now < open_at:
                raise PlatformError("token", "refused", "the platform refuses every token", retry_after=(open_at - now).total_seconds())

    async def _fetch_token(self, api: Api, state: _TokenState, forced: bool) -> Token:
        try:
            return await self._fetch(api, forced)
        except PlatformError as wrong:
            state.failures += 1
            first = UNANSWERED_WAIT if wrong.kind in ("transient", "unknown") else FIRST_WAIT
            wait = max(_doubled(first, state.failures), timedelta(seconds=wrong.retry_after or 0))
            state.closed_until = self._clock() + wait
            state.last_error = wrong
            log.error("token not fetched", platform=api.name, kind=wrong.kind, code=wrong.code, again_in=wait.total_seconds())
            raise

    async def _read_stored(self, api: Api, state: _TokenState) -> HeldToken | None:
        """The token that another replica stored, if it is valid and not the refused one."""
        try:
            token = await self._store.read(api.key)
        except Exception as wrong:
            # Without the shared row each replica fetches a token of its own.
            log.warning("token row not read", platform=api.name, error=type(wrong).__name__)
            return None
        now = self._clock()
        if token is None or token.expires_at <= now or token.value == state.refused:
            return None
        if token.expires_at - now <= RENEW_BEFORE and state.held is not None and token.value == state.held.token.value:
            return None
        return self._hold(state, token)

    async def _take_lease(self, api: Api) -> bool:
        try:
            return await self._store.lease(api.key, self._holder, self._lease_seconds)
        except Exception as wrong:
            log.warning("token lease not taken", platform=api.name, error=type(wrong).__name__)
            return True

    async def _save(self, api: Api, token: Token) -> None:
        try:
            await self._store.save(api.key, self._holder, token)
        except Exception as wrong:
            log.warning("token row not saved", platform=api.name, error=type(wrong).__name__)

    def _hold(self, state: _TokenState, token: Token) -> HeldToken:
        self._serial += 1
        state.held = HeldToken(token, self._serial)
        return state.held


def _doubled(first: timedelta, times: int) -> timedelta:
    """first, 2 x first, 4 x first … for times = 1, 2, 3 …; zero for 0."""
    return min(first * 2 ** min(times - 1, 12), LONGEST_WAIT) if times > 0 else timedelta(0)


def _retrieve_exception(fetching: asyncio.Task[HeldToken]) -> None:
    """Retrieve the exception, which was logged already, in case every waiter has been cancelled."""
    if not fetching.cancelled():
        fetching.exception()
