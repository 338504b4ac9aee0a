"""Certificates: a person's own in the chat (证书), each with the page where anybody can verify it; issued, revoked and replaced at the shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

from bot.commands.actions import Act, ActValue, Outcome, action
from bot.commands.router import Context, command
from bot.domain.certificate import STATE_LABELS, code_text, full_number, page_path
from bot.domain.message import Misuse, Option, Refusal, Reply
from bot.domain.times import chinese_date, day_of
from bot.services.certificate import certificates
from bot.services.certificate.certificates import WantedCertificate
from bot.storage import certificate
from bot.storage.certificate import IssuedCertificate
from bot.storage.exam import exams
from bot.storage.people import accounts

MAX_SHOWN = 5


@command("证书", "我的证书")
def own_certificates(ctx: Context, _: str) -> Reply:
    """我的证书：编号、核验链接，链接页可下载图片和 PDF，也可转给别人核验。"""
    certificates = certificate.of_person(ctx.session, ctx.me.id)
    if not certificates:
        return Reply("您还没有证书。考试合格后自动发证，届时再发「证书」即可看到。", buttons=(Option("考试", "考试"), Option("学习", "学习")))
    # What holds comes first; of what does not, the owner is told why.
    ordered = sorted(certificates, key=lambda held: not held.is_valid)
    lines = [f"🏅 {ctx.me.name}的证书（共 {len(certificates)} 份）"]
    for held in ordered[:MAX_SHOWN]:
        lines += ["", *_certificate_lines(ctx, held)]
    if len(certificates) > MAX_SHOWN:
        lines += ["", f"…还有 {len(certificates) - MAX_SHOWN} 份，请向管理员查询。"]
    return Reply("\n".join(lines))


def _certificate_lines(ctx: Context, held: IssuedCertificate) -> list[str]:
    body = held.body
    head = f"《{body.facts.title}》{body.heading}（{chinese_date(body.issued_on)}发）"
    if not held.is_valid:
        ended = chinese_date(day_of(held.changed_at)) if held.changed_at is not None else ""
        onward = f"，新编号 {held.replaced_by}" if held.replaced_by else ""
        return [head, f"编号 {held.number}：{STATE_LABELS[held.state]}（{ended}，原因：{held.reason}）{onward}"]
    lines = [head, f"编号 {held.number}，校验码 {code_text(held.code)}"]
    if ctx.pages:
        lines.append(f"图片、PDF 和核验：{ctx.pages}{page_path(full_number(held.number, held.code))}")
    return lines


# ── For administrators ──


Number = Annotated[str, ActValue("证书编号", "证书编号，例如 XF-2026-000123-K")]
Reason = Annotated[str, ActValue("原因", "原因，记入审计；本人可见，公开页不显示", "--reason")]
Title = Annotated[str | None, ActValue("名称", "考试、竞赛或学习的名称", "--title")]
Result = Annotated[str | None, ActValue("结果", "结果，照写在证书上，例如“成绩 92 分，考试合格”“荣获一等奖”", "--result")]
Hours = Annotated[str | None, ActValue("学时", "学时数", "--hours")]
Issuer = Annotated[str | None, ActValue("单位", "发证单位，不写即单位树的最上一级", "--issuer")]
Day = Annotated[date | None, ActValue("日期", "考试、竞赛或学习的日期，例如 2026-07-01", "--day", year="past")]
ACT_LABELS = {"issue": "签发", "none": "早已签发"}
KINDS = {"竞赛": "contest", "学习": "study", "考试": "exam"}
STATES = {label: state for state, label in STATE_LABELS.items()}


def _one_of(names: Mapping[str, str], option: str) -> Callable[[str], str]:
    """Reads a Chinese name, or the word that is stored, as the word that is stored."""

    def read(typed: str) -> str:
        if typed and typed not in names and typed not in names.values():
            raise Misuse(f"{option} 应为 {'、'.join(names)}。")
        return names.get(typed, typed)

    return read


@action(cli="certificate issue", effect=True)
def issue_certificates(
    act: Act,
    staff_nos: Annotated[list[str] | None, ActValue("工号", "工号，可多个；用 --exam 时不写")] = None,
    exam: Annotated[int | None, ActValue("编号", "给这场考试所有合格的人，内容按成绩填写", "--exam")] = None,
    title: Title = None,
    kind: Annotated[str, ActValue("种类", "竞赛、学习、考试（也可写 contest、study、exam）", "--kind", read=_one_of(KINDS, "--kind"))] = "contest",
    day: Day = None,
    result: Result = None,
    hours: Hours = None,
    issuer: Issuer = None,
) -> Outcome:
    """给一个或多个人发证：先列出会发哪些；加 --apply 才签发。同一人、同一名称和日期只发一份，重复执行不变。"""
    if exam is None and not (staff_nos and title):
        raise Misuse("请写明工号和 --title，或用 --exam 指明一场考试。")
    if exam is not None and (staff_nos or title or day or result or hours or issuer):
        raise Misuse("--exam 按成绩填写证书，不能再写工号、名称、日期、结果、学时和发证单位。")
    act.require_whole_agency()
    if exam is not None:
        wanted = _wanted_of_exam(act, exam)
    else:
        more = (result or "", hours or "", issuer or "")
        wanted = [_wanted_by_name(act, staff_no, kind, title or "", day or act.today, *more) for staff_no in dict.fromkeys(staff_nos or ())]
    steps = certificates.issue_many(act.session, wanted, act.now, by=act.author.actor, via=act.author.via, apply=act.applies)
    lines = [f"{name}：{ACT_LABELS[step.act]}{f' {step.after.number}' if step.after is not None else ''}" for name, step in steps]
    issued_count = sum(step.act == "issue" for _, step in steps)
    lines.append(f"共 {len(steps)} 人，{'签发' if act.applies else '将签发'} {issued_count} 份。")
    issued = [{"staff_no": name, "act": step.act, "number": None if step.after is None else step.after.number} for name, step in steps]
    return Outcome({"certificates": issued}, lines, unchanged=not issued_count)


def _wanted_of_exam(act: Act, exam_id: int) -> list[WantedCertificate]:
    exam = exams.get(act.session, exam_id)
    if exam is None:
        raise Refusal(f"没有编号为 {exam_id} 的考试，请核对。")
    if not exam.tells_score:
        raise Refusal(f"考试 {exam_id}《{exam.name}》的成绩还不能公布，没有发证：等考试结束或公布成绩后再发。")
    return certificates.list_wanted(act.session, act.catalog, exam)


def _wanted_by_name(act: Act, staff_no: str, kind: str, title: str, day: date, result: str, hours: str, issuer: str) -> WantedCertificate:
    person = accounts.person_by_staff_no(act.session, staff_no)
    if person is None:
        raise Refusal(f"花名册里没有工号 {staff_no[:40]}，一份都没有签发，请核对。")
    facts = certificates.build_facts(act.session, person[0], kind, title, day, result=result, hours=hours, name=person[1], issuer=issuer)
    return WantedCertificate(staff_no, person[0], ("named", f"{kind}:{day.isoformat()}:{facts.title}"), facts)


@action(cli="certificate revoke", effect=True, final=True)
def revoke_certificate(act: Act, number: Number, reason: Reason) -> Outcome:
    """撤销一份证书：公开页随即显示「已撤销」，不能恢复，只能换发。"""
    act.require_whole_agency()
    held = certificates.require_certificate(act.session, number)
    revoked = certificates.revoke(act.session, held, reason, act.now, by=act.author.actor, via=act.author.via)
    line = (
        f"撤销 {revoked.number}（{revoked.staff_no} {revoked.body.facts.name}《{revoked.body.facts.title}》），公开页随即显示「已撤销」，不能恢复。"
    )
    return Outcome(certificate_json(revoked), line, f"已撤销：{revoked.number}（{revoked.staff_no} {revoked.body.facts.name}）。")


@action(cli="certificate replace", effect=True, final=True)
def replace_certificate(
    act: Act,
    number: Number,
    reason: Reason,
    name: Annotated[str | None, ActValue("姓名", "姓名", "--name")] = None,
    unit: Annotated[str | None, ActValue("单位", "单位", "--unit")] = None,
    title: Title = None,
    day: Day = None,
    result: Result = None,
    hours: Hours = None,
    issuer: Issuer = None,
) -> Outcome:
    """换发：旧编号显示「已换发」，新证书只改写明的几项，其余照旧。"""
    act.require_whole_agency()
    fields = {"name": name, "unit": unit, "title": title, "day": day, "result": result, "hours": hours, "issuer": issuer}
    changed: dict[str, Any] = {key: value for key, value in fields.items() if value is not None}
    held = certificates.require_certificate(act.session, number)
    facts = replace(held.body.facts, **changed)
    issued = certificates.replace(act.session, held, facts, reason, act.now, by=act.author.actor, via=act.author.via)
    lines = [f"换发 {held.number}（{held.staff_no} {facts.name}），旧编号显示「已换发」。", issued.body.sentence]
    return Outcome(certificate_json(issued), lines, f"已换发，新编号 {issued.number}，校验码 {code_text(issued.code)}。")


@action(cli="certificate list")
def list_certificates(
    act: Act,
    staff_no: Annotated[str, ActValue("工号", "只看一个人", "--staff-no")] = "",
    state: Annotated[str, ActValue("状态", "有效、已撤销、已换发，或 valid、revoked、replaced", "--state", read=_one_of(STATES, "--state"))] = "",
    kind: Annotated[str, ActValue("种类", "竞赛、学习、考试（也可写 contest、study、exam）", "--kind", read=_one_of(KINDS, "--kind"))] = "",
) -> Outcome:
    """列出证书，新的在前，至多 1000 份。"""
    act.require_whole_agency()
    found = certificate.list_certificates(act.session, staff_no, state, kind)
    lines = [
        f"{held.number}　{STATE_LABELS[held.state]}　{held.staff_no} {held.body.facts.name}　{held.body.facts.title}　{held.body.issued_on}"
        + (f"　→ {held.replaced_by}" if held.replaced_by else "")
        + (f"　（{held.reason}）" if held.reason else "")
        for held in found
    ]
    return Outcome([certificate_json(held) for held in found], lines or ["没有证书。"])


def certificate_json(held: IssuedCertificate) -> dict[str, Any]:
    """A certificate for scripts."""
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
