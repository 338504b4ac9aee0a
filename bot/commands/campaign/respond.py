"""已阅 and 投票: what somebody answers to a push."""

from __future__ import annotations

import re

from bot.commands.router import Context, command
from bot.commands.say import RECORDED, REFUSED
from bot.domain.content import LETTERS, Content
from bot.domain.message import Refusal, Reply
from bot.domain.times import chinese_day, day_of
from bot.storage import campaign as rows
from bot.storage import responses
from bot.storage.campaign import Occurrence

TEST = Reply("这是试发，不计入。正式发出后，收到的人点这里就算数。")


def _asked(ctx: Context, said: str, example: str) -> Occurrence | None:
    """The occurrence that a number names; None for a test send. One that was never there is answered like one that was not for the sender."""
    found = re.fullmatch(r"#?(\d{1,9})", said)
    if found is None:
        raise Refusal(f"请写通知上的编号，例如「{example}」。")
    if int(found[1]) == 0:
        return None
    made = rows.occurrence(ctx.session, int(found[1]))
    if made is None or made.content is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{found[1]}）。")
    if made.state != "fired":
        raise Refusal(f"{REFUSED}：「{made.name}」已经撤回，不用再回复。")
    return made


@command("已阅", takes="<编号>")
def read(ctx: Context, said: str) -> Reply:
    """告诉单位您看过了一条通知：“已阅 12”。"""
    made = _asked(ctx, said, "已阅 12")
    if made is None:
        return TEST
    first = responses.read(ctx.session, made.id, ctx.me.id, ctx.now)
    if first is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{said}）。")
    head = (made.content.title or made.content.text).split("\n")[0][:24] if made.content else made.name
    return Reply(f"{RECORDED}：{chinese_day(day_of(made.due))}「{head}」已阅{'' if first else '（之前已经点过）'}。", done="已阅")


@command("投票", takes="<编号 选项>")
def vote(ctx: Context, said: str) -> Reply:
    """给投票选一项：“投票 12 A”；以第一次为准。"""
    first, _, choice = said.partition(" ")
    made = _asked(ctx, first, "投票 12 A")
    if made is None:
        return TEST
    asked = made.content
    if asked is None or asked.kind != "poll":
        raise Refusal(f"{REFUSED}：「{made.name}」不是投票。")
    letter = _letter(asked, choice.strip())
    stands = responses.vote(ctx.session, made.id, ctx.me.id, letter, ctx.now)
    if stands is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{first}）。")
    name = asked.options[LETTERS.index(stands)]
    if stands != letter:
        raise Refusal(f"{REFUSED}：您已经选过 {stands}. {name}，以第一次为准。")
    return Reply(f"{RECORDED}：您选了 {stands}. {name}。", done=f"已选 {stands}")


def _letter(asked: Content, said: str) -> str:
    letters = LETTERS[: len(asked.options)]
    if len(said) == 1 and said.upper() in letters:
        return said.upper()
    if said in asked.options:
        return letters[asked.options.index(said)]
    raise Refusal(f"{REFUSED}：请选 {'/'.join(letters)} 之一，例如「投票 12 A」。")
