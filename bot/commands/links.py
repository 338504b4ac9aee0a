"""Sends links to our own pages in the chat, and closes the pages that were opened by them."""

from __future__ import annotations

from bot.commands.router import Context, command
from bot.domain.links import PURPOSES
from bot.domain.message import Reply
from bot.services import links


def link_lines(ctx: Context, purpose: str, ref: str = "") -> str:
    """A one-time link to a page, for the sender alone, with what has to be known about it. Raises `Refusal` as `create_link` does.

    Whoever opens a link is taken for the one it was made for, so nobody else may read it: the dispatcher answers no such command in a group.
    """
    address = links.create_link(ctx.session, ctx.pages, purpose, ref, ctx.me, ctx.incoming.sender, ctx.now)
    return f"在网页上打开{PURPOSES[purpose].title}：\n{address}\n链接 10 分钟内有效，只能打开一次，请不要转发。"


@command("退出网页")
def close_pages(ctx: Context, _: str) -> Reply:
    """关上您打开着的网页（考试、管理页面），换手机或借用电脑后可用。"""
    ended = links.end_all_visits(ctx.session, ctx.me.id, ctx.now)
    if not ended:
        return Reply("您没有打开着的网页；还没打开的链接也已作废。")
    return Reply(f"已关上您打开着的 {ended} 个网页，还没打开的链接也已作废。已经记录的都还在。")
