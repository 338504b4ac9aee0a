"""Commands `report`, `export` and `ledger`: reports as files, raw rows as JSON lines, sealing and checking the hash chain."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from sqlmodel import Session

from bot.cli.common import Json, cli, now, operator, progress, read_settings, reading, refuse, show, writing
from bot.domain.library.library import Library
from bot.domain.message import Refusal
from bot.domain.reports import ReportQuery, Scope, Table
from bot.domain.times import SHANGHAI, day_of, start_of
from bot.services.hours import chain_verification
from bot.services.library import catalog
from bot.services.reports.formats import BINARY, FORMATS
from bot.storage.db.engine import ping
from bot.storage.files import loader
from bot.storage.files.strict_yaml import os_error_text
from bot.storage.reports.exports import EXPORTS, bounds
from bot.storage.reports.registry import REPORTS
from bot.storage.system import audit

UNSUPPORTED_FORMATS = {"docx": "Word 文档", "png": "图片"}
EXIT_USAGE = 2

ledger = typer.Typer(help="学时流水：封存与核验。", no_args_is_help=True)
cli.add_typer(ledger, name="ledger")


def _audit(action: str, target: str) -> None:
    """Who looked at what, in the audit before it is shown: what cannot be written down is not shown."""
    writing(lambda session: audit.record(session, now(), operator(), "cli", action, target))


# ── report ──


@cli.command("report")
def report_(
    name: Annotated[str | None, typer.Argument(help="报表名称；不写则列出全部")] = None,
    about: Annotated[str | None, typer.Argument(help="看什么：单位（全路径或名称）或工号")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="YYYY-MM-DD", help="截至哪一天（北京时间），默认今天")] = None,
    year: Annotated[int | None, typer.Option("--year", help="年度，默认截至日所在年度")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="只看一个单位及其下级")] = None,
    form: Annotated[str, typer.Option("--format", help="text、json、csv 或 xlsx")] = "text",
    out: Annotated[Path | None, typer.Option("--out", help="写到文件；不写则输出到屏幕")] = None,
    as_json: Json = False,
) -> None:
    """看报表：达标率、名单、个人；不带名称则列出全部。"""
    if name is None:
        rows = [{"name": kind.name, "about": kind.about, "needs": kind.requires_about, "help": kind.help} for kind in REPORTS.values()]
        show(rows, as_json or form == "json", [f"{kind.name}\t{kind.help}" for kind in REPORTS.values()])
        return
    form = "json" if as_json else form
    if form in UNSUPPORTED_FORMATS:
        raise refuse(f"本版还不能输出 {form}（{UNSUPPORTED_FORMATS[form]}），请改用 xlsx、csv、json 或 text。")
    if form not in FORMATS:
        raise refuse(f"没有 {form} 这种格式，可用：{'、'.join(FORMATS)}", EXIT_USAGE)
    if name not in REPORTS:
        raise refuse(f"没有这张报表。现有：{'、'.join(REPORTS)}")
    if form in BINARY and out is None and sys.stdout.isatty():
        raise refuse(f"{form} 不能显示在屏幕上，请加 --out 文件名.{form}", EXIT_USAGE)
    _audit(f"报表 {name}", f"{about or unit or '全部'} {as_of or ''} {year or ''} {form}".strip())
    with _open_output(out) as target:
        reading(lambda session: FORMATS[form](_run_report(session, name, (about or unit or "").strip(), as_of, year), target))
    if out is not None:
        progress.print(f"已写入 {out}", markup=False, highlight=False)


def _run_report(session: Session, name: str, about: str, as_of: str | None, year: int | None) -> Table:
    kind, today = REPORTS[name], day_of(now())
    if kind.requires_about and not about:
        raise Refusal(f"请写明{kind.about}，例如：python -m bot report {name} {kind.example}")
    day = _parse_day(as_of) if as_of else today
    if day > today:
        raise Refusal(f"{day.isoformat()} 还没有到，最晚可看到今天（{today.isoformat()}）。")
    asked = year if year is not None else day.year
    if not 2000 <= asked <= day.year:
        raise Refusal(f"{asked} 年度在 {day.isoformat()} 还没有数据可看。")
    ping(session)  # opens the transaction, so that all figures of a report come from one snapshot
    library, _ = loader.load_library(loader.data_root())
    return kind.run(session, Scope(), ReportQuery(asked, day, today, catalog.read_catalog(session, Library()).policy, about, library))


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(f"「{text[:20]}」不是日期，应写作 2026-06-30。") from None


@contextmanager
def _open_output(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears whole or not at all."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as wrong:
        raise Refusal(f"写不了 {out}：{os_error_text(wrong)}") from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            yield target
        part.chmod(0o640)
        part.replace(out)
    except OSError as wrong:
        raise Refusal(f"写不了 {out}：{os_error_text(wrong)}") from None
    finally:
        part.unlink(missing_ok=True)


# ── export ──


@cli.command("export")
def export(
    what: Annotated[str, typer.Argument(help="answers、ledger、people、audit 或 deliveries")],
    since: Annotated[str | None, typer.Option("--since", help="这一刻或之后记录的；日期按北京时间零点，时刻可带时区")] = None,
    until: Annotated[str | None, typer.Option("--until", help="这一刻之前记录的")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="写到文件；不写则输出到屏幕")] = None,
    as_json: Json = False,
) -> None:
    """逐行导出 JSON（每行一条，从旧到新）；服务运行时也可以导出。--json 与不加相同。"""
    if what not in EXPORTS:
        raise refuse(f"没有 {what} 可导出，可用：{'、'.join(EXPORTS)}", EXIT_USAGE)
    first, last = _parse_moment(since), _parse_moment(until)
    if first is not None and last is not None and first > last:
        raise refuse(f"--since {since} 晚于 --until {until}，这样一行也没有，请对调。", EXIT_USAGE)
    between = bounds(first, last)
    _audit(f"导出 {what}", f"{since or ''}..{until or ''}")

    def work(session: Session, target: BinaryIO) -> int:
        ping(session)  # opens the transaction: one snapshot, however long it takes
        lines = 0
        for line in EXPORTS[what](session, between):
            target.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n")
            lines += 1
        return lines

    with _open_output(out) as target:
        lines = reading(lambda session: work(session, target))
    progress.print(f"共 {lines} 行", markup=False, highlight=False)


def _parse_moment(text: str | None) -> datetime | None:
    """A moment of ISO 8601; a day is its first moment in Shanghai, and so is a clock without a zone Shanghai's."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            return start_of(date.fromisoformat(text))
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise refuse(f"「{text[:40]}」不是时间，应写作 2026-06-30 或 2026-06-30T08:00:00+08:00。", EXIT_USAGE) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


