"""The command line for people: `roster import`, `roster codes`, `roster sync` (from a platform's contacts) and `leave import`."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from sqlmodel import Session

from bot import logs
from bot.channels.base import Token, ignore_note
from bot.channels.config import reveal
from bot.channels.contacts import read_dingtalk_directory, read_wecom_directory
from bot.channels.outbound.apis import dingtalk_old_api, wecom_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.cli.common import Apply, Json, cli, now, operator, progress, read_settings, reading, refuse, show, writing
from bot.domain.message import Refusal
from bot.domain.people.directory import Directory
from bot.domain.times import SHANGHAI
from bot.services.people import binding, directory, leave, roster, roster_file
from bot.services.people.roster import RosterImportPlan
from bot.services.people.roster_file import BadRosterRows, Roster
from bot.settings import Settings
from bot.storage.people import roster as people_roster
from bot.storage.tables.columns import stamp

roster_group = typer.Typer(help="花名册：导入、发放绑定验证码。", no_args_is_help=True)
cli.add_typer(roster_group, name="roster")

NO_CHANGE = "花名册没有变化，什么都没有改动。"


@roster_group.command("import")
def import_roster(
    file: Annotated[Path, typer.Argument(help="xlsx 或 csv（UTF-8、GBK）")],
    apply: Apply = False,
    leavers_ok: Annotated[bool, typer.Option("--leavers-ok", help="允许超过一半的人因不在花名册里而记为离职")] = False,
    as_json: Json = False,
) -> None:
    """导入花名册：列出新进、离开、调动、变更和冲突；加 --apply 才写入。"""
    moment = now()
    try:
        listed = roster_file.read_roster(file)
    except BadRosterRows as error:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": fault.row, "column": fault.column, "reason": fault.reason} for fault in error.faults]}, True, "")
        raise typer.Exit(1) from None
    apply_roster(listed, moment, apply, leavers_ok, as_json, "花名册导入")


def apply_roster(listed: Roster, moment: datetime, apply: bool, leavers_ok: bool, as_json: bool, source: str) -> None:
    """Compare a roster with the database, show the difference, and write it when it was asked for and nothing stands in the way."""
    plan = reading(lambda session: roster.compare(session, listed, moment))
    blocked = _blocking_reason(plan, leavers_ok)
    if apply and not blocked:
        plan = writing(lambda session: roster.apply(session, listed, moment, actor=operator(), via="cli", leavers_ok=leavers_ok, source=source))
    written = apply and not blocked
    closing = NO_CHANGE if plan.is_empty else "已写入。" if written else "以上是预演，什么都没有写。"
    show(
        {"applied": written, "changed": len(plan.steps), "refused": blocked, **plan.as_json()},
        as_json,
        plan.as_text() + ([] if blocked else [closing]),
    )
    if blocked:
        raise refuse(blocked)


def _blocking_reason(plan: RosterImportPlan, leavers_ok: bool) -> str:
    if plan.conflicts:
        return roster.CONFLICTS_NOTICE
    return roster.loses_most_notice(plan) if plan.loses_most and not leavers_ok else ""


@roster_group.command("codes")
def issue_codes(unit: Annotated[str, typer.Option("--unit", help="只发给这个单位及其下属")] = "", as_json: Json = False) -> None:
    """给还没有绑定微信的人发一次性验证码（10 分钟内有效，旧验证码作废）。"""

    def issue(session: Session) -> list[binding.BindingCode]:
        return binding.issue_codes(session, now(), actor=operator(), via="cli", unit=unit)

    issued = writing(issue)
    show(
        [{"staff_no": code.staff_no, "code": code.code, "expires_at": stamp(code.expires_at)} for code in issued],
        as_json,
        (f"{code.staff_no} {code.name} {code.code} {code.expires_at.astimezone(SHANGHAI).isoformat(timespec='seconds')}" for code in issued),
    )
    note = f"{len(issued)} 个验证码，10 分钟内有效，以前发的已作废。请分别交给本人。" if issued else "没有要发的：在册的人都已绑定微信。"
    progress.print(note, markup=False, highlight=False)


leave_group = typer.Typer(help="请假、借调：导入。", no_args_is_help=True)
cli.add_typer(leave_group, name="leave")


@leave_group.callback()
def _leave() -> None:
    """请假、借调：导入。"""


@leave_group.command("import")
def import_leave(
    file: Annotated[Path, typer.Argument(help="xlsx 或 csv，列：工号、类别（请假/借调）、开始、结束")], apply: Apply = False, as_json: Json = False
) -> None:
    """导入请假、借调：列出新增、改期和已有的；加 --apply 才写入。重复导入不变。"""
    moment = now()
    try:
        lines, notes = leave.read_leave(file)
        if apply:
            plan = writing(lambda session: leave.apply(session, lines, moment, actor=operator(), via="cli"))
        else:
            plan = reading(lambda session: leave.compare(session, lines, moment))
    except leave.BadLeaveRows as error:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": fault.row, "column": fault.column, "reason": fault.reason} for fault in error.faults]}, True, "")
        raise typer.Exit(1) from None
    closing = "没有变化，什么都没有改动。" if plan.is_empty else "已写入。" if apply else "以上是预演，什么都没有写。"
    show({"applied": apply, "notes": list(notes), **plan.as_json()}, as_json, [*notes, *plan.as_text(), closing])


PLATFORM_LABELS = {"wecom": "企业微信", "dingtalk": "钉钉"}
TIMEOUT_SECONDS = 20.0


class SingleRunTokens:
    """Access tokens kept for one run of one command. A platform returns the same token when asked again, so the service's own token stays valid."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    async def read(self, key: str) -> Token | None:
        return self._tokens.get(key)

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        return True

    async def save(self, key: str, holder: str, token: Token) -> None:
        self._tokens[key] = token


@roster_group.command("sync")
def sync_roster(
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
        raise Refusal(f"{PLATFORM_LABELS[platform]}还没有设置（BOT_{platform.upper()}__…），读不到它的通讯录。")
    logs.configure(settings.secrets(), level=logging.WARNING)
    moment = now()
    try:
        contacts_found = asyncio.run(_fetch_directory(settings, platform, staff_no))
    except PlatformError as error:
        raise Refusal(f"{PLATFORM_LABELS[platform]}的通讯录没有读全（{error}），什么都没有改动。{_platform_advice(error)}") from error
    try:
        listed = reading(lambda session: directory.roster_of_directory(contacts_found, people_roster.list_people(session), under=under))
    except BadRosterRows as bad:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": fault.row, "column": fault.column, "reason": fault.reason} for fault in bad.faults]}, True, "")
        raise typer.Exit(1) from None
    apply_roster(listed, moment, apply, leavers_ok, as_json, f"通讯录同步（{PLATFORM_LABELS[platform]}）")


async def _fetch_directory(settings: Settings, platform: str, staff_no: str) -> Directory:
    chosen = {"staff_no": staff_no} if staff_no else {}
    async with Outbound(
        tokens=SingleRunTokens(), clock=now, note=ignore_note, holder="cli", secrets=settings.secrets(), total=TIMEOUT_SECONDS
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
