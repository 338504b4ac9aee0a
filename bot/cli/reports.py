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

from bot.cli.context import EXIT_REFUSED, As, Json, context, note
from bot.domain.library.library import Library
from bot.domain.message import Misuse, Refusal
from bot.domain.reports import ReportQuery, Table
from bot.domain.text.dates import find_day
from bot.domain.times import SHANGHAI, day_of, start_of
from bot.services.hours import chain_verification
from bot.services.library import catalog
from bot.services.reports.formats import BINARY, FORMATS
from bot.storage.db.engine import ping
from bot.storage.reports.exports import EXPORTS, bounds
from bot.storage.reports.registry import REPORTS

UNSUPPORTED_FORMATS = {"docx": "Word 文档", "png": "图片"}


# ── report ──


def report_command(
    name: Annotated[str | None, typer.Argument(metavar="名称", help="报表名称；不写则列出全部")] = None,
    about: Annotated[str | None, typer.Argument(metavar="看什么", help="看什么：单位（全路径或名称）或工号")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="日期", help="截至哪一天（北京时间），默认今天")] = None,
    year: Annotated[int | None, typer.Option("--year", metavar="年度", help="年度，默认截至日所在年度")] = None,
    unit: Annotated[str | None, typer.Option("--unit", metavar="单位", help="只看一个单位及其下级")] = None,
    form: Annotated[str, typer.Option("--format", metavar="格式", help="text、json、csv 或 xlsx")] = "text",
    out: Annotated[Path | None, typer.Option("--out", metavar="文件", help="写到文件；不写则输出到屏幕")] = None,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    context.take(acting_as=acting_as, as_json=as_json or form == "json")
    if name is None:
        rows = [{"name": kind.name, "about": kind.about, "needs": kind.requires_about, "help": kind.help} for kind in REPORTS.values()]
        context.show(rows, [f"{kind.name}\t{kind.help}" for kind in REPORTS.values()])
        return
    form = "json" if as_json else form
    if form in UNSUPPORTED_FORMATS:
        raise Refusal(f"本版还不能输出 {form}（{UNSUPPORTED_FORMATS[form]}），请改用 xlsx、csv、json 或 text。")
    if form not in FORMATS:
        raise Misuse(f"没有 {form} 这种格式，可用：{'、'.join(FORMATS)}")
    if name not in REPORTS:
        raise Refusal(f"没有这张报表。现有：{'、'.join(REPORTS)}")
    if form in BINARY and out is None and sys.stdout.isatty():
        raise Misuse(f"{form} 不能显示在屏幕上，请加 --out 文件名.{form}")
    context.record(f"报表 {name}", f"{about or unit or '全部'} {as_of or ''} {year or ''} {form}".strip())
    with _open_output(out) as target:
        context.reading(lambda session: FORMATS[form](_run_report(session, name, (about or unit or "").strip(), as_of, year), target))
    if out is not None:
        note(f"已写入 {out}")


def _unwritable(out: Path, wrong: OSError) -> Refusal:
    from bot.storage.files.strict_yaml import os_error_text

    return Refusal(f"写不了 {out}：{os_error_text(wrong)}")


def _run_report(session: Session, name: str, about: str, as_of: str | None, year: int | None) -> Table:
    kind, today = REPORTS[name], day_of(context.now())
    if kind.requires_about and not about:
        raise Refusal(f"请写明{kind.about}，例如：python -m bot report {name} {kind.example}")
    day = _parse_day(as_of, today) if as_of else today
    if day > today:
        raise Refusal(f"{day.isoformat()} 还没有到，最晚可看到今天（{today.isoformat()}）。")
    asked = year if year is not None else day.year
    if not 2000 <= asked <= day.year:
        raise Refusal(f"{asked} 年度在 {day.isoformat()} 还没有数据可看。")
    ping(session)  # opens the transaction, so that all figures of a report come from one snapshot
    from bot.storage.files import loader

    library, _ = loader.load_library(loader.data_root())
    return kind.run(session, context.scope(session), ReportQuery(asked, day, today, catalog.read_catalog(session, Library()).policy, about, library))


