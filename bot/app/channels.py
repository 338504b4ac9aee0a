"""Builds the channels that are configured, each from plain values of the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot.app.build import App
from bot.channels.base import Channel, Token
from bot.channels.dingtalk.channel import DingTalkChannel
from bot.channels.local import LocalChat, Persona
from bot.channels.outbound.client import Outbound
from bot.channels.wechat.channel import WeChatChannel
from bot.channels.wechat.push import JOB, JobResult, TemplateNotice
from bot.channels.wecom.channel import WeComChannel
from bot.channels.zwding.channel import ZwDingChannel
from bot.channels.zwding.gateway import Gateway
from bot.domain.message import Refusal
from bot.services.delivery import quota_count
from bot.settings import CHANNELS, Settings
from bot.storage.db.engine import DRIVER_ERRORS, is_sqlite
from bot.storage.db.writer import Busy
from bot.storage.delivery import wechat_window
from bot.storage.system.tokens import SealedTokens

CHAT_PAGE = Path(__file__).resolve().parents[1] / "web" / "chat"
LABELS = {"local": "本地聊天页", "wecom": "企业微信", "wechat": "微信公众号", "dingtalk": "钉钉", "zwding": "专有钉钉"}
QUICK_COMMANDS = ("每日", "学习", "错题", "我的学时", "帮助")
STREAM_LEASE_SECONDS = 45
JOB_LIFE = timedelta(days=2)
DATABASE_ERRORS = (Busy, DBAPIError, *DRIVER_ERRORS)

T = TypeVar("T", bound=Channel)


def secret_of(settings: Settings, key: str) -> str:
    """The secret that seals a platform token's row; the row's name begins with the platform."""
    secrets = {
        "wecom": settings.wecom.secret,
        "wechat": settings.wechat.secret,
        "dingtalk": settings.dingtalk.client_secret,
        "zwding": settings.zwding.app_secret,
    }
    return _reveal(secrets[key.partition(":")[0]])


def build_channels(app: App, outbound: Outbound, tokens: SealedTokens[Token], holder: str, personas: Sequence[Persona] = ()) -> list[Channel]:
    """Every channel that is configured. Raises `Refusal` for settings that a channel cannot work with."""
    factories: dict[str, Callable[[], Channel]] = {
        "wecom": lambda: _wecom(app, outbound),
        "wechat": lambda: _wechat(app, outbound),
        "dingtalk": lambda: _dingtalk(app, outbound, tokens, holder),
        "zwding": lambda: _zwding(app, outbound),
    }
    channels: list[Channel] = []
    if app.settings.web.local_chat:
        channels.append(LocalChat(CHAT_PAGE, clock=app.clock, note=app.metrics.note, personas=personas, quick=QUICK_COMMANDS))
    for name in CHANNELS:
        if not app.settings.is_on(name):
            continue
        try:
            channels.append(factories[name]())
        except ValueError as wrong:
            raise Refusal(f"{LABELS[name]}的设置不对（{wrong}），请对照平台后台重新填写 BOT_{name.upper()}__… 各项。") from wrong
    for name in LABELS:
        app.metrics.channel_on.labels(name).set(any(channel.name == name for channel in channels))
    return channels


def _wecom(app: App, outbound: Outbound) -> WeComChannel:
    wecom, limits = app.settings.wecom, app.settings.limits
    return WeComChannel(
        corp_id=wecom.corp_id,
        agent_id=wecom.agent_id,
        secret=_reveal(wecom.secret),
        token=_reveal(wecom.token),
        aes_key=_reveal(wecom.aes_key),
        api_base=wecom.api_base,
        cards=wecom.cards,
        markdown=wecom.markdown,
        page=wecom.page,
        outbound=outbound,
        clock=app.clock,
        note=app.metrics.note,
        spending=app.meter.for_channel("wecom"),
        reply_seconds=limits.reply_seconds,
        freshness=limits.freshness_seconds,
        body_cap=limits.callback_bytes,
    )


def _wechat(app: App, outbound: Outbound) -> WeChatChannel:
    wechat, limits = app.settings.wechat, app.settings.limits

    async def window_open(user: str, count: int) -> bool:
        try:
            return await app.database.read(lambda session: wechat_window.is_wechat_open(session, user, app.clock()))
        except DATABASE_ERRORS:
            # The platform keeps the window itself and refuses a message outside it.
            return True

    async def on_job_result(job: JobResult) -> None:
        await app.database.write(lambda session: _record_job_result(session, job, app.clock()))

    return WeChatChannel(
        app_id=wechat.app_id,
        secret=_reveal(wechat.secret),
        token=_reveal(wechat.token),
        aes_key=_reveal(wechat.aes_key),
        api_base=wechat.api_base,
        verified=wechat.verified,
        template=TemplateNotice.parse(wechat.template, wechat.template_fields, wechat.template_url),
        subscription=TemplateNotice.parse(wechat.subscription, wechat.subscription_fields, wechat.subscription_page),
        window_open=window_open,
        on_job_result=on_job_result,
        outbound=outbound,
        clock=app.clock,
        note=app.metrics.note,
        spending=app.meter.for_channel("wechat"),
        reply_seconds=limits.reply_seconds,
        freshness=limits.freshness_seconds,
        body_cap=limits.callback_bytes,
    )


def _record_job_result(session: Session, job: JobResult, now: datetime) -> None:
    """Fail the delivery of a template message that did not arrive; count a mass send's receivers apart from the staff."""
    if job.kind == "mass":
        wechat_window.count_public(session, "公众号群发送达", job.sent, now)
        wechat_window.count_public(session, "公众号群发失败", job.errors, now)
    elif not job.ok:
        wechat_window.mark_failed(session, "wechat", f"{JOB}{job.id}", f"recipient {job.status}", now - JOB_LIFE)


