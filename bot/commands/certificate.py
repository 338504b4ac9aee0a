"""证书: a person's own certificates in the chat, each with its number and the page where anybody can verify it."""

from __future__ import annotations

from bot.commands.router import Context, command
from bot.domain.certificate import STATE_LABELS, code_text, full_number, page_path
from bot.domain.message import Option, Reply
from bot.domain.times import chinese_date, day_of
from bot.storage import certificate
from bot.storage.certificate import IssuedCertificate

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
