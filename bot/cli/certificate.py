"""`certificate …` on the command line: issue, revoke, replace, list and render certificates."""

from __future__ import annotations

from dataclasses import replace as other
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, operator, read_settings, reading, show, writing
from bot.domain.certificate import HEADINGS, STATE_LABELS, code_text, full_number, page_path
from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.certificate import certificates, exam_certificates
from bot.services.certificate.certificates import CertificateChange, WantedCertificate
from bot.services.certificate.pdf import FORMS, CertificatePrinter
from bot.services.certificate.typesetter import Form
from bot.services.library import catalog
from bot.storage import certificate
from bot.storage.certificate import IssuedCertificate
from bot.storage.exam import exams
from bot.storage.files.loader import data_root, load_library
from bot.storage.files.strict_yaml import os_error_text

group = typer.Typer(help="证书：签发、撤销、换发、查看、生成图片和 PDF。", no_args_is_help=True)
cli.add_typer(group, name="certificate")

Number = Annotated[str, typer.Argument(help="证书编号，例如 XF-2026-000123-K")]
Reason = Annotated[str, typer.Option("--reason", help="原因，记入审计；本人可见，公开页不显示")]
Title = Annotated[str | None, typer.Option("--title", help="考试、竞赛或学习的名称")]
Result = Annotated[str | None, typer.Option("--result", help="结果，照写在证书上，例如“成绩 92 分，考试合格”“荣获一等奖”")]
Hours = Annotated[str | None, typer.Option("--hours", help="学时数")]
Issuer = Annotated[str | None, typer.Option("--issuer", help="发证单位，不写即单位树的最上一级")]
Day = Annotated[str | None, typer.Option("--day", help="考试、竞赛或学习的日期，例如 2026-07-01")]
ACT_LABELS = {"issue": "签发", "none": "早已签发"}


@group.command("issue")
def issue(
    staff_nos: Annotated[list[str] | None, typer.Argument(help="工号，可多个；用 --exam 时不写")] = None,
    exam: Annotated[int | None, typer.Option("--exam", help="给这场考试所有合格的人，内容按成绩填写")] = None,
    title: Title = None,
    kind: Annotated[str, typer.Option("--kind", help="contest 竞赛、study 学习、exam 考试")] = "contest",
    day: Day = None,
    result: Result = None,
    hours: Hours = None,
    issuer: Issuer = None,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """给一个或多个人发证：先列出会发哪些；加 --apply 才签发。同一人、同一名称和日期只发一份，重复执行不变。"""
    moment = now()
    held_on = _parse_day(day) or day_of(moment)
    if exam is None and not (staff_nos and title):
        raise typer.BadParameter("请写明工号和 --title，或用 --exam 指明一场考试。")
    if exam is not None and (staff_nos or title or day or result or hours or issuer):
        raise typer.BadParameter("--exam 按成绩填写证书，不能再写工号、名称、日期、结果、学时和发证单位。")

    def work(session: Session) -> list[tuple[str, CertificateChange]]:
        wanted = (
            _wanted_of_exam(session, exam)
            if exam is not None
            else [
                _wanted_by_name(session, staff_no, kind, title or "", held_on, result or "", hours or "", issuer or "")
                for staff_no in dict.fromkeys(staff_nos or ())
            ]
        )
        return certificates.issue_many(session, wanted, moment, by=operator(), via="cli", apply=apply)

    steps = writing(work) if apply else reading(work)
    lines = [f"{name}：{ACT_LABELS[step.act]}{f' {step.after.number}' if step.after is not None else ''}" for name, step in steps]
    issued_count = sum(step.act == "issue" for _, step in steps)
    lines.append(
        f"共 {len(steps)} 人，{'签发' if apply else '将签发'} {issued_count} 份。"
        + ("" if apply or not issued_count else "以上是预演，什么都没有写。")
    )
    issued = [{"staff_no": name, "act": step.act, "number": None if step.after is None else step.after.number} for name, step in steps]
    show({"applied": apply and issued_count > 0, "certificates": issued}, as_json, lines)


def _wanted_of_exam(session: Session, exam_id: int) -> list[WantedCertificate]:
    exam = exams.get(session, exam_id)
    if exam is None:
        raise Refusal(f"没有编号为 {exam_id} 的考试，请核对。")
    if not exam.tells_score:
        raise Refusal(f"考试 {exam_id}《{exam.name}》的成绩还不能公布，没有发证：等考试结束或公布成绩后再发。")
    library, _ = load_library(data_root())
    return exam_certificates.list_wanted(session, catalog.read_catalog(session, library), exam)


def _wanted_by_name(session: Session, staff_no: str, kind: str, title: str, day: date, result: str, hours: str, issuer: str) -> WantedCertificate:
    person = certificate.person_by_staff_no(session, staff_no)
    if person is None:
        raise Refusal(f"花名册里没有工号 {staff_no[:40]}，一份都没有签发，请核对。")
    facts = certificates.build_facts(session, person[0], kind, title, day, result=result, hours=hours, name=person[1], issuer=issuer)
    return WantedCertificate(staff_no, person[0], ("named", f"{kind}:{day.isoformat()}:{facts.title}"), facts)


@group.command("revoke")
def revoke(number: Number, reason: Reason, as_json: Json = False) -> None:
    """撤销一份证书：公开页随即显示「已撤销」，不能恢复，只能换发。"""
    revoked = writing(
        lambda session: certificates.revoke(session, certificates.require_certificate(session, number), reason, now(), by=operator(), via="cli")
    )
    show(_certificate_json(revoked), as_json, f"已撤销：{revoked.number}（{revoked.staff_no} {revoked.body.facts.name}）。")


@group.command("replace")
def replace(
    number: Number,
    reason: Reason,
    name: Annotated[str | None, typer.Option("--name", help="姓名")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="单位")] = None,
    title: Title = None,
    day: Day = None,
    result: Result = None,
    hours: Hours = None,
    issuer: Issuer = None,
    as_json: Json = False,
) -> None:
    """换发：旧编号显示「已换发」，新证书只改写明的几项，其余照旧。"""
    fields: dict[str, Any] = {"name": name, "unit": unit, "title": title, "day": _parse_day(day), "result": result, "hours": hours, "issuer": issuer}
    changed = {key: value for key, value in fields.items() if value is not None}

    def work(session: Session) -> IssuedCertificate:
        held = certificates.require_certificate(session, number)
        return certificates.replace(session, held, other(held.body.facts, **changed), reason, now(), by=operator(), via="cli")

    issued = writing(work)
    show(_certificate_json(issued), as_json, [f"已换发，新编号 {issued.number}，校验码 {code_text(issued.code)}。", issued.body.sentence])


