"""证书 in the chat: one's own certificates, each with its number and the page that shows it to anybody."""

from __future__ import annotations

from bot.commands.router import Context, command
from bot.domain.certificate import STATES, full_number, page_of, shown_code
from bot.domain.message import Option, Reply
from bot.domain.times import chinese_date, day_of
from bot.storage import certificate
from bot.storage.certificate import HeldCertificate

SHOWN = 5


@command("证书", "我的证书")
def mine(ctx: Context, _: str) -> Reply:
    """我的证书：编号、核验链接，链接页可下载图片和 PDF，也可转给别人核验。"""
    held = certificate.of_person(ctx.session, ctx.me.id)
    if not held:
        return Reply("您还没有证书。考试合格后自动发证，届时再发「证书」即可看到。", buttons=(Option("考试", "考试"), Option("学习", "学习")))
    # What holds comes first; of what does not, the owner is told why.
    ordered = sorted(held, key=lambda one: not one.is_valid)
    lines = [f"🏅 {ctx.me.name}的证书（共 {len(held)} 份）"]
    for one in ordered[:SHOWN]:
        lines += ["", *_lines(ctx, one)]
    if len(held) > SHOWN:
        lines += ["", f"…还有 {len(held) - SHOWN} 份，请向管理员查询。"]
    return Reply("\n".join(lines))


def _lines(ctx: Context, one: HeldCertificate) -> list[str]:
    body = one.body
    head = f"《{body.facts.title}》{body.heading}（{chinese_date(body.issued_on)}发）"
    if not one.is_valid:
        ended = chinese_date(day_of(one.changed_at)) if one.changed_at is not None else ""
        onward = f"，新编号 {one.replaced_by}" if one.replaced_by else ""
        return [head, f"编号 {one.number}：{STATES[one.state]}（{ended}，原因：{one.reason}）{onward}"]
    lines = [head, f"编号 {one.number}，校验码 {shown_code(one.code)}"]
    if ctx.pages:
        lines.append(f"图片、PDF 和核验：{ctx.pages}{page_of(full_number(one.number, one.code))}")
    return lines
