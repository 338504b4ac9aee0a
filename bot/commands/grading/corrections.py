"""Command 更正: an administrator corrects a wrong key, sees whose result changes, and a second administrator confirms."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import clean_content
from bot.domain.grading.correction import AMENDMENT_HELP, SCOPE_LABELS, parse_amendment
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.times import chinese_day, day_of
from bot.services.campaign.manage import author_of
from bot.services.grading import correction_subject
from bot.services.grading import corrections as grading_corrections
from bot.services.grading.corrections import WantedCorrection
from bot.services.library import key_visibility
from bot.storage.grading import corrected_papers, corrections

SHOWN = 10
EXAMPLE = "更正 考试 3 jcf-4-01 改 B 原因=解析与条文不符"
STATES = {"proposed": "待确认", "applied": "已生效", "dropped": "已撤回"}
_SCOPE = {label: scope for scope, label in SCOPE_LABELS.items()}
_NEW = re.compile(rf"(?:({'|'.join(_SCOPE)}|报告)\s*)?#?(\d{{1,9}})\s+(?:([A-Za-z0-9][\w@-]{{0,60}})\s+)?(.+)", re.DOTALL)
_REASON = re.compile(r"[;；，,\s]*原因\s*[=:：]\s*(.+)", re.DOTALL)


def _author(ctx: Context) -> Author:
    return author_of(ctx.session, ctx.me, ctx.incoming.sender.channel)


@command("更正", role=RoleName.ADMIN, argument="<考试 编号 题号 改 B 原因=…>")
def correct(ctx: Context, text: str) -> Reply:
    """改正考试、竞赛里标准答案错了的题：先看影响谁，再由另一位管理员“更正 确认 编号”；“更正 报告 12 改 B 原因=…”按纠错报告改。"""
    key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
    if not text:
        return _list(ctx)
    word, _, rest = text.partition(" ")
    if word in _DECISIONS:
        return _DECISIONS[word](ctx, _parse_number(rest, f"更正 {word} 7"))
    if re.fullmatch(r"#?\d{1,9}", text):
        return _view(ctx, _parse_number(text, "更正 7"))
    return _propose(ctx, text)


def _parse_number(text: str, example: str) -> int:
    match = re.fullmatch(r"#?(\d{1,9})", text.strip())
    if match is None:
        raise Refusal(f"请写更正的编号，例如「{example}」。发送「更正」看列表。")
    return int(match[1])


def _list(ctx: Context) -> Reply:
    visible = []
    hidden = key_visibility.hidden_questions(ctx.session, ctx.me.id)
    for correction in corrections.list_newest(ctx.session):
        if correction.question in hidden:
            continue
        try:
            grading_corrections.require_correction(ctx.session, _author(ctx), correction.id)
        except Refusal:
            continue
        visible.append(correction)
    lines = ["更正题目："] if visible else ["还没有更正过题目。"]
    for correction in visible[:SHOWN]:
        name = corrections.subject_name(ctx.session, correction.scope, correction.ref)
        day = chinese_day(day_of(correction.proposed_at))
        lines.append(
            f"#{correction.id} {STATES[correction.state]}　{SCOPE_LABELS[correction.scope]} {correction.ref}「{name}」{correction.question}："
            f"{correction.amendment}（{day} {correction.proposed_by} 提出）"
        )
    lines += [f"新的更正例如「{EXAMPLE}」；{AMENDMENT_HELP}。题号在「题目分析 3」里（3 是考试编号）。"]
    waiting = [correction for correction in visible if correction.state == "proposed"]
    return Reply("\n".join(lines), buttons=tuple(Option(f"更正 {correction.id}", f"看 #{correction.id}") for correction in waiting[:3]))


def _propose(ctx: Context, text: str) -> Reply:
    reason = _REASON.search(clean_content(ctx.incoming.text))
    body = _REASON.sub("", text).strip()
    match = _NEW.fullmatch(body)
    if match is None or reason is None:
        raise Refusal(f"请写明哪场考试、哪道题、怎么改、为什么，例如「{EXAMPLE}」。{AMENDMENT_HELP}。")
    kind, number, question, amended = match[1] or "考试", int(match[2]), match[3] or "", match[4].strip()
    if kind == "报告":
        wanted = _wanted_of_report(ctx, number, f"{question} {amended}".strip(), reason[1])
    elif not question:
        raise Refusal(f"请写明题目编号，例如「{EXAMPLE}」。题号在「题目分析 3」里（3 是考试编号）。")
    else:
        wanted = _wanted(ctx, _SCOPE[kind], number, question, amended, reason[1])
    proposed = grading_corrections.propose(ctx.session, ctx.catalog, _author(ctx), wanted, ctx.now, asks=True)
    return _view(ctx, proposed.id, f"{messages.RECORDED}。" if proposed.state == "proposed" else "")


def _wanted(ctx: Context, scope: str, subject_id: int, question: str, amended: str, reason: str, report_id: int | None = None) -> WantedCorrection:
    _require_not_on_own_paper(ctx, question)
    subject = correction_subject.load_subject(ctx.session, _author(ctx), scope, subject_id)
    version_id = grading_corrections.named_version(ctx.session, subject, question)
    amendment = parse_amendment(amended, ctx.catalog.question(ctx.session, version_id))
    return WantedCorrection(scope, subject_id, question, amendment, reason.strip(), report_id)


def _require_not_on_own_paper(ctx: Context, question: str) -> None:
    """Raises `Refusal` for an item of an exam that this administrator has sat and others still may: the key stands in every answer here."""
    if question.partition("@")[0].strip() in key_visibility.hidden_questions(ctx.session, ctx.me.id):
        raise Refusal(f"题目 {question[:40]} 在您的考试卷里，考试结束前请由另一位管理员更正。")


def _wanted_of_report(ctx: Context, number: int, amended: str, reason: str) -> WantedCorrection:
    """The question that a reader reported, in the exam or contest in which it was answered, or the only one that had it."""
    reported = corrected_papers.reported_question(ctx.session, number)
    if reported is None:
        raise Refusal(f"没有编号为 #{number} 的纠错报告。发送「纠错」看列表。")
    if not reported.uses:
        raise Refusal(f"题 {reported.question} 没有在考试或竞赛里用过：请在题库文件里改好，重新加载即成为新版本，再发「纠错 回复 {number} 内容」。")
    if len(reported.uses) > 1:
        uses = [f"{SCOPE_LABELS[scope]} {subject_id}" for scope, subject_id in reported.uses]
        raise Refusal(
            f"题 {reported.question} 在 {'、'.join(uses)} 里都用过，请写明哪一场：「更正 {uses[0]} {reported.question} {amended} 原因=…」。"
        )
    scope, subject_id = reported.uses[0]
    return _wanted(ctx, scope, subject_id, f"{reported.question}@{reported.version_id}", amended, reason, number)


def _view(ctx: Context, number: int, before: str = "") -> Reply:
    correction, impact = grading_corrections.view_correction(ctx.session, ctx.catalog, _author(ctx), number, ctx.now)
    _require_not_on_own_paper(ctx, correction.question)
    lines = [f"{before}更正 #{number}　{STATES[correction.state]}", *impact.as_text(SHOWN)]
    if correction.state != "proposed":
        lines.append(f"{correction.proposed_by} 提出，{correction.decided_by} {'确认' if correction.state == 'applied' else '撤回'}。")
        return Reply("\n".join(lines))
    lines.append("以上是试算，还没有改。确认前这场成绩暂不公布；学员当时的题目和作答原样保留。")
    needs_second = grading_corrections.names_needed(ctx.catalog, ctx.now) > 1
    lines.append(f"{'请另一位管理员' if needs_second else ''}发「更正 确认 {number}」生效，发「更正 撤回 {number}」作罢。")
    return Reply("\n".join(lines), buttons=(Option(f"更正 确认 {number}", "确认生效"), Option(f"更正 撤回 {number}", "撤回")))


def _confirm(ctx: Context, number: int) -> Reply:
    _require_not_on_own_paper(ctx, grading_corrections.require_correction(ctx.session, _author(ctx), number).question)
    impact = grading_corrections.apply(ctx.session, ctx.catalog, _author(ctx), number, ctx.now)
    notified = len({effect.person_id for effect in impact.changed}) if impact.is_told else 0
    closing = [f"已通知 {notified} 人。"] if notified else [] if impact.is_told else ["成绩还没有公布，公布时即为更正后的成绩。"]
    return Reply("\n".join([f"{messages.RECORDED}。更正 #{number} 已生效。", *impact.as_text(SHOWN), *closing]), done="已确认")


def _drop(ctx: Context, number: int) -> Reply:
    grading_corrections.drop(ctx.session, _author(ctx), number, ctx.now)
    return Reply(f"{messages.RECORDED}。更正 #{number} 已撤回，什么都没有改动。", done="已撤回")


_DECISIONS: dict[str, Callable[[Context, int], Reply]] = {"确认": _confirm, "撤回": _drop, "撤销": _drop}
