"""`roster sync`: the contacts of a platform as a roster, through the same comparison as a file."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Literal

import typer

from bot import logs
from bot.channels.base import Token, silent
from bot.channels.dingtalk.contacts import contacts as dingtalk_contacts
from bot.channels.outbound import Outbound, PlatformError, dingtalk_old_api, wecom_api
from bot.channels.wecom.contacts import contacts as wecom_contacts
from bot.cli.common import Apply, Json, now, read_settings, reading, show
from bot.cli.people import group, take
from bot.domain.directory import Directory
from bot.domain.message import Refusal
from bot.services import roster
from bot.services.roster import BadRows
from bot.settings import Settings
from bot.storage import people

LABELS = {"wecom": "企业微信", "dingtalk": "钉钉"}
SECONDS = 20.0


class OneRun:
    """A token for one run of one command; the platforms hand out the same one to whoever asks again, so that nobody else's dies of it."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    async def read(self, key: str) -> Token | None:
        return self._tokens.get(key)

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        return True

    async def save(self, key: str, holder: str, token: Token) -> None:
        self._tokens[key] = token


@group.command("sync")
def sync(
    platform: Annotated[Literal["wecom", "dingtalk"], typer.Argument(help="wecom（企业微信）或 dingtalk（钉钉）")],
    apply: Apply = False,
    leavers_ok: Annotated[bool, typer.Option("--leavers-ok", help="允许超过一半的人因不在通讯录里而记为离职")] = False,
    under: Annotated[str, typer.Option("--under", help="放在每个部门前面的单位路径，例如 某局")] = "",
    staff_no: Annotated[
        str, typer.Option("--staff-no", help="工号在哪个字段：企业微信默认扩展属性「工号」，钉钉默认 job_number；也可写 userid")
    ] = "",
    as_json: Json = False,
) -> None:
    """从企业微信或钉钉的通讯录同步花名册：列出新进、离开、调动、变更和冲突；加 --apply 才写入。"""
    settings = read_settings()
    if not settings.is_on(platform):
        raise Refusal(f"{LABELS[platform]}还没有设置（BOT_{platform.upper()}__…），读不到它的通讯录。")
    logs.set_up(settings.secrets(), level=logging.WARNING)
    at = now()
    try:
        found = asyncio.run(_fetched(settings, platform, staff_no))
    except PlatformError as wrong:
        raise Refusal(f"{LABELS[platform]}的通讯录没有读全（{wrong}），什么都没有改动。{_advice(wrong)}") from wrong
    try:
        read = reading(lambda session: roster.roster_of_directory(found, people.everybody(session), under=under))
    except BadRows as bad:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": one.row, "column": one.column, "reason": one.reason} for one in bad.faults]}, True, "")
        raise typer.Exit(1) from None
    take(read, at, apply, leavers_ok, as_json, f"通讯录同步（{LABELS[platform]}）")


async def _fetched(settings: Settings, platform: str, staff_no: str) -> Directory:
    chosen = {"staff_no": staff_no} if staff_no else {}
    async with Outbound(tokens=OneRun(), clock=now, note=silent, holder="cli", secrets=settings.secrets(), total=SECONDS) as outbound:
        if platform == "wecom":
            on = settings.wecom
            secret, agent = (on.contacts_secret, "contacts") if on.contacts_secret is not None else (on.secret, on.agent_id)
            api = wecom_api(base=on.api_base, corp_id=on.corp_id, agent_id=agent, secret=secret.get_secret_value() if secret else "")
            return await wecom_contacts(outbound, api, **chosen)
        ding = settings.dingtalk
        secret = ding.client_secret
        old = dingtalk_old_api(base=ding.oapi_base, client_id=ding.client_id, client_secret=secret.get_secret_value() if secret else "")
        return await dingtalk_contacts(outbound, old, **chosen)


def _advice(wrong: PlatformError) -> str:
    match wrong.kind:
        case "config":
            return "请检查密钥和可信 IP。"
        case "permission":
            return "请在管理后台给应用通讯录的读取权限。"
        case _:
            return "请稍后再试。"
