"""Corrections of wrong keys (更正, `exam correct`, `contest correct`): proposed, seen with whose result changes, confirmed by a second person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from bot.commands import actions
from bot.commands.actions import Act, ActValue, Outcome, act_of, action
from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.domain.campaign.content import clean_content
from bot.domain.grading.correction import AMENDMENT_HELP, SCOPE_LABELS, parse_amendment
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.times import chinese_day, day_of
from bot.services.grading import correction_subject
from bot.services.grading import corrections as grading_corrections
from bot.services.grading.corrections import WantedCorrection
from bot.services.library import key_visibility
from bot.storage.grading import corrections

SHOWN = 10
EXAMPLE = "更正 考试 3 jcf-4-01 改 B 原因=解析与条文不符"
STATES = {"proposed": "待确认", "applied": "已生效", "dropped": "已撤回"}
_SCOPE = {label: scope for scope, label in SCOPE_LABELS.items()}
_NEW = re.compile(rf"(?:({'|'.join(_SCOPE)}|报告)\s*)?#?(\d{{1,9}})\s+(?:([A-Za-z0-9][\w@-]{{0,60}})\s+)?(.+)", re.DOTALL)
_REASON = re.compile(r"[;；，,\s]*原因\s*[=:：]\s*(.+)", re.DOTALL)


ASK_ID = "请写更正的编号，例如「{usage}」。发送「更正」看列表。"
Id = Annotated[int, ActValue("编号", "更正编号", ask=ASK_ID)]


@command("更正", role=RoleName.ADMIN, argument="<考试 编号 题号 改 B 原因=…>")
def correct(ctx: Context, text: str) -> Reply:
    """改正考试、竞赛里标准答案错了的题：先看影响谁，再由另一位管理员“更正 确认 编号”；“更正 报告 12 改 B 原因=…”按纠错报告改。"""
    key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
    if not text:
        return _list(ctx)
    word, _, rest = text.partition(" ")
    decisions = actions.under("更正")
    if word in decisions:
        return decisions[word].say(ctx, rest, f"更正 {word}")
    if re.fullmatch(r"#?\d{1,9}", text):
        return view_correction.say(ctx, text)
    return propose_correction.say(ctx, text)


def _list(ctx: Context) -> Reply:
    visible = []
    hidden = key_visibility.hidden_questions(ctx.session, ctx.me.id)
    for correction in corrections.list_newest(ctx.session):
        if correction.question in hidden:
            continue
        try:
            grading_corrections.require_correction(ctx.session, act_of(ctx).author, correction.id)
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


def _parse_proposal(ctx: Context, word: str, text: str) -> Mapping[str, Any]:
    reason = _REASON.search(clean_content(ctx.incoming.text))
    match = _NEW.fullmatch(_REASON.sub("", text).strip())
    if match is None or reason is None:
        raise Refusal(f"请写明哪场考试、哪道题、怎么改、为什么，例如「{EXAMPLE}」。{AMENDMENT_HELP}。")
    kind, number, question, amended = match[1] or "考试", int(match[2]), match[3] or "", match[4].strip()
    if kind == "报告":
        scope, number, question, amended, report_id = _reported(ctx, number, f"{question} {amended}".strip())
    elif not question:
        raise Refusal(f"请写明题目编号，例如「{EXAMPLE}」。题号在「题目分析 3」里（3 是考试编号）。")
    else:
        scope, report_id = _SCOPE[kind], None
    _require_not_on_own_paper(act_of(ctx), question)
    return {"scope": scope, "ref": number, "question": question, "amended": amended, "reason": reason[1], "report_id": report_id}


def _reported(ctx: Context, number: int, amended: str) -> tuple[str, int, str, str, int]:
    """The question that a reader reported, in the exam or contest in which it was answered, or the only one that had it."""
    reported = corrections.reported_question(ctx.session, number)
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
    return scope, subject_id, f"{reported.question}@{reported.version_id}", amended, number


def _wanted(act: Act, scope: str, ref: int, question: str, amended: str, reason: str, report_id: int | None = None) -> WantedCorrection:
    subject = correction_subject.load_subject(act.session, act.author, scope, ref)
    version_id = grading_corrections.named_version(act.session, subject, question)
    amendment = parse_amendment(amended, act.catalog.question(act.session, version_id))
    return WantedCorrection(scope, ref, question, amendment, reason.strip(), report_id)


def _require_not_on_own_paper(act: Act, question: str) -> None:
    """Raises `Refusal` for an item of an exam that this administrator has sat and others still may: the key stands in every answer here."""
    if act.learner is not None and question.partition("@")[0].strip() in key_visibility.hidden_questions(act.session, act.learner.id):
        raise Refusal(f"题目 {question[:40]} 在您的考试卷里，考试结束前请由另一位管理员更正。")


Ref = Annotated[int, ActValue("编号", "考试或竞赛的编号")]
Question = Annotated[str, ActValue("题号", "题目编号，见 report 题目分析；有几个版本时写 题号@版本")]
Amended = Annotated[str, ActValue("怎么改", AMENDMENT_HELP)]
Reason = Annotated[str, ActValue("原因", "原因，必填，会写进通知和审计", "--reason")]


@action("更正", usage=EXAMPLE, parse=_parse_proposal)
def propose_correction(
    act: Act,
    scope: Annotated[str, ActValue("考试或竞赛")],
    ref: Ref,
    question: Question,
    amended: Amended,
    reason: Reason,
    report_id: Annotated[int | None, ActValue("报告")] = None,
) -> Outcome:
    """提出一次更正：先看影响谁，确认前这场成绩暂不公布。"""
    wanted = _wanted(act, scope, ref, question, amended, reason, report_id)
    proposed = grading_corrections.propose(act.session, act.catalog, act.author, wanted, act.now, asks=True)
    return _view(act, proposed.id, f"{messages.RECORDED}。" if proposed.state == "proposed" else "")


@action("更正 看", usage="更正 7")
def view_correction(act: Act, number: Id) -> Outcome:
    """看一次更正和它影响谁。"""
    return _view(act, number)


def _view(act: Act, number: int, before: str = "") -> Outcome:
    correction, impact = grading_corrections.view_correction(act.session, act.catalog, act.author, number, act.now)
    _require_not_on_own_paper(act, correction.question)
    lines = [f"{before}更正 #{number}　{STATES[correction.state]}", *impact.as_text(SHOWN)]
    if correction.state != "proposed":
        lines.append(f"{correction.proposed_by} 提出，{correction.decided_by} {'确认' if correction.state == 'applied' else '撤回'}。")
        return Outcome(reply=Reply("\n".join(lines)))
    lines.append("以上是试算，还没有改。确认前这场成绩暂不公布；学员当时的题目和作答原样保留。")
    needs_second = grading_corrections.names_needed(act.catalog, act.now) > 1
    lines.append(f"{'请另一位管理员' if needs_second else ''}发「更正 确认 {number}」生效，发「更正 撤回 {number}」作罢。")
    return Outcome(reply=Reply("\n".join(lines), buttons=(Option(f"更正 确认 {number}", "确认生效"), Option(f"更正 撤回 {number}", "撤回"))))


@action("更正 确认", usage="更正 确认 7")
def confirm_correction(act: Act, number: Id) -> Outcome:
    """让一次更正生效；按规则 R1 须由提出者以外的人确认。"""
    _require_not_on_own_paper(act, grading_corrections.require_correction(act.session, act.author, number).question)
    if grading_corrections.adopt(act.session, act.catalog, act.author, number, act.now):
        correction = grading_corrections.require_correction(act.session, act.author, number)
        told = f"{messages.RECORDED}。更正 #{number} 现在由您具名提出，还没有生效。{grading_corrections.waits_for(correction)}"
        return Outcome(reply=Reply(told))
    impact = grading_corrections.apply(act.session, act.catalog, act.author, number, act.now)
    notified = len({effect.person_id for effect in impact.changed}) if impact.is_told else 0
    closing = [f"已通知 {notified} 人。"] if notified else [] if impact.is_told else ["成绩还没有公布，公布时即为更正后的成绩。"]
    text = "\n".join([f"{messages.RECORDED}。更正 #{number} 已生效。", *impact.as_text(SHOWN), *closing])
    return Outcome(reply=Reply(text, done="已确认"))


@action("更正 撤回", "更正 撤销", usage="更正 撤回 7")
def drop_correction(act: Act, number: Id) -> Outcome:
    """收回一次还没有生效的更正，什么都不改。"""
    grading_corrections.drop(act.session, act.author, number, act.now)
    return Outcome(reply=Reply(f"{messages.RECORDED}。更正 #{number} 已撤回，什么都没有改动。", done="已撤回"))


@action(cli="exam correct", effect=True)
def correct_exam(act: Act, ref: Ref, question: Question, amended: Amended, reason: Reason) -> Outcome:
    """更正考试题目：列出谁的成绩、名次、合格、学时、证书会变；加 --apply 提出，第二人在聊天里确认后生效，重复执行不变。"""
    return _correct(act, _wanted(act, "exam", ref, question, amended, reason))


@action(cli="contest correct", effect=True)
def correct_contest(act: Act, ref: Ref, question: Question, amended: Amended, reason: Reason) -> Outcome:
    """更正竞赛题目：列出谁的成绩、名次会变；加 --apply 提出，第二人在聊天里确认后生效，重复执行不变。"""
    return _correct(act, _wanted(act, "contest", ref, question, amended, reason))


def _correct(act: Act, wanted: WantedCorrection) -> Outcome:
    """At the shell: rehearsed; proposed, where the rule asks for two names; applied, where one is enough or it is in force already."""
    if not act.applies:
        impact = grading_corrections.rehearse(act.session, act.catalog, act.author, wanted, act.now)
        return Outcome(impact.as_json(), impact.as_text(shown=10_000))
    proposed = grading_corrections.propose(act.session, act.catalog, act.author, wanted, act.now, asks=True)
    if proposed.state == "proposed" and grading_corrections.names_needed(act.catalog, act.now) > 1:
        correction, impact = grading_corrections.view_correction(act.session, act.catalog, act.author, proposed.id, act.now)
        waits = grading_corrections.waits_for(correction)
        data = {**impact.as_json(), "state": "proposed", "waits_for": waits}
        done = f"已提出（更正 {proposed.id}），还没有生效，这场成绩暂不公布。{waits}"
        return Outcome(data, impact.as_text(shown=10_000), done, unchanged=True)
    impact = grading_corrections.apply(act.session, act.catalog, act.author, proposed.id, act.now)
    done = "已更正，有变化的人会收到通知。" if impact.is_new else ""
    return Outcome({**impact.as_json(), "state": "applied"}, impact.as_text(shown=10_000), done, unchanged=not impact.is_new)
