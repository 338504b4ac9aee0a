"""One HTTP request and its JSON answer: total and read time-outs, a cap on the answer, no redirects, every fault a `PlatformError`."""

from __future__ import annotations

import json as jsonlib
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from bot.channels.outbound.errors import UNREADABLE, Kind, PlatformError

SHOWN = 2000
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)

Answer = tuple[int, dict[str, Any]]


def encode(value: Any) -> bytes:
    """JSON as the platforms want it: UTF-8 without escapes (protocols.md A10); half a surrogate pair becomes a question mark."""
    return jsonlib.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: dict[str, str],
    json: Any,
    total: float,
    read: float,
    cap: int,
    form: Sequence[tuple[str, str]] | None = None,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Status and JSON object; what was no object stands shortened under UNREADABLE. A `form` is sent in place of JSON; `trust` names other CAs.

    Raises "transient" when the request surely did not go out, "unknown" when nobody can say what became of it (for a GET that is transient too).
    """
    timeout = aiohttp.ClientTimeout(total=max(total, 0.001), sock_read=read, sock_connect=read)
    if form is not None:
        body, kind = urlencode(form).encode(), "application/x-www-form-urlencoded; charset=utf-8"
    else:
        body, kind = (b"" if json is None else encode(json)), "application/json; charset=utf-8"
    sent = {**headers, **({"Content-Type": kind} if body else {})}
    lost: Kind = "transient" if method == "GET" else "unknown"
    try:
        async with session.request(
            method, url, data=body or None, headers=sent, timeout=timeout, allow_redirects=False, ssl=trust if trust is not None else True
        ) as response:
            raw = await _read(response, cap)
            return response.status, {UNREADABLE: "the answer is too large"} if raw is None else _object(raw)
    except _NOT_SENT as wrong:
        fault = PlatformError("transient", "no-connection", type(wrong).__name__)
    except TimeoutError:
        fault = PlatformError(lost, "timeout")
    except (aiohttp.ClientError, OSError, ValueError) as wrong:
        fault = PlatformError(lost, "broken", type(wrong).__name__)
    # Raised out here, so that no exception that carries the URL hangs on it.
    raise fault


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes | None:
    """The body, unpacked, or None as soon as it is larger than the cap."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > cap:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = jsonlib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {UNREADABLE: raw[:SHOWN].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {UNREADABLE: "the answer is no object"}
