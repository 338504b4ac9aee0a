"""The public series: drafts and mass sends to all followers, with readers counted apart from the staff (bot/docs/rules.md A27).

Readers are not signed in: reading creates no answers, hours or people. Mass sends are few (a 订阅号 has one a day, a follower of a 服务号 gets four a
month), so nothing here repeats one by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bot.channels.batch_push import error_receipt
from bot.channels.outbound.apis import Api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.domain.message import SendReceipt

DRAFT = "/cgi-bin/draft/add"
DROP = "/cgi-bin/draft/delete"
SEND_ALL = "/cgi-bin/message/mass/sendall"
PREVIEW = "/cgi-bin/message/mass/preview"
DELETE = "/cgi-bin/message/mass/delete"
READERS = "/datacube/getarticletotal"
MASS = "m:"
TITLE, DIGEST, MARK_BYTES = 64, 120, 64


@dataclass(frozen=True, slots=True)
class SeriesArticle:
    """One article of a draft; `cover` is the id of a permanent picture, `html` its body, `source` the address behind 阅读原文."""

    title: str
    html: str
    cover: str
    digest: str = ""
    author: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ReaderCounts:
    """How many followers an article was sent to and how many people opened it, up to a day; without names, and not of the staff."""

    title: str
    reached: int
    readers: int
    reads: int


class PublicSeries:
    """Drafts and mass sends of the account; methods raise `PlatformError`, except `send_all`, which returns a receipt."""

    def __init__(self, outbound: Outbound, api: Api) -> None:
        self._outbound = outbound
        self._api = api

    async def create_draft(self, articles: Sequence[SeriesArticle]) -> str:
        """Create a draft of one to eight articles, which an administrator can view in the console; its media id."""
        if not 1 <= len(articles) <= 8 or any(not article.title or len(article.title) > TITLE or not article.cover for article in articles):
            raise PlatformError("content", "articles", "one to eight articles, each with a title of at most 64 characters and a cover")
        entries = [
            {
                "title": entry.title,
                "author": entry.author,
                "digest": entry.digest[:DIGEST],
                "content": entry.html,
                "content_source_url": entry.source,
                "thumb_media_id": entry.cover,
                "need_open_comment": 0,
            }
            for entry in articles
        ]
        answer = await self._outbound.call(self._api, "POST", DRAFT, json={"articles": entries})
        if not isinstance(media := answer.get("media_id"), str) or not media:
            raise PlatformError("unknown", "no-media-id", "the answer names no draft")
        return media

    async def delete_draft(self, media: str) -> None:
        await self._outbound.call(self._api, "POST", DROP, json={"media_id": media})

    async def preview(self, media: str, to: str) -> None:
        """Send the draft to one follower."""
        await self._outbound.call(self._api, "POST", PREVIEW, json={"touser": to, "mpnews": {"media_id": media}, "msgtype": "mpnews"})

    async def send_all(self, media: str, mark: str, *, tag: int | None = None) -> SendReceipt:
        """Send to all followers, or to those with a tag. By `mark` (at most 64 bytes) the platform recognises a repeated call (45065)."""
        body: dict[str, Any] = {
            "filter": {"is_to_all": tag is None, **({} if tag is None else {"tag_id": tag})},
            "mpnews": {"media_id": media},
            "msgtype": "mpnews",
            "send_ignore_reprint": 0,
            "clientmsgid": mark.encode()[:MARK_BYTES].decode(errors="ignore"),
        }
        try:
            answer = await self._outbound.call(self._api, "POST", SEND_ALL, json=body)
        except PlatformError as wrong:
            if wrong.code == "45065":
                return SendReceipt("sent", error="sent before under this mark")
            return error_receipt(wrong)
        return SendReceipt("sent", platform_id=f"{MASS}{answer.get('msg_id', '')}")

    async def recall(self, platform_id: str) -> None:
        """Delete a mass send, for those who have not opened it yet."""
        await self._outbound.call(self._api, "POST", DELETE, json={"msg_id": int(platform_id.removeprefix(MASS)), "article_idx": 0})

    async def readers(self, day: date) -> list[ReaderCounts]:
        """The platform's counts for the articles sent on a day, so far."""
        answer = await self._outbound.call(self._api, "POST", READERS, json={"begin_date": day.isoformat(), "end_date": day.isoformat()})
        listed = answer.get("list")
        return [_readers(article) for article in listed if isinstance(article, dict)] if isinstance(listed, list) else []


def _readers(article: dict[str, Any]) -> ReaderCounts:
    days = article.get("details")
    last = (
        max((day for day in days if isinstance(day, dict)), key=lambda one: str(one.get("stat_date", "")), default={})
        if isinstance(days, list)
        else {}
    )
    return ReaderCounts(
        str(article.get("title", "")), _number(last, "target_user"), _number(last, "int_page_read_user"), _number(last, "int_page_read_count")
    )


def _number(counts: dict[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
