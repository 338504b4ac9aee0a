"""Renders a reply as a work notification: its text, and one button that opens our page (bot/docs/protocols.md#zwding-calls)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from bot.channels.dingtalk.reply import escape_markdown
from bot.channels.truncate import truncate_bytes
from bot.channels.zwding.config import NotificationForm
from bot.domain.message import Reply, plain_text

TEXT_BYTES = 2000
"""The limit of one message; the platform documents none, and 钉钉's work notifications have 2,048 bytes."""
TITLE = 20
OPEN = "打开"


def notification_json(reply: Reply, form: NotificationForm, page: str) -> str:
    """The `msg` parameter, a JSON string; plain text where there is no page to open."""
    text = plain_text(reply)
    if not page or form == "text":
        return _json({"msgtype": "text", "text": {"content": shorten(text)}})
    title, url = title_of(reply), page_address(reply, page)
    if form == "link":
        link = {"title": title, "text": shorten(text), "messageUrl": url, "picUrl": ""}
        return _json({"msgtype": "link", "link": link})
    label = reply.buttons[0].label if reply.buttons else OPEN
    card = {"title": title, "markdown": shorten(escape_markdown(text)), "single_title": label[:TITLE], "single_url": url}
    return _json({"msgtype": "action_card", "action_card": card})


def page_address(reply: Reply, page: str) -> str:
    """The address of our page, with the first command of the reply in `say`; the page authenticates the member before it acts."""
    if not reply.buttons:
        return page
    return f"{page}{'&' if '?' in page else '?'}say={quote(reply.buttons[0].say, safe='')}"


def title_of(reply: Reply) -> str:
    head = reply.card.head if reply.card is not None and reply.card.head else reply.text.strip().partition("\n")[0]
    return escape_markdown(head).strip()[:TITLE] or "学法"


def shorten(text: str) -> str:
    """The text, truncated to the limit of one message."""
    return text if len(text.encode()) <= TEXT_BYTES else truncate_bytes(text, TEXT_BYTES - 3) + "…"


def _json(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
