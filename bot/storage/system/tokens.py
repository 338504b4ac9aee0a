"""The platforms' access tokens: one row shared by all replicas, encrypted under the app's secret, with a lease for fetching the next.

Everybody who is to be sent something waits for this row, so nothing of it waits behind them: it is read past the pool of readers, on which every
look at a report goes, and written before the messages that wait for the writer.
"""

from __future__ import annotations

import asyncio
import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Text, select, update
from sqlmodel import Session

from bot.logs import get_logger
from bot.storage.db.database import Database
from bot.storage.db.query import Query, bind, binds, insert, table
from bot.storage.tables.system import PlatformTokenRow

log = get_logger(__name__)

NONCE_BYTES = 12
_INFO = b"xuefa-bot platform token v1"
_tokens = table(PlatformTokenRow)
_IS_FREE = (
    _tokens.c.name == bind("key"),
    (_tokens.c.holder == bind("holder_id")) | _tokens.c.lease_until.is_(None) | (_tokens.c.lease_until <= bind("now")),
)
_INSERT = Query(insert(_tokens).values(binds("name") | {"sealed": "", "holder": ""}).on_conflict_do_nothing())
_READ = Query(select(_tokens.c.sealed, _tokens.c.expires_at).where(_tokens.c.name == bind("name")), gives=tuple[str, datetime | None])
_LEASE = Query(update(_tokens).values(holder=bind("holder_id", Text), lease_until=bind("until")).where(*_IS_FREE))
_SAVE = Query(update(_tokens).values(binds("sealed", "expires_at") | {"holder": "", "lease_until": None}).where(*_IS_FREE))


class ExpiringToken(Protocol):
    """What is stored: a value and the moment it expires (aware)."""

    @property
    def value(self) -> str: ...

    @property
    def expires_at(self) -> datetime: ...


T = TypeVar("T", bound=ExpiringToken)


class SealedTokens(Generic[T]):
    """The shared rows; raises `Busy` when the database cannot be written.

    `secret_of` gives the app's secret for a row's name: without it a token cannot be decrypted, and a token sealed under a former
    secret counts as missing. `make` builds what `read` returns.
    """

    def __init__(
        self, database: Database, secret_of: Callable[[str], str], make: Callable[[str, datetime], T], clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._secret_of = secret_of
        self._make = make
        self._clock = clock

    async def read(self, key: str) -> T | None:
        stored = await asyncio.to_thread(self._database.read_now, lambda session: _READ.first(session, name=key))
        if stored is None:
            return None
        sealed, expires_at = stored
        value = self._open(key, sealed) if sealed and expires_at is not None else None
        return None if value is None or expires_at is None else self._make(value, expires_at)

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        """True for the one holder who may fetch now; a lease that is not given back ends after `seconds`."""

        def take_lease(session: Session) -> bool:
            now = self._clock()
            _INSERT.run(session, name=key)
            return _LEASE.run(session, key=key, holder_id=holder, now=now, until=now + timedelta(seconds=seconds)) == 1

        return await self._database.write(take_lease, of=("token", key), urgent=True)

    async def save(self, key: str, holder: str, token: T) -> None:
        """Store the token and end the lease; does nothing when another holder took the lease meanwhile, whose token is newer."""
        sealed = self._seal(key, token.value)

        def store(session: Session) -> bool:
            _INSERT.run(session, name=key)
            return _SAVE.run(session, key=key, holder_id=holder, sealed=sealed, expires_at=token.expires_at, now=self._clock()) == 1

        if not await self._database.write(store, of=("token", key), urgent=True):
            log.info("token came too late", key=key)

    def _cipher(self, key: str) -> AESGCM:
        return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=key.encode(), info=_INFO).derive(self._secret_of(key).encode()))

    def _seal(self, key: str, value: str) -> str:
        nonce = os.urandom(NONCE_BYTES)
        return b64encode(nonce + self._cipher(key).encrypt(nonce, value.encode(), key.encode())).decode()

    def _open(self, key: str, sealed: str) -> str | None:
        try:
            raw = b64decode(sealed, validate=True)
            return self._cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], key.encode()).decode()
        except (binascii.Error, InvalidTag, ValueError):
            log.warning("token not readable", key=key)
            return None
