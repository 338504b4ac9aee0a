"""HTTP callbacks: signature first, then size, then words; one answer for everything that is refused (protocols.md C2, C8)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from datetime import datetime, timedelta

from aiohttp import web
from multidict import CIMultiDictProxy

READ_SECONDS = 5.0
NOSNIFF = {"X-Content-Type-Options": "nosniff"}


class Refused(Exception):
    """A callback that is not the platform's; the message names the reason for the log and never a value."""


def bad_request() -> web.Response:
    """The same for all, so that nobody learns which check stood in the way."""
    return web.Response(status=400, text="bad request", headers=NOSNIFF)


def robot_sign(timestamp: str, secret: str) -> str:
    """C2: base64(HMAC-SHA256(secret, timestamp + newline + secret))."""
    return _sign(secret, f"{timestamp}\n{secret}")


def card_sign(timestamp: str, secret: str) -> str:
    """C8: base64(HMAC-SHA256(secret, timestamp))."""
    return _sign(secret, timestamp)


def check_robot(headers: CIMultiDictProxy[str], secret: str, now: datetime, freshness: float) -> str:
    """The signed timestamp; raises Refused."""
    timestamp = _fresh(headers, "timestamp", now, freshness)
    _equal(_one(headers, "sign"), robot_sign(timestamp, secret))
    return timestamp


def check_card(headers: CIMultiDictProxy[str], secret: str, now: datetime, freshness: float) -> str:
    """The signed timestamp; raises Refused."""
    timestamp = _fresh(headers, "x-ddpaas-signature-timestamp", now, freshness)
    _equal(_one(headers, "x-ddpaas-signature"), card_sign(timestamp, secret))
    return timestamp


async def body(request: web.Request, cap: int) -> bytes:
    """The body, if it is plain and no larger than `cap` bytes; raises Refused."""
    if "Content-Encoding" in request.headers:
        raise Refused("encoding")
    if request.content_length is not None and request.content_length > cap:
        raise Refused("size")
    read = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for part in request.content.iter_any():
                read += part
                if len(read) > cap:
                    raise Refused("size")
    except TimeoutError:
        raise Refused("slow") from None
    return bytes(read)


def _sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _equal(given: str, right: str) -> None:
    if not hmac.compare_digest(given.encode("utf-8", "replace"), right.encode()):
        raise Refused("signature")


def _one(headers: CIMultiDictProxy[str], name: str) -> str:
    """A header that stands there exactly once."""
    found = headers.getall(name, [])
    if len(found) != 1 or not found[0]:
        raise Refused("header")
    return found[0]


def _fresh(headers: CIMultiDictProxy[str], name: str, now: datetime, freshness: float) -> str:
    """The header's time in ms, no further from now than `freshness` seconds."""
    text = _one(headers, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise Refused("timestamp")
    # Seconds are told from milliseconds by their length: ten digits reach to the year 2286.
    age = now.timestamp() - (int(text) / 1000 if len(text) > 10 else int(text))
    if abs(age) > timedelta(seconds=freshness).total_seconds():
        raise Refused("stale")
    return text
