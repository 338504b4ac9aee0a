"""`roster sync`: the roster from a platform's contacts, read over the network and then imported like a file."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import Annotated

import typer

from bot import logs
from bot.channels.base import ignore_note
from bot.channels.config import reveal
from bot.channels.contacts import read_dingtalk_directory, read_wecom_directory
from bot.channels.outbound.apis import dingtalk_old_api, wecom_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.outbound.tokens import SingleRunTokens
from bot.cli.acts import perform
from bot.cli.context import Apply, As, Json, context, note
from bot.commands.actions import Act, ActValue, Outcome, action
from bot.commands.people import issue_codes, roster_outcome
from bot.domain.message import Misuse, Refusal
from bot.domain.people.person import Directory
from bot.domain.times import SHANGHAI
from bot.services.people import roster_file
from bot.settings import Settings
from bot.storage.people import roster as people_roster

PLATFORM_LABELS = {"wecom": "企业微信", "dingtalk": "钉钉"}
TIMEOUT_SECONDS = 20.0


def sync_roster(
    platform: Annotated[str, typer.Argument(metavar="平台", help="wecom（企业微信）或 dingtalk（钉钉）")],
    apply: Apply = False,
    leavers_ok: Annotated[bool, typer.Option("--leavers-ok", help="允许超过一半的人因不在通讯录里而记为离职")] = False,
    under: Annotated[str, typer.Option("--under", help="放在每个部门前面的单位路径，例如 某局")] = "",
    staff_no: Annotated[
        str, typer.Option("--staff-no", help="工号在哪个字段：企业微信默认扩展属性「工号」，钉钉默认 job_number；也可写 userid")
    ] = "",
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """从企业微信或钉钉的通讯录同步花名册：列出新进、离开、调动、变更和冲突；加 --apply 才写入。"""
    context.take(acting_as=acting_as, as_json=as_json)
    if platform not in PLATFORM_LABELS:
        raise Misuse(f"没有「{platform[:20]}」这个平台，可写 {'、'.join(PLATFORM_LABELS)}。")
    context.require_whole_agency()
    settings = context.settings()
    if not settings.is_on(platform):
        raise Refusal(f"{PLATFORM_LABELS[platform]}还没有设置（BOT_{platform.upper()}__…），读不到它的通讯录。")
    logs.configure(settings.secrets(), level=logging.WARNING)
    try:
        contacts_found = asyncio.run(_fetch_directory(settings, platform, staff_no))
    except PlatformError as error:
        raise Refusal(f"{PLATFORM_LABELS[platform]}的通讯录没有读全（{error}），什么都没有改动。{_platform_advice(error)}") from error
    perform(take_over, {"contacts": contacts_found, "under": under, "leavers_ok": leavers_ok, "platform": platform}, apply=apply)


@action(effect=True)
def take_over(
    act: Act,
    contacts: Annotated[Directory, ActValue("通讯录")],
    under: Annotated[str, ActValue("单位")],
    leavers_ok: Annotated[bool, ActValue("允许")],
    platform: Annotated[str, ActValue("平台")],
) -> Outcome:
    """把读到的通讯录作为花名册。"""
    listed = roster_file.roster_of_directory(contacts, people_roster.list_people(act.session), under=under)
    return roster_outcome(act, listed, leavers_ok, f"通讯录同步（{PLATFORM_LABELS[platform]}）")


async def _fetch_directory(settings: Settings, platform: str, staff_no: str) -> Directory:
    chosen = {"staff_no": staff_no} if staff_no else {}
    async with Outbound(
        tokens=SingleRunTokens(), clock=context.now, note=ignore_note, holder="cli", secrets=settings.secrets(), total=TIMEOUT_SECONDS
    ) as outbound:
        if platform == "wecom":
            wecom = settings.wecom
            secret, agent = (wecom.contacts_secret, "contacts") if wecom.contacts_secret is not None else (wecom.secret, wecom.agent_id)
            api = wecom_api(base=wecom.api_base, corp_id=wecom.corp_id, agent_id=agent, secret=reveal(secret))
            return await read_wecom_directory(outbound, api, **chosen)
        dingtalk = settings.dingtalk
        dingtalk_api = dingtalk_old_api(base=dingtalk.oapi_base, client_id=dingtalk.client_id, client_secret=reveal(dingtalk.client_secret))
        return await read_dingtalk_directory(outbound, dingtalk_api, **chosen)


def _platform_advice(error: PlatformError) -> str:
    match error.kind:
        case "config":
            return "请检查密钥和可信 IP。"
        case "permission":
            return "请在管理后台给应用通讯录的读取权限。"
        case _:
            return "请稍后再试。"


# ── Binding codes ──

_SLIP = """<section><p><b>{name}</b>（{staff_no}）</p><p>在公众号里发送：</p><p class="say">绑定 {staff_no} {code}</p>
<p>{until} 以前有效，只能用一次。</p></section>
"""
_SHEET = """<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><title>绑定验证码</title>
<style>
body {{ font: 12pt/1.5 "Noto Sans CJK SC", sans-serif; display: grid; grid-template-columns: 1fr 1fr; margin: 0 }}
section {{ border: 1px dashed #888; padding: 4mm; break-inside: avoid }} p {{ margin: 0 }} .say {{ font-size: 16pt; font-weight: bold }}
</style>
{slips}</html>
"""


def roster_codes(
    unit: Annotated[str, typer.Option("--unit", metavar="单位", help="只发给这个单位及其下属")] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="文件", help="另写一页可以打印、裁开的纸条（HTML），只有本用户能读")] = None,
    apply: Apply = False,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """给还没有绑定微信的人发一次性验证码（BOT_LIMITS__CODE_MINUTES 分钟内有效，旧验证码作废）；不加 --apply 只列出发给谁。"""
    context.take(acting_as=acting_as, as_json=as_json)
    lifetime = timedelta(minutes=context.settings().limits.code_minutes)
    if out is not None and apply and out.exists():
        raise Refusal(f"{out} 已经有了，没有发：请换一个文件名。")
    outcome = perform(issue_codes, {"unit": unit, "lifetime": lifetime}, apply=apply)
    if out is not None and apply and outcome.data:
        _write_slips(out, outcome.data)
        note(f"纸条写在 {out}，交给本人后请删掉。")


def _write_slips(file: Path, codes: Sequence[Mapping[str, str]]) -> None:
    slips = [
        _SLIP.format(
            name=escape(code["name"]),
            staff_no=escape(code["staff_no"]),
            code=code["code"],
            until=f"{datetime.fromisoformat(code['expires_at']).astimezone(SHANGHAI):%m月%d日 %H:%M}",
        )
        for code in codes
    ]
    try:
        with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as sheet:
            sheet.write(_SHEET.format(slips="".join(slips)))
    except OSError as wrong:
        raise Refusal(f"纸条写不进 {file}（{os.strerror(wrong.errno or 0)}），验证码已发，见上面的列表。") from wrong


CLI = {"roster sync": sync_roster, "roster codes": roster_codes}
