"""A reply in DingTalk's words: plain text, or an ActionCard whose buttons say their text for the person.

See bot/docs/protocols.md#dingtalk-webhook, #dingtalk-robot.

Buttons of an ActionCard open an address; the address `dtmd://dingtalkclient/sendMessage` makes the client send a text as the person. Where that
is not understood nothing is lost: the card holds the whole text, and a typed letter is always heard.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from bot.domain.message import Option, Reply, lettered

TEXT_BYTES = 12_000
"""Of one text message; the robot's parameters may have 15,000 in all."""
CARD_BYTES = 4_000
TITLE = 20
LABEL = 20
MOST_BUTTONS = 5
_INERT = str.maketrans({char: chr(ord(char) + 0xFEE0) for char in "*_#[]<>`~|\\!"})


def webhook(reply: Reply, staff: str, *, group: bool, buttons: bool) -> list[dict[str, Any]]:
    """The messages for a sessionWebhook or an HTTP answer, the first holding what counts; buttons only where one person reads."""
    if buttons and not group and (offered := _offered(reply)) and (text := _card_text(reply)):
        shown = [{"title": option.label[:LABEL], "actionURL": _says(option)} for option in offered]
        return [{"msgtype": "actionCard", "actionCard": {"title": _title(reply), "text": text, "btnOrientation": "0", "btns": shown}}]
    at = {"at": {"atUserIds": [staff], "isAtAll": False}} if group else {}
    return [{"msgtype": "text", "text": {"content": part}, **at} for part in parts(lettered(reply))]


def robot(reply: Reply, *, buttons: bool) -> list[tuple[str, str]]:
    """The same as (msgKey, msgParam) for the robot's own messages."""
    return [as_robot(message) for message in webhook(reply, "", group=False, buttons=buttons)]


def as_robot(message: dict[str, Any]) -> tuple[str, str]:
    """A webhook message in the robot's words; msgParam is a JSON string."""
    if message["msgtype"] == "text":
        return "sampleText", _json(content=message["text"]["content"])
    card = message["actionCard"]
    title, text, shown = card["title"], card["text"], card["btns"]
    if len(shown) == 1:
        return "sampleActionCard", _json(title=title, text=text, singleTitle=shown[0]["title"], singleURL=shown[0]["actionURL"])
    named = {f"actionTitle{n}": button["title"] for n, button in enumerate(shown, 1)}
    leading = {f"actionURL{n}": button["actionURL"] for n, button in enumerate(shown, 1)}
    return f"sampleActionCard{len(shown)}", _json(title=title, text=text, **named, **leading)


def parts(text: str, limit: int = TEXT_BYTES) -> list[str]:
    """The text in pieces of at most `limit` bytes, cut between characters, at a line end where one is near."""
    found = []
    while len(text.encode()) > limit:
        head = cut(text, limit)
        line = head.rfind("\n")
        if line > len(head) // 2:
            head = head[:line]
        found.append(head)
        text = text[len(head) :].lstrip("\n")
    return [*found, text] if text else found


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, never half a character."""
    return text.encode()[:limit].decode("utf-8", "ignore")


def inert(text: str) -> str:
    """Text that means nothing to Markdown: the signs in their wide form, each line a paragraph."""
    return "\n\n".join(line for line in text.translate(_INERT).splitlines() if line.strip())


def _offered(reply: Reply) -> tuple[Option, ...]:
    """The buttons that can be expressed: one tap each, so none for several choices at once; nothing when there are too many."""
    options = reply.ask.options if reply.ask is not None and not reply.ask.several else ()
    every = (*options, *reply.buttons)
    return every if len(every) <= MOST_BUTTONS else options if 0 < len(options) <= MOST_BUTTONS else ()


def _card_text(reply: Reply) -> str:
    """The whole reply as inert Markdown, or nothing when it is too long for a card."""
    text = inert(lettered(reply))
    return text if len(text.encode()) <= CARD_BYTES else ""


def _title(reply: Reply) -> str:
    """What the list of chats shows."""
    head = reply.ask.head if reply.ask is not None and reply.ask.head else reply.text.partition("\n")[0]
    return inert(head.strip().partition("\n")[0])[:TITLE] or "学法"


def _says(option: Option) -> str:
    return f"dtmd://dingtalkclient/sendMessage?content={quote(option.say, safe='')}"


def _json(**param: str) -> str:
    return json.dumps(param, ensure_ascii=False)
