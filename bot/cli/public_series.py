"""`public`: articles for all followers of the official account and messages into a group; none of it counts as learning of the staff.

See bot/docs/rules.md A27.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from bot import logs
from bot.channels.base import ignore_note
from bot.channels.config import reveal
from bot.channels.dingtalk.push import Groups
from bot.channels.outbound.apis import dingtalk_api, wechat_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.outbound.tokens import SingleRunTokens
from bot.channels.wechat.series import PublicSeries, SeriesArticle
from bot.cli.context import Apply, As, Json, context
from bot.domain.library.library import Lesson
from bot.domain.message import Refusal, Reply, SendReceipt
from bot.domain.text.dates import find_day
from bot.domain.times import day_of
from bot.settings import Settings
from bot.storage.files.loader import data_root, load_library

T = TypeVar("T")
DRY_RUN_NOTE = "以上是预演，什么都没有发。"
MAX_DIGEST_LENGTH = 54


def draft(
    lesson: Annotated[str, typer.Argument(metavar="编号", help="课的编号")],
    cover: Annotated[str, typer.Option("--cover", metavar="素材", help="封面图片的永久素材 media_id")],
    apply: Apply = False,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """把一课做成公众号图文草稿；加 --apply 才放进草稿箱。"""
    context.take(acting_as=acting_as, as_json=as_json)
    library, _ = load_library(data_root())
    chosen = library.lessons.get(lesson)
    if chosen is None:
        raise Refusal(f"没有编号为 {lesson} 的课。")
    article = lesson_article(chosen, cover)
    if apply:
        context.require_whole_agency()
    media = _with_series(lambda series: series.create_draft([article])) if apply else ""
    if apply:
        context.record("公众号草稿", media, lesson)
    text = [f"《{article.title}》{len(article.html)} 字符", f"草稿 {media}" if apply else DRY_RUN_NOTE]
    context.show({"applied": apply, "title": article.title, "media_id": media}, text)


def preview(
    media: Annotated[str, typer.Argument(metavar="草稿", help="草稿的 media_id")],
    to: Annotated[str, typer.Option("--to", metavar="粉丝", help="看样的粉丝 OpenID")],
    apply: Apply = False,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """把草稿发给一个粉丝看样；加 --apply 才发。"""
    context.take(acting_as=acting_as, as_json=as_json)
    if not apply:
        context.show({"applied": False}, f"将把草稿 {media} 发给 {to} 看样。{DRY_RUN_NOTE}")
        return
    context.require_whole_agency()
    _with_series(lambda series: series.preview(media, to))
    context.record("公众号看样", media, to)
    context.show({"applied": True, "media_id": media}, "已发给看样的人。")


def send(
    media: Annotated[str, typer.Argument(metavar="草稿", help="草稿的 media_id")],
    tag: Annotated[int | None, typer.Option("--tag", metavar="标签", help="只发给这个标签的粉丝")] = None,
    apply: Apply = False,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """群发一个草稿：订阅号一天一次，服务号每人一个月四次；同一草稿重复执行不会发第二遍。"""
    context.take(acting_as=acting_as, as_json=as_json)
    if not apply:
        context.show({"applied": False}, f"将把草稿 {media} 发给{'所有粉丝' if tag is None else f'标签 {tag} 的粉丝'}。{DRY_RUN_NOTE}")
        return
    context.require_whole_agency()
    receipt = _with_series(lambda series: series.send_all(media, f"xuefa-{media}" if tag is None else f"xuefa-{tag}-{media}", tag=tag))
    _report_receipt("公众号群发", media, receipt)


def readers(day: Annotated[str, typer.Argument(metavar="日期", help="群发的日期，如 2026-12-04")], acting_as: As = "", as_json: Json = False) -> None:
    """某天群发的图文送达多少人、多少人看了；只有人数，没有名字。"""
    context.take(acting_as=acting_as, as_json=as_json)
    sent_on = find_day(day, day_of(context.now()), "past")
    if sent_on is None:
        raise Refusal(f"「{day[:20]}」不是日期，应写作 2026-12-04。")
    statistics = _with_series(lambda series: series.readers(sent_on))
    rows = [{"title": article.title, "reached": article.reached, "readers": article.readers, "reads": article.reads} for article in statistics]
    context.show(
        rows,
        [f"《{article.title}》送达 {article.reached} 人，{article.readers} 人阅读 {article.reads} 次" for article in statistics]
        or "这一天没有群发，或平台还没有统计。",
    )


def group(
    text: Annotated[str, typer.Argument(metavar="正文", help="要说的话")], apply: Apply = False, acting_as: As = "", as_json: Json = False
) -> None:
    """让钉钉自定义群机器人在群里说一句话；加 --apply 才说。"""
    context.take(acting_as=acting_as, as_json=as_json)
    settings = context.settings()
    if settings.dingtalk.group_token is None:
        raise Refusal("还没有设置群机器人（BOT_DINGTALK__GROUP_TOKEN 和 GROUP_SECRET）。")
    if not apply:
        context.show({"applied": False}, f"{text}\n{DRY_RUN_NOTE}")
        return

    context.require_whole_agency()

    async def say(outbound: Outbound) -> SendReceipt:
        dingtalk = settings.dingtalk
        api = dingtalk_api(base=dingtalk.api_base, client_id=dingtalk.client_id, client_secret=reveal(dingtalk.client_secret))
        return await Groups(dingtalk, api, outbound, context.now).broadcast(Reply(text))

    _report_receipt("群机器人", "dingtalk", _with_outbound(settings, say))


def lesson_article(lesson: Lesson, cover: str) -> SeriesArticle:
    """A lesson as an article: its pages in order, and where the words come from."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False})
    body = "".join(markdown.render(page) for page in lesson.pages)
    first_page = " ".join(line.lstrip("#- ").strip() for line in lesson.pages[0].splitlines() if line.strip())
    source = markdown.render(f"依据：《{lesson.law}》{'、'.join(lesson.articles)}") if lesson.articles else ""
    return SeriesArticle(lesson.title[:64], body + source, cover, digest=first_page[:MAX_DIGEST_LENGTH])


