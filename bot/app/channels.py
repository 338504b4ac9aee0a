"""The channels whose settings are there, each built from plain values."""

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
from bot.storage.delivery import quota
from bot.storage.system.tokens import SealedTokens

PAGE = Path(__file__).resolve().parents[1] / "web" / "chat"
LABELS = {"local": "本地聊天页", "wecom": "企业微信", "wechat": "微信公众号", "dingtalk": "钉钉", "zwding": "专有钉钉"}
QUICK = ("每日", "学习", "错题", "我的学时", "帮助")
STREAM_LEASE_SECONDS = 45
JOB_LIFE = timedelta(days=2)
UNREADABLE = (Busy, DBAPIError, *DRIVER_ERRORS)

T = TypeVar("T", bound=Channel)


def secret_of(settings: Settings, key: str) -> str:
    """The secret of the app that a token's row belongs to; the row's name begins with the platform."""
    secrets = {
        "wecom": settings.wecom.secret,
        "wechat": settings.wechat.secret,
        "dingtalk": settings.dingtalk.client_secret,
        "zwding": settings.zwding.app_secret,
    }
    return _plain(secrets[key.partition(":")[0]])


def channels_on(house: App, outbound: Outbound, tokens: SealedTokens[Token], holder: str, personas: Sequence[Persona] = ()) -> list[Channel]:
    """Every channel that is on. Raises `Refusal` for settings that a channel cannot work with."""
    makers: dict[str, Callable[[], Channel]] = {
        "wecom": lambda: _wecom(house, outbound),
        "wechat": lambda: _wechat(house, outbound),
        "dingtalk": lambda: _dingtalk(house, outbound, tokens, holder),
        "zwding": lambda: _zwding(house, outbound),
    }
    found: list[Channel] = []
    if house.settings.web.local_chat:
        found.append(LocalChat(PAGE, clock=house.clock, note=house.metrics.note, personas=personas, quick=QUICK))
    for name in CHANNELS:
        if not house.settings.is_on(name):
            continue
        try:
            found.append(makers[name]())
        except ValueError as wrong:
            raise Refusal(f"{LABELS[name]}的设置不对（{wrong}），请对照平台后台重新填写 BOT_{name.upper()}__… 各项。") from wrong
    for name in LABELS:
        house.metrics.channel_on.labels(name).set(any(channel.name == name for channel in found))
    return found


def _wecom(house: App, outbound: Outbound) -> WeComChannel:
    on, limits = house.settings.wecom, house.settings.limits
    return WeComChannel(
        corp_id=on.corp_id,
        agent_id=on.agent_id,
        secret=_plain(on.secret),
        token=_plain(on.token),
        aes_key=_plain(on.aes_key),
        api_base=on.api_base,
        cards=on.cards,
        markdown=on.markdown,
        page=on.page,
        outbound=outbound,
        clock=house.clock,
        note=house.metrics.note,
        spending=house.meter.for_channel("wecom"),
        reply_seconds=limits.reply_seconds,
        freshness=limits.freshness_seconds,
        body_cap=limits.callback_bytes,
    )


def _wechat(house: App, outbound: Outbound) -> WeChatChannel:
    on, limits = house.settings.wechat, house.settings.limits

    async def may_say(user: str, count: int) -> bool:
        try:
            return await house.database.read(lambda session: quota.is_wechat_open(session, user, house.clock()))
        except UNREADABLE:
            # The platform knows it too, and says so.
            return True

    async def finished(job: JobResult) -> None:
        await house.database.write(lambda session: _finished(session, job, house.clock()))

    return WeChatChannel(
        app_id=on.app_id,
        secret=_plain(on.secret),
        token=_plain(on.token),
        aes_key=_plain(on.aes_key),
        api_base=on.api_base,
        verified=on.verified,
        template=TemplateNotice.of(on.template, on.template_fields, on.template_url),
        subscription=TemplateNotice.of(on.subscription, on.subscription_fields, on.subscription_page),
        may_say=may_say,
        finished=finished,
        outbound=outbound,
        clock=house.clock,
        note=house.metrics.note,
        spending=house.meter.for_channel("wechat"),
        reply_seconds=limits.reply_seconds,
        freshness=limits.freshness_seconds,
        body_cap=limits.callback_bytes,
    )


def _finished(session: Session, job: JobResult, now: datetime) -> None:
    """A template that did not arrive fails its delivery; what a mass send reached is counted apart from the staff."""
    if job.kind == "mass":
        quota.count_public(session, "公众号群发送达", job.sent, now)
        quota.count_public(session, "公众号群发失败", job.errors, now)
    elif not job.ok:
        quota.mark_failed(session, "wechat", f"{JOB}{job.id}", f"recipient {job.status}", now - JOB_LIFE)


def _dingtalk(house: App, outbound: Outbound, tokens: SealedTokens[Token], holder: str) -> DingTalkChannel:
    on, limits, public = house.settings.dingtalk, house.settings.limits, house.settings.public_url.rstrip("/")

    async def lease() -> bool:
        return await tokens.lease(f"dingtalk-stream:{on.client_id}", holder, STREAM_LEASE_SECONDS)

    async def may_card(count: int) -> int:
        now = house.clock()
        try:
            return await house.database.write(
                lambda session: quota_count.grant_cards(session, count, on.card_calls, now, house.catalog.limits), of="delivery"
            )
        except UNREADABLE:
            # Without the row nobody knows what is left of the month; words cost less.
            return 0

    return DingTalkChannel(
        client_id=on.client_id,
        client_secret=_plain(on.client_secret),
        robot_code=on.robot_code,
        mode=on.mode,
        api_base=on.api_base,
        oapi_base=on.oapi_base,
        card_template=on.card_template,
        agent_id=on.agent_id,
        may_card=may_card if on.card_calls else None,
        group_token=_plain(on.group_token),
        group_secret=_plain(on.group_secret),
        callback_url=f"{public}/channels/dingtalk/card" if public else "",
        outbound=outbound,
        clock=house.clock,
        note=house.metrics.note,
        spending=house.meter.for_channel("dingtalk"),
        reply_seconds=limits.reply_seconds,
        freshness=float(limits.freshness_seconds),
        body_cap=limits.callback_bytes,
        # One file has one process: nobody to share the connection with, and nobody's lease to wait for after a crash.
        lease=None if is_sqlite(house.database.engine) else lease,
    )


def _zwding(house: App, outbound: Outbound) -> ZwDingChannel:
    on, limits, public = house.settings.zwding, house.settings.limits, house.settings.public_url.rstrip("/")
    gateway = Gateway(
        base=on.gateway,
        app_key=on.app_key,
        app_secret=_plain(on.app_secret),
        tenant_id=on.tenant_id,
        prefix=on.prefix,
        sign_prefix=on.sign_prefix,
        header_prefix=on.header_prefix,
        key_header=on.key_header,
        caller_ip=on.caller_ip,
        caller_mac=on.caller_mac,
        ca_file=on.ca_file,
        token_path=on.token_path,
        notify_path=on.notify_path,
        change_path=on.change_path,
        revoke_path=on.revoke_path,
        login_path=on.login_path,
    )
    return ZwDingChannel(
        gateway=gateway,
        outbound=outbound,
        clock=house.clock,
        note=house.metrics.note,
        spending=house.meter.for_channel("zwding"),
        page=on.page or public,
        form=on.form,
        receivers=on.receivers,
        callback_secret=_plain(on.callback_secret),
        sender_field=on.sender_field,
        reply_seconds=limits.reply_seconds,
        freshness=float(limits.freshness_seconds),
        body_cap=limits.callback_bytes,
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
