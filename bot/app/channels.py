"""Builds the channels that are configured, each from its own part of the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot.app.build import App
from bot.channels.base import Channel, Token
from bot.channels.config import ChannelContext, reveal
from bot.channels.local import LocalChat, Persona
from bot.channels.outbound.client import Outbound
from bot.domain.message import Refusal
from bot.services.delivery import quota
from bot.settings import CHANNELS, Settings
from bot.storage.db.commits import Busy
from bot.storage.db.engine import driver_errors, is_sqlite
from bot.storage.delivery import outcomes, recipients
from bot.storage.system.tokens import SealedTokens

if TYPE_CHECKING:
    from bot.channels.wechat.push import JobResult

CHAT_PAGE = Path(__file__).resolve().parents[1] / "web" / "chat"
LABELS = {"local": "本地聊天页", "wecom": "企业微信", "wechat": "微信公众号", "dingtalk": "钉钉", "zwding": "专有钉钉"}
QUICK_COMMANDS = ("每日", "学习", "错题", "我的学时", "帮助")
STREAM_LEASE_SECONDS = 45
JOB_LIFE = timedelta(days=2)


def secret_of(settings: Settings, key: str) -> str:
    """The secret that seals a platform token's row; the row's name begins with the platform."""
    secrets = {
        "wecom": settings.wecom.secret,
        "wechat": settings.wechat.secret,
        "dingtalk": settings.dingtalk.client_secret,
        "zwding": settings.zwding.app_secret,
    }
    return reveal(secrets[key.partition(":")[0]])


def build_channels(app: App, outbound: Outbound, tokens: SealedTokens[Token], holder: str, personas: Sequence[Persona] = ()) -> list[Channel]:
    """Every channel that is configured. Raises `Refusal` for settings that a channel cannot work with."""
    settings = app.settings
    factories: dict[str, Callable[[ChannelContext], Channel]] = {
        "wecom": partial(_wecom, app),
        "wechat": partial(_wechat, app),
        "dingtalk": partial(_dingtalk, app, tokens, holder),
        "zwding": partial(_zwding, app),
    }
    channels: list[Channel] = []
    if settings.web.local_chat:
        channels.append(
            LocalChat(CHAT_PAGE, clock=app.clock, note=app.metrics.note, personas=personas, quick=QUICK_COMMANDS, base=settings.base_path)
        )
    for name in CHANNELS:
        if not settings.is_on(name):
            continue
        try:
            channels.append(factories[name](_context(app, outbound, name)))
        except ValueError as wrong:
            raise Refusal(f"{LABELS[name]}的设置不对（{wrong}），请对照平台后台重新填写 BOT_{name.upper()}__… 各项。") from wrong
    for name in LABELS:
        app.metrics.channel_on.labels(name).set(any(channel.name == name for channel in channels))
    return channels


def _context(app: App, outbound: Outbound, name: str) -> ChannelContext:
    return ChannelContext(outbound, app.clock, app.metrics.note, app.reply_quota.for_channel(name), app.settings.limits)


# Each imports its channel itself: a channel that is off costs neither time nor memory.


def _wecom(app: App, context: ChannelContext) -> Channel:
    from bot.channels.wecom.channel import WeComChannel

    return WeComChannel(app.settings.wecom, context)


def _wechat(app: App, context: ChannelContext) -> Channel:
    from bot.channels.wechat.channel import WeChatChannel

    async def window_open(user: str, count: int) -> bool:
        try:
            return await app.database.read(lambda session: recipients.is_wechat_open(session, user, app.clock()))
        except driver_errors(Busy, DBAPIError):
            # The platform keeps the window itself and refuses a message outside it.
            return True

    async def on_job_result(job: JobResult) -> None:
        await app.database.write(lambda session: _record_job_result(session, job, app.clock()))

    return WeChatChannel(app.settings.wechat, context, window_open=window_open, on_job_result=on_job_result)


def _zwding(app: App, context: ChannelContext) -> Channel:
    from bot.channels.zwding.channel import ZwDingChannel

    return ZwDingChannel(app.settings.zwding, context, page=app.settings.public_url.rstrip("/"))


def _record_job_result(session: Session, job: JobResult, now: datetime) -> None:
    """Fail the delivery of a template message that did not arrive; count a mass send's receivers apart from the staff."""
    if job.kind == "mass":
        outcomes.count_public(session, "公众号群发送达", job.sent, now)
        outcomes.count_public(session, "公众号群发失败", job.errors, now)
    elif not job.ok:
        from bot.channels.wechat.push import JOB

        outcomes.mark_failed(session, "wechat", f"{JOB}{job.id}", f"recipient {job.status}", now - JOB_LIFE)


def _dingtalk(app: App, tokens: SealedTokens[Token], holder: str, context: ChannelContext) -> Channel:
    from bot.channels.dingtalk.channel import DingTalkChannel

    dingtalk = app.settings.dingtalk

    async def lease() -> bool:
        return await tokens.lease(f"dingtalk-stream:{dingtalk.client_id}", holder, STREAM_LEASE_SECONDS)

    async def grant_cards(count: int) -> int:
        now = app.clock()
        try:
            return await app.database.write(
                lambda session: quota.grant_cards(session, count, dingtalk.card_calls, now, app.catalog.limits), of="delivery"
            )
        except driver_errors(Busy, DBAPIError):
            # Without the row nobody knows how much of the month's quota is left; plain text costs less of it.
            return 0

    return DingTalkChannel(
        dingtalk,
        context,
        public_url=app.settings.public_url.rstrip("/"),
        grant_cards=grant_cards if dingtalk.card_calls else None,
        # An SQLite file serves one process: the connection is not shared, and after a crash there is no lease to wait for.
        lease=None if is_sqlite(app.database.engine) else lease,
    )