def _dingtalk(app: App, outbound: Outbound, tokens: SealedTokens[Token], holder: str) -> DingTalkChannel:
    dingtalk, limits, public_url = app.settings.dingtalk, app.settings.limits, app.settings.public_url.rstrip("/")

    async def lease() -> bool:
        return await tokens.lease(f"dingtalk-stream:{dingtalk.client_id}", holder, STREAM_LEASE_SECONDS)

    async def grant_cards(count: int) -> int:
        now = app.clock()
        try:
            return await app.database.write(
                lambda session: quota_count.grant_cards(session, count, dingtalk.card_calls, now, app.catalog.limits), of="delivery"
            )
        except DATABASE_ERRORS:
            # Without the row nobody knows how much of the month's quota is left; plain text costs less of it.
            return 0

    return DingTalkChannel(
        client_id=dingtalk.client_id,
        client_secret=_reveal(dingtalk.client_secret),
        robot_code=dingtalk.robot_code,
        mode=dingtalk.mode,
        api_base=dingtalk.api_base,
        oapi_base=dingtalk.oapi_base,
        card_template=dingtalk.card_template,
        agent_id=dingtalk.agent_id,
        grant_cards=grant_cards if dingtalk.card_calls else None,
        group_token=_reveal(dingtalk.group_token),
        group_secret=_reveal(dingtalk.group_secret),
        callback_url=f"{public_url}/channels/dingtalk/card" if public_url else "",
        outbound=outbound,
        clock=app.clock,
        note=app.metrics.note,
        spending=app.meter.for_channel("dingtalk"),
        reply_seconds=limits.reply_seconds,
        freshness=float(limits.freshness_seconds),
        body_cap=limits.callback_bytes,
        # An SQLite file serves one process: the connection is not shared, and after a crash there is no lease to wait for.
        lease=None if is_sqlite(app.database.engine) else lease,
    )


def _zwding(app: App, outbound: Outbound) -> ZwDingChannel:
    zwding, limits, public_url = app.settings.zwding, app.settings.limits, app.settings.public_url.rstrip("/")
    gateway = Gateway(
        base=zwding.gateway,
        app_key=zwding.app_key,
        app_secret=_reveal(zwding.app_secret),
        tenant_id=zwding.tenant_id,
        prefix=zwding.prefix,
        sign_prefix=zwding.sign_prefix,
        header_prefix=zwding.header_prefix,
        key_header=zwding.key_header,
        caller_ip=zwding.caller_ip,
        caller_mac=zwding.caller_mac,
        ca_file=zwding.ca_file,
        token_path=zwding.token_path,
        notify_path=zwding.notify_path,
        change_path=zwding.change_path,
        revoke_path=zwding.revoke_path,
        login_path=zwding.login_path,
    )
    return ZwDingChannel(
        gateway=gateway,
        outbound=outbound,
        clock=app.clock,
        note=app.metrics.note,
        spending=app.meter.for_channel("zwding"),
        page=zwding.page or public_url,
        form=zwding.form,
        receivers=zwding.receivers,
        callback_secret=_reveal(zwding.callback_secret),
        sender_field=zwding.sender_field,
        reply_seconds=limits.reply_seconds,
        freshness=float(limits.freshness_seconds),
        body_cap=limits.callback_bytes,
    )


def _reveal(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
