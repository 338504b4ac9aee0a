"""Keeping secrets out of what is logged and raised."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
LONGEST = 500

_NAMES = r"access_token|accesstoken|corpsecret|appsecret|clientsecret|client_secret|api_?secret|secret|session|ticket|x-acs-dingtalk-access-token"
_PAIRS = re.compile(rf"""(?i)\b({_NAMES})(["']?\s*[=:]\s*["']?)([^&\s"',;}}]+)""")


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given values and without what stands behind names like access_token=, on one line of at most 500 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    text = _PAIRS.sub(rf"\1\2{MASK}", text)
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST]
