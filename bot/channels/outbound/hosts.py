"""Where a webhook address may lead: only to a host that was configured (reliability.md O9)."""

from __future__ import annotations

import re

from yarl import URL

LONGEST = 2048
_PLAIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:/[!-~]*)?", re.IGNORECASE | re.ASCII)
"""Scheme, host, port, path: no user, no blanks, nothing that two parsers could read in two ways."""


def origin(base: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address; a bare host means https on its own port. None when it is no address."""
    try:
        url = URL(base if "://" in base else f"https://{base}")
        host, port = url.raw_host, url.port
    except ValueError:
        return None
    if url.scheme not in ("https", "http") or not host or port is None:
        return None
    return url.scheme, host.lower(), port


def is_allowed(address: str, allowed: frozenset[str]) -> URL | None:
    """The parsed address when it leads to one of the allowed origins, else None.

    The very object that was judged is what is requested, so that no second parser can read the address differently. A plain http origin is
    allowed only when it was configured as such.
    """
    if len(address) > LONGEST or not _PLAIN.fullmatch(address) or "\\" in address or "#" in address:
        return None
    try:
        url = URL(address)
    except ValueError:
        return None
    found = origin(address)
    return url if found is not None and found in {origin(one) for one in allowed} else None
