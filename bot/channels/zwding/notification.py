"""What a work notification says: the whole text, and one button that opens our page (bot/docs/protocols.md#zwding-calls)."""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import quote

from bot.channels.dingtalk.reply import escape_markdown, truncate_bytes
from bot.domain.message import Reply, lettered

TEXT_BYTES = 2000
"""Of one message; the platform states no limit, its sibling's work notifications have 2,048."""
TITLE = 20
OPEN = "打开"

Form = Literal["action_card", "link", "text"]


def notification_json(reply: Reply, form: Form, page: str) -> str:
    """The `msg` parameter, a JSON string. Without a page there is nothing to open and it is plain text."""
    text = lettered(reply)
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
    """Our page, told by `say` which command the reply offers first; the page asks who it is before it does anything."""
    if not reply.buttons:
        return page
    return f"{page}{'&' if '?' in page else '?'}say={quote(reply.buttons[0].say, safe='')}"


def title_of(reply: Reply) -> str:
    head = reply.ask.head if reply.ask is not None and reply.ask.head else reply.text.strip().partition("\n")[0]
    return escape_markdown(head).strip()[:TITLE] or "学法"


def shorten(text: str) -> str:
    """What one message holds; the page has the rest."""
    return text if len(text.encode()) <= TEXT_BYTES else truncate_bytes(text, TEXT_BYTES - 3) + "…"


def _json(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