def _parse_day(text: str, today: date) -> date:
    day = find_day(text, today, "past")
    if day is None:
        raise Refusal(f"「{text[:20]}」不是日期，应写作 2026-06-30。")
    return day


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
        raise _unwritable(out, wrong) from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            yield target
        part.chmod(0o640)
        part.replace(out)
    except OSError as wrong:
        raise _unwritable(out, wrong) from None
    finally:
        part.unlink(missing_ok=True)


# ── export ──


def export_command(
    what: Annotated[str, typer.Argument(metavar="哪一种", help="answers、ledger、people、audit 或 deliveries")],
    since: Annotated[str | None, typer.Option("--since", metavar="时刻", help="这一刻或之后记录的；日期按北京时间零点，时刻可带时区")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="时刻", help="这一刻之前记录的")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="文件", help="写到文件；不写则输出到屏幕")] = None,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    context.take(acting_as=acting_as, as_json=as_json)
    if what not in EXPORTS:
        raise Misuse(f"没有 {what} 可导出，可用：{'、'.join(EXPORTS)}")
    first, last = _parse_moment(since), _parse_moment(until)
    if first is not None and last is not None and first > last:
        raise Misuse(f"--since {since} 晚于 --until {until}，这样一行也没有，请对调。")
    between = bounds(first, last)
    context.require_whole_agency()
    context.record(f"导出 {what}", f"{since or ''}..{until or ''}")

    def work(session: Session, target: BinaryIO) -> int:
        ping(session)  # opens the transaction: one snapshot, however long it takes
        lines = 0
        for line in EXPORTS[what](session, between):
            target.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n")
            lines += 1
        return lines

    with _open_output(out) as target:
        lines = context.reading(lambda session: work(session, target))
    note(f"共 {lines} 行")


def _parse_moment(text: str | None) -> datetime | None:
    """A moment of ISO 8601; a day is its first moment in Shanghai, and so is a clock without a zone Shanghai's."""
    if text is None:
        return None
    try:
        if (day := find_day(text, day_of(context.now()), "past")) is not None:
            return start_of(day)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Misuse(f"「{text[:40]}」不是时间，应写作 2026-06-30 或 2026-06-30T08:00:00+08:00。") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


# ── ledger ──


def seal_command(
    algorithm: Annotated[str, typer.Option("--algorithm", metavar="算法", help="sha256 或 sm3")] = "sha256", acting_as: As = "", as_json: Json = False
) -> None:
    """给还没有封存的流水编号并接入哈希链，显示链头。"""
    context.take(acting_as=acting_as, as_json=as_json)
    context.require_whole_agency()
    sealed_at, sealed = context.now(), 0
    while count := context.writing(lambda session: chain_verification.seal_entries(session, sealed_at, algorithm)):
        sealed += count
    head = context.reading(chain_verification.head)
    context.record("流水封存", f"{sealed} 笔")
    result = {"sealed": sealed, "head": None if head is None else asdict(head)}
    context.show(result, f"新封存 {sealed} 笔。链头：{head or '（流水为空）'}")


def verify_command(
    head: Annotated[str, typer.Option("--head", metavar="链头", help="另存的链头（哈希值），核对它仍在链中")] = "",
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """重算整条哈希链；有改动、缺失、插入或调换时指出第一处，退出码为 1。"""
    context.take(acting_as=acting_as, as_json=as_json)

    def work(session: Session) -> chain_verification.ChainCheck:
        ping(session)
        return chain_verification.verify(session, head)

    check = context.reading(work)
    result = {"ok": check.fault is None, **asdict(check)}
    lines = [check.fault.sentence if check.fault else f"核验通过：已封存 {check.sealed} 笔，链头 {check.head or '（还没有封存）'}"]
    if check.loose and not check.fault:
        lines.append(f"另有 {check.loose} 笔还没有封存，不受哈希链保护，请运行 ledger seal。")
    if check.note:
        lines.append(check.note)
    context.show(result, lines)
    if check.fault is not None:
        raise typer.Exit(EXIT_REFUSED)


CLI = {"ledger seal": seal_command, "ledger verify": verify_command}
