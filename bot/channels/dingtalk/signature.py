"""Checks signature and timestamp of HTTP callbacks (bot/docs/protocols.md#dingtalk-callbacks)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.channels.callback import require_value
from bot.channels.signature import BadEnvelope


def robot_sign(timestamp: str, secret: str) -> str:
    """The signature of a robot message: base64(HMAC-SHA256(secret, timestamp + newline + secret))."""
    return _sign(secret, f"{timestamp}\n{secret}")


def card_sign(timestamp: str, secret: str) -> str:
    """The signature of a tap on a card: base64(HMAC-SHA256(secret, timestamp))."""
    return _sign(secret, timestamp)


def check_robot(headers: Mapping[str, str], secret: str, now: datetime, freshness: float) -> str:
    """The signed timestamp; raises `BadEnvelope`."""
    timestamp = _fresh_timestamp(headers, "timestamp", now, freshness)
    _check_equal(require_value(headers, "sign", "header"), robot_sign(timestamp, secret))
    return timestamp


def check_card(headers: Mapping[str, str], secret: str, now: datetime, freshness: float) -> str:
    """The signed timestamp; raises `BadEnvelope`."""
    timestamp = _fresh_timestamp(headers, "x-ddpaas-signature-timestamp", now, freshness)
    _check_equal(require_value(headers, "x-ddpaas-signature", "header"), card_sign(timestamp, secret))
    return timestamp


def _sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _check_equal(given: str, right: str) -> None:
    if not hmac.compare_digest(given.encode("utf-8", "replace"), right.encode()):
        raise BadEnvelope("signature")


def _fresh_timestamp(headers: Mapping[str, str], name: str, now: datetime, freshness: float) -> str:
    """The header's time in ms, no further from now than `freshness` seconds."""
    timestamp = require_value(headers, name, "header")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 13):
        raise BadEnvelope("timestamp")
    # Ten digits are seconds, up to the year 2286; more are milliseconds.
    age = now.timestamp() - (int(timestamp) / 1000 if len(timestamp) > 10 else int(timestamp))
    if abs(age) > timedelta(seconds=freshness).total_seconds():
        raise BadEnvelope("stale")
    return timestamp
