"""Commands 报表 and 题目分析: a supervisor or administrator reads a report in the chat; every reading goes into the audit log."""

from __future__ import annotations

import difflib
from datetime import date

from bot.commands.router import Context, command
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.reports import ReportQuery, Scope
from bot.domain.text.dates import find_day
from bot.services.campaign import manage
from bot.services.delivery.nudge import author_scope as nudge_scope_of
from bot.services.library import key_visibility
from bot.services.reports import formats
from bot.storage.reports.registry import REPORTS
from bot.storage.reports.scope import ReportKind, scope_of


@command("报表", role=RoleName.SUPERVISOR, read_only=True, argument="<名称>")
def show(ctx: Context, text: str) -> Reply:
    """看报表：“报表 达标率”“报表 名单 某局/办公室”“报表 个人 1001”；末尾可加日期，如 2026-06-30。"""
    if not text:
        ctx.audit_entry = ("报表 目录", "")
        return _list()
    words = text.split()
    as_of = _parse_day(words[-1], ctx.today) if len(words) > 1 else None
    if as_of is not None:
        words.pop()
    report = _find_report(words[0])
    about = " ".join(words[1:])
    if report.requires_about and not about:
        raise Refusal(f"请写明{report.about}，例如「报表 {report.name} {report.example}」。")
    day = as_of or ctx.today
    ask = ReportQuery(day.year, day, ctx.today, ctx.catalog.policy, about, ctx.library)
    return _run_report(ctx, report, scope_of(ctx.session, ctx.me.id, ctx.today), ask)


@command("题目分析", role=RoleName.ADMIN, read_only=True, argument="<考试编号>")
def items(ctx: Context, text: str) -> Reply:
    """一场考试每道题的题号、难度、区分度和可疑之处，更正前先看：“题目分析 12”。"""
    if not text:
        raise Refusal("请写考试的编号，例如「题目分析 12」。发送「考试 管理」看列表。")
    author = manage.author_of(ctx.session, ctx.me, ctx.incoming.sender.channel)
    ask = ReportQuery(ctx.today.year, ctx.today, ctx.today, ctx.catalog.policy, text, ctx.library)
    return _run_report(ctx, REPORTS["题目分析"], nudge_scope_of(ctx.session, author), ask)


def _run_report(ctx: Context, report: ReportKind, scope: Scope, ask: ReportQuery) -> Reply:
    if report.tells_keys:
        _require_no_open_exam(ctx)
    table = report.run(ctx.session, scope, ask)
    ctx.audit_entry = (f"报表 {report.name}", f"{ask.about or '全部'} 截至 {ask.as_of.isoformat()}")
    return Reply(formats.phone(table))


def _require_no_open_exam(ctx: Context) -> None:
    """Raises `Refusal` for somebody who sits an exam, or whose paper others may still be given: the report would tell them keys."""
    key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
    if key_visibility.hidden_questions(ctx.session, ctx.me.id):
        raise Refusal("您参加的考试还没有结束，这张报表里有答案，等那场考试结束后再看。")


def _list() -> Reply:
    lines = ["现有报表："]
    lines += [f"· {report.name}{_argument_text(report)}：{report.help}" for report in REPORTS.values()]
    direct = [report for report in REPORTS.values() if not report.requires_about]
    return Reply("\n".join(lines), buttons=tuple(Option(f"报表 {report.name}", report.name) for report in direct))


def _argument_text(report: ReportKind) -> str:
    return f" <{report.about}>" if report.requires_about else f" [{report.about}]"


def _find_report(name: str) -> ReportKind:
    report = REPORTS.get(name)
    if report is None:
        near = difflib.get_close_matches(name, REPORTS, n=1, cutoff=0.4)
        hint = f"您是想看「报表 {near[0]}」吗？" if near else ""
        raise Refusal(f"没有这张报表。{hint}现有：{'、'.join(REPORTS)}。")
    return report


def _parse_day(word: str, today: date) -> date | None:
    """A word that is a day; None when it is not one. A day still to come is refused."""
    # Eight digits may be a staff number as well as a day.
    day = None if word.isdigit() else find_day(word, today, "past")
    if day is None:
        return None
    if day > today:
        raise Refusal(f"{word} 还没有到，最晚可看到今天（{today.isoformat()}）。")
    return day