def _with_series(work: Callable[[PublicSeries], Awaitable[T]]) -> T:
    settings = context.settings()
    on = settings.wechat
    if not settings.is_on("wechat") or not on.verified:
        raise Refusal("公众号还没有设置，或没有认证（BOT_WECHAT__VERIFIED），不能发图文。")

    async def do(outbound: Outbound) -> T:
        return await work(PublicSeries(outbound, wechat_api(base=on.api_base, app_id=on.app_id, secret=reveal(on.secret))))

    return _with_outbound(settings, do)


def _with_outbound(settings: Settings, work: Callable[[Outbound], Awaitable[T]]) -> T:
    logs.configure(settings.secrets(), level=logging.WARNING)

    async def run() -> T:
        async with Outbound(tokens=SingleRunTokens(), clock=context.now, note=ignore_note, holder="cli", secrets=settings.secrets()) as outbound:
            return await work(outbound)

    try:
        return asyncio.run(run())
    except PlatformError as error:
        doubt = "可能已经做了，请到后台看一眼再决定要不要重做" if error.kind == "unknown" else "没有做成"
        raise Refusal(f"平台没有答应（{error}）：{doubt}。") from error


def _report_receipt(action: str, target: str, receipt: SendReceipt) -> None:
    """Note what was said, show it, and end with 1 where it did not surely go out."""
    context.record(action, target, f"{receipt.outcome} {receipt.platform_id} {receipt.error}".strip())
    messages = {
        "sent": "已发出。",
        "unknown": "不知道发出没有：请到后台看一眼，不要直接重发。",
        "later": "现在发不了，什么都没有发。",
        "failed": "没有发出。",
    }
    context.show(
        {"applied": receipt.outcome == "sent", "outcome": receipt.outcome, "id": receipt.platform_id, "error": receipt.error},
        messages[receipt.outcome],
    )
    if receipt.outcome != "sent":
        raise typer.Exit(1)


CLI = {
    "public draft": draft,
    "public preview": preview,
    "public send": send,
    "public readers": readers,
    "public group": group,
}
