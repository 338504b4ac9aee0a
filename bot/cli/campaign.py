"""`campaign progress` shows a bar while a campaign goes out, then who was not reached and why; `campaign budget` what the platforms still allow."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.cli.context import As, Json, console, context, note
from bot.domain.campaign.campaign import DELIVERY_LABELS
from bot.domain.people.person import CHANNELS
from bot.services.campaign import manage
from bot.services.delivery import progress as delivery_progress
from bot.services.delivery.progress import DeliveryProgress
from bot.storage.db.database import Database
from bot.storage.delivery import quota, recipients
from bot.storage.tables.columns import stamp

Id = Annotated[int, typer.Argument(metavar="编号", help="活动编号")]

REFRESH_SECONDS = 0.5
UNITS = {"call": "次调用", "message": "人次"}


def _progress_json(latest: DeliveryProgress) -> dict[str, Any]:
    return {
        "campaign": latest.campaign_id,
        "name": latest.name,
        "occurrence": latest.occurrence_id,
        "due": stamp(latest.due),
        "counts": dict(latest.counts),
        "whole": latest.total,
        "ended": latest.ended,
        "reasons": [{"state": state, "reason": reason, "count": count} for state, reason, count in latest.reasons],
        "missed": [asdict(person) for person in latest.missed],
    }


def progress_command(
    campaign_id: Id,
    watch: Annotated[bool, typer.Option("--watch/--once", help="一直看到发完；--once 只看一眼")] = True,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """看一个活动最近一次发到哪里了：进度条、各状态人数、没有送达的名单和原因。"""
    context.take(acting_as=acting_as, as_json=as_json)
    database = Database(context.engine())

    def look(session: Session) -> DeliveryProgress:
        manage.require_campaign(session, context.author(session), campaign_id)
        return delivery_progress.latest_progress(session, campaign_id)

    try:
        latest = database.read_now(look)
        if watch and not as_json and not latest.is_over and sys.stderr.isatty():
            latest = _watch(database, latest)
    finally:
        database.engine.dispose()
    context.show(_progress_json(latest), str(latest))


def budget_command(acting_as: As = "", as_json: Json = False) -> None:
    """各平台的额度：允许多少、机器人最多用多少（80%）、已用多少、还剩多少。"""
    context.take(acting_as=acting_as, as_json=as_json)
    limits = [limit for limit in context.settings().platform_limits if not limit.per_person]

    def look(session: Session) -> list[dict[str, Any]]:
        accounts = recipients.count_accounts(session)
        left = quota.remaining(session, limits, accounts, context.now())
        rooms = {limit.key(): limit.usable(accounts.get(limit.channel, 0)) for limit in limits}
        return [
            {
                "name": limit.key(),
                "allowed": limit.allowed,
                "each_account": limit.each_account,
                "room": rooms[limit.key()],
                "used": rooms[limit.key()] - left[limit.key()],
                "left": left[limit.key()],
            }
            for limit in limits
        ]

    usage = context.reading(look)
    lines = [
        f"{CHANNELS[limit.channel]}　{limit.title}　平台允许 {limit.allowed} {UNITS[limit.unit]}{'（每个账号）' if limit.each_account else ''}，"
        f"最多用 {used['room']}，已用 {used['used']}，还剩 {used['left']}"
        for limit, used in zip(limits, usage, strict=True)
    ]
    context.show(usage, [*lines, "允许数与公开标准不同的，写进 BOT_LIMITS__PLATFORM，例如 dingtalk/corp/month=205000。"])


def _watch(database: Database, latest: DeliveryProgress) -> DeliveryProgress:
    """The bar, until everything has ended or somebody presses Ctrl+C."""
    campaign_id = latest.campaign_id

    def look(session: Session) -> DeliveryProgress:
        return delivery_progress.latest_progress(session, campaign_id)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[states]}"))
    try:
        with Progress(*columns, console=console()) as bar:
            task = bar.add_task(latest.name, total=latest.total, completed=latest.ended, states="")
            while not latest.is_over:
                context.sleep(REFRESH_SECONDS)
                latest = database.read_now(look)
                states = " ".join(f"{DELIVERY_LABELS[state]} {count}" for state, count in sorted(latest.counts.items()))
                bar.update(task, total=latest.total, completed=latest.ended, states=states)
    except KeyboardInterrupt:
        note("不再看了，发送照常进行。")
    return latest


CLI = {"campaign progress": progress_command, "campaign budget": budget_command}