# ── ledger ──


@ledger.command("seal")
def seal_(algorithm: Annotated[str, typer.Option("--algorithm", help="sha256 或 sm3")] = "sha256", as_json: Json = False) -> None:
    """给还没有封存的流水编号并接入哈希链，显示链头。"""
    sealed_at, settings, sealed = now(), read_settings(), 0
    while count := writing(lambda session: chain_verification.seal_entries(session, sealed_at, algorithm), settings):
        sealed += count
    head = reading(chain_verification.head, settings)
    writing(lambda session: audit.record(session, now(), operator(), "cli", "流水封存", f"{sealed} 笔"), settings)
    result = {"sealed": sealed, "head": None if head is None else asdict(head)}
    show(result, as_json, f"新封存 {sealed} 笔。链头：{head or '（流水为空）'}")


@ledger.command("verify")
def verify(
    head: Annotated[str, typer.Option("--head", metavar="H", help="另存的链头（哈希值），核对它仍在链中")] = "",
    as_json: Json = False,
) -> None:
    """重算整条哈希链；有改动、缺失、插入或调换时指出第一处，退出码为 1。"""

    def work(session: Session) -> chain_verification.ChainCheck:
        ping(session)
        return chain_verification.verify(session, head)

    check = reading(work)
    result = {"ok": check.fault is None, **asdict(check)}
    lines = [check.fault.sentence if check.fault else f"核验通过：已封存 {check.sealed} 笔，链头 {check.head or '（还没有封存）'}"]
    if check.loose and not check.fault:
        lines.append(f"另有 {check.loose} 笔还没有封存，不受哈希链保护，请运行 ledger seal。")
    if check.note:
        lines.append(check.note)
    show(result, as_json, lines)
    if check.fault is not None:
        raise typer.Exit(1)