@group.command("list")
def list_(
    staff_no: Annotated[str, typer.Option("--staff-no", help="只看一个人")] = "",
    state: Annotated[str, typer.Option("--state", help="valid 有效、revoked 已撤销、replaced 已换发")] = "",
    kind: Annotated[str, typer.Option("--kind", help="exam、contest、study")] = "",
    as_json: Json = False,
) -> None:
    """列出证书，新的在前，至多 1000 份。"""
    if state and state not in STATE_LABELS:
        raise typer.BadParameter(f"--state 应为 {'、'.join(STATE_LABELS)}。")
    if kind and kind not in HEADINGS:
        raise typer.BadParameter(f"--kind 应为 {'、'.join(HEADINGS)}。")
    certificates = reading(lambda session: certificate.list_certificates(session, staff_no, state, kind))
    lines = [
        f"{held.number}　{STATE_LABELS[held.state]}　{held.staff_no} {held.body.facts.name}　{held.body.facts.title}　{held.body.issued_on}"
        + (f"　→ {held.replaced_by}" if held.replaced_by else "")
        + (f"　（{held.reason}）" if held.reason else "")
        for held in certificates
    ]
    show([_certificate_json(held) for held in certificates], as_json, lines or ["没有证书。"])


@group.command("render")
def render(number: Number, out: Annotated[Path, typer.Argument(help="写到哪个文件，以 .pdf 或 .png 结尾")], as_json: Json = False) -> None:
    """生成一份证书的 PDF 或图片。"""
    form = out.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise typer.BadParameter("文件名应以 .pdf 或 .png 结尾。")
    settings = read_settings()
    held = reading(lambda session: certificates.require_certificate(session, number), settings)
    content = CertificatePrinter(settings.web.font).draw(held, _form(form), settings.public_url.rstrip("/"))
    try:
        out.write_bytes(content)
    except OSError as wrong:
        raise Refusal(f"写不了 {out}（{os_error_text(wrong)}），请检查路径和权限。") from wrong
    show({"number": held.number, "file": str(out), "bytes": len(content)}, as_json, f"已生成 {out}（{held.body.facts.name}，{held.number}）。")


def _form(word: str) -> Form:
    return "pdf" if word == "pdf" else "png"


def _parse_day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("日期应写作 2026-07-01。") from None


def _certificate_json(held: IssuedCertificate) -> dict[str, Any]:
    facts = held.body.facts
    return {
        "number": held.number,
        "code": held.code,
        "path": page_path(full_number(held.number, held.code)),
        "staff_no": held.staff_no,
        "name": facts.name,
        "kind": held.kind,
        "title": facts.title,
        "day": facts.day.isoformat(),
        "result": facts.result,
        "hours": facts.hours,
        "issuer": facts.issuer,
        "issued_on": held.body.issued_on.isoformat(),
        "issued_by": held.issued_by,
        "state": held.state,
        "reason": held.reason,
        "changed_at": held.changed_at,
        "replaced_by": held.replaced_by or None,
    }
