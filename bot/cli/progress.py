"""`campaign progress`: a bar while a campaign goes out, then who was not reached and why. `campaign budget`: what the platforms still allow."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from sqlmodel import Session

from bot.cli.campaign import Id, group
from bot.cli.common import Json, engine_of, now, progress, read_settings, reading, show
from bot.domain.campaign import DELIVERY_LABELS
from bot.domain.preference import CHANNELS
from bot.services import delivery
from bot.services.delivery import Progress
from bot.storage import budget, recipients
from bot.storage.db import Desk
from bot.storage.tables import stamp

EVERY = 0.5
UNITS = {"call": "次调用", "message": "人次"}


def _plain(found: Progress) -> dict[str, Any]:
    return {
        "campaign": found.campaign_id,
        "name": found.name,
        "occurrence": found.occurrence_id,
        "due": stamp(found.due),
        "counts": dict(found.counts),
        "whole": found.whole,
        "ended": found.ended,
        "reasons": [{"state": state, "reason": reason, "count": count} for state, reason, count in found.reasons],
        "missed": [asdict(one) for one in found.missed],
    }


@group.command("progress")
def progress_(
    campaign_id: Id,
    watch: Annotated[bool, typer.Option("--watch/--once", help="一直看到发完；--once 只看一眼")] = True,
    as_json: Json = False,
) -> None:
    """看一个活动最近一次发到哪里了：进度条、各状态人数、没有送达的名单和原因。"""
    desk = Desk(engine_of(read_settings()))
    try:
        found = desk.read_now(lambda session: delivery.progress(session, campaign_id))
        if watch and not as_json and not found.is_over and progress.is_terminal:
            found = _watched(desk, found)
    finally:
        desk.engine.dispose()
    show(_plain(found), as_json, str(found))


@group.command("budget")
def budget_(as_json: Json = False) -> None:
    """各平台的额度：允许多少、机器人最多用多少（80%）、已用多少、还剩多少。"""
    limits = [limit for limit in read_settings().platform_limits if not limit.per_person]

    def look(session: Session) -> list[dict[str, Any]]:
        accounts = recipients.accounts_on(session)
        left = budget.left(session, limits, accounts, now())
        rooms = {limit.key(): limit.room(accounts.get(limit.channel, 0)) for limit in limits}
        return [
            {
                "name": limit.key(),
                "allowed": limit.most,
                "each_account": limit.each_account,
                "room": rooms[limit.key()],
                "used": rooms[limit.key()] - left[limit.key()],
                "left": left[limit.key()],
            }
            for limit in limits
        ]

    found = reading(look)
    lines = [
        f"{CHANNELS[limit.channel]}　{limit.title}　平台允许 {limit.most} {UNITS[limit.unit]}{'（每个账号）' if limit.each_account else ''}，"
        f"最多用 {one['room']}，已用 {one['used']}，还剩 {one['left']}"
        for limit, one in zip(limits, found, strict=True)
    ]
    show(found, as_json, [*lines, "允许数与公开标准不同的，写进 BOT_LIMITS__PLATFORM，例如 dingtalk/corp/month=205000。"])


def _watched(desk: Desk, found: Progress) -> Progress:
    """The bar, until everything has ended or somebody presses Ctrl+C."""
    campaign_id = found.campaign_id

    def look(session: Session) -> Progress:
        return delivery.progress(session, campaign_id)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[states]}"))
    try:
        with Bar(*columns, console=progress) as shown:
            task = shown.add_task(found.name, total=found.whole, completed=found.ended, states="")
            while not found.is_over:
                time.sleep(EVERY)
                found = desk.read_now(look)
                states = " ".join(f"{DELIVERY_LABELS[state]} {count}" for state, count in sorted(found.counts.items()))
                shown.update(task, total=found.whole, completed=found.ended, states=states)
    except KeyboardInterrupt:
        progress.print("不再看了，发送照常进行。", markup=False, highlight=False)
    return found
