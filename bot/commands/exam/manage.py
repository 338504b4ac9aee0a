"""Chat commands for administrators (考试 新建, 发布, 进度, 加时 …): draft, publish, watch, extend, close, release and make up exams."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.commands.campaign.manage import author, text_after
from bot.commands.exam import messages
from bot.commands.exam.sit import ADMIN_VERBS
from bot.commands.router import Context
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.exam.exam import EXTENSION_LABELS, Exam, WantedExam, clock_text, parse_gate, parse_results_rule
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.audience import parse_audience
from bot.domain.people.person import RoleName
from bot.domain.text.dates import read_span
from bot.services.exam import extra_time, manage
from bot.storage.exam import attempts
from bot.storage.people import audience

MAX_LISTED = 15
NEW_USAGE = "考试 新建 名称；开放时间；对象；蓝图；依据=要点第几条"
NEW_EXAMPLE = (
    "考试 新建 年度学法考试；2026-03-10 09:00 至 2026-03-12 18:00；单位=某局（含下级）；民法典 单选 10×2、多选 10×3、判断 10×1；案例≥30%；60 分钟；"
    "及格 60%；条件=必修 2 课；出分=结束后；依据=年度要点第三条"
)
EXTRAS = ("条件", "迟到", "次数", "出分", "宽限", "依据")
_EXTRA = re.compile(rf"({'|'.join(EXTRAS)})\s*[=:：]\s*(.*)")
_EXTEND = re.compile(r"#?(\d{1,9})\s+(\S{1,40})\s+(\d{1,4})\s*(?:分钟?)?\s+(?:原因\s*[=:：]\s*)?(\S.*)", re.DOTALL)
_MAKEUP = re.compile(r"#?(\d{1,9})\s+(\d{4}-\d{2}-\d{2}\s.*?)(?:\s+(缺考和不及格|缺考|不及格))?(?:\s+最多\s*(\d{1,4}(?:\.\d{1,3})?)\s*分?)?")


@dataclass(frozen=True, slots=True)
class AdminVerb:
    """A word after 考试 for administrators: what it does and how it is written."""

    do: Callable[[Context, str], Reply]
    usage: str


def parse_exam_id(text: str, example: str) -> int:
    match = re.fullmatch(r"#?(\d{1,9})", text.strip())
    if match is None:
        raise Refusal(f"请写考试的编号，例如「{example}」。发送「考试 管理」看列表。")
    return int(match[1])


def read_extras(pieces: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The pieces of a line that are no extra, and what the extras say, as values of `WantedExam`. Raises `Refusal`."""
    rest: list[str] = []
    values: dict[str, str] = {}
    for piece in pieces:
        match = _EXTRA.fullmatch(piece)
        if match is None:
            rest.append(piece)
        else:
            values[match[1]] = match[2].strip()
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "条件": ("gate", parse_gate),
        "迟到": ("late_minutes", lambda text: _parse_count(text, "迟到")),
        "次数": ("attempts", lambda text: _parse_count(text, "次数")),
        "出分": ("results", parse_results_rule),
        "宽限": ("grace_seconds", lambda text: _parse_count(text, "宽限")),
        "依据": ("clause", str),
    }
    return rest, {readers[key][0]: readers[key][1](value) for key, value in values.items()}


def _parse_count(text: str, label: str) -> int:
    match = re.fullmatch(r"(\d{1,4})\s*(?:分钟|秒|次)?", text)
    if match is None:
        raise Refusal(f"{label}请写数字，例如 {label}=3。")
    return int(match[1])


# ── Before ──


def _new(ctx: Context, _: str) -> Reply:
    pieces = [piece.strip() for piece in re.split(r"[;；\n]", text_after(ctx, "新建")) if piece.strip()]
    if len(pieces) < 4:
        raise Refusal(f"请写全四项，用分号隔开：{NEW_USAGE}\n例如：{NEW_EXAMPLE}")
    name, window, audience_text, *further = pieces
    blueprint_pieces, extras = read_extras(further)
    opens, closes = read_span(window, ctx.today)
    wanted = WantedExam(name, parse_blueprint("；".join(blueprint_pieces)), parse_audience(audience_text), opens, closes, **extras)
    exam_id = manage.create(ctx.session, ctx.catalog, author(ctx), wanted, ctx.now)
    preview = _show(ctx, str(exam_id))
    return Reply(f"已起草，还没有发布。请先看一遍：\n{preview.text}\n确认无误请发「考试 发布 {exam_id}」。", buttons=preview.buttons)


def _show(ctx: Context, text: str) -> Reply:
    exam = manage.require_exam(ctx.session, author(ctx), parse_exam_id(text, "考试 看 12"))
    lines = messages.exam_lines(exam)
    if exam.state == "draft":
        preview = manage.preview(ctx.session, ctx.catalog, exam, ctx.now)
        lines.append(messages.invited_line(preview.count, preview.names))
        lines += [f"⚠ 现在出不了卷：{'；'.join(preview.lacking)}。"] if preview.lacking else []
    else:
        lines += messages.progress_lines(exam, manage.progress(ctx.session, author(ctx), exam.id, ctx.now))
    return Reply("\n".join(lines), buttons=_next_steps(exam))


def _next_steps(exam: Exam) -> tuple[Option, ...]:
    steps = {"draft": ("发布", "取消"), "published": ("进度", "申请", "结束"), "closed": ("进度", "补考"), "released": ("进度", "补考")}
    release = ("公布",) if _awaits_release(exam) else ()
    return tuple(Option(f"考试 {step} {exam.id}", step) for step in (*release, *steps.get(exam.state, ())))


def _awaits_release(exam: Exam) -> bool:
    """Whether the results of an exam that is over wait for somebody to release them."""
    return exam.state == "closed" and exam.results == "after_release"


def _list(ctx: Context, _: str) -> Reply:
    exams = manage.list_exams(ctx.session, author(ctx))
    if not exams:
        return Reply(f"还没有考试。新建一场请发：\n{NEW_EXAMPLE}")
    lines = [f"共 {len(exams)} 场，新的在前：", *(messages.managed_exam_line(exam) for exam in exams[:MAX_LISTED])]
    lines.append("可以说：" + "、".join(verb.usage for verb in VERBS.values()) + "。")
    return Reply("\n".join(lines), buttons=tuple(Option(f"考试 看 {exam.id}", exam.name[:12]) for exam in exams[:4]))


def _publish(ctx: Context, text: str) -> Reply:
    exam_id = parse_exam_id(text, "考试 发布 12")
    exam = manage.require_exam(ctx.session, author(ctx), exam_id)
    preview = manage.preview(ctx.session, ctx.catalog, exam, ctx.now)
    manage.publish(ctx.session, ctx.catalog, author(ctx), exam_id, ctx.now)
    return Reply(
        f"✅ 考试 {exam_id}《{exam.name}》已发布，应考 {preview.count} 人，邀请和到期提醒会自动发出。进度发「考试 进度 {exam_id}」。",
        buttons=(Option(f"考试 进度 {exam_id}", "看进度"),),
    )


# ── Meanwhile ──


def _progress(ctx: Context, text: str) -> Reply:
    exam = manage.require_exam(ctx.session, author(ctx), parse_exam_id(text, "考试 进度 12"))
    lines = messages.progress_lines(exam, manage.progress(ctx.session, author(ctx), exam.id, ctx.now))
    return Reply("\n".join(lines), buttons=(Option(f"考试 进度 {exam.id}", "再看"), *_report_buttons(ctx, exam)))


def _report_buttons(ctx: Context, exam: Exam) -> tuple[Option, ...]:
    """The reports of an exam that this administrator may see: those of supervisors are answered as unknown to others."""
    items = (Option(f"题目分析 {exam.id}", "题目分析"),) if exam.is_over else ()
    return (*items, Option(f"报表 考试 {exam.id}", "报表")) if ctx.me.may(RoleName.SUPERVISOR) else items


def _request_extension(kind: str) -> Callable[[Context, str], Reply]:
    label = EXTENSION_LABELS[kind]

    def ask(ctx: Context, text: str) -> Reply:
        match = _EXTEND.fullmatch(text)
        if match is None:
            raise Refusal(f"请写明考试编号、工号、分钟数和原因，例如「考试 {label} 12 1001 10 会议室断网」。")
        request = extra_time.request_extra_time(ctx.session, author(ctx), int(match[1]), match[2], kind, int(match[3]), match[4], ctx.now)
        return Reply(
            f"已申请（编号 {request.id}）：为 {match[2]} {label} {request.minutes} 分钟，原因：{request.reason}。"
            f"请另一位管理员发「考试 批准 {request.id}」，批准后马上生效。"
        )

    return ask


def _approve(ctx: Context, text: str) -> Reply:
    request, attempt = extra_time.approve(ctx.session, author(ctx), parse_exam_id(text, "考试 批准 3"), ctx.now)
    label = EXTENSION_LABELS[request.kind]
    return Reply(
        f"✅ 已批准并生效：{label} {request.minutes} 分钟，新的截止时间 {clock_text(attempt.deadline)}；"
        f"{request.asked_by} 申请，您批准，已留痕并通知本人。"
    )


def _list_requests(ctx: Context, text: str) -> Reply:
    requests = extra_time.list_requests(ctx.session, author(ctx), parse_exam_id(text, "考试 申请 12"), ctx.now)
    if not requests:
        return Reply("这场考试没有加时或重开的申请。")
    lines = []
    for request, stands in requests:
        attempt = attempts.get(ctx.session, request.sitting_id)
        person = audience.get_person(ctx.session, attempt.person_id) if attempt is not None else None
        lines.append(messages.request_line(request, person[1] if person is not None else "?", stands=stands))
    approvable = [request for request, stands in requests if stands]
    return Reply("\n".join(lines), buttons=tuple(Option(f"考试 批准 {request.id}", f"批准 {request.id}") for request in approvable[:4]))


# ── The end ──


def _close(ctx: Context, text: str) -> Reply:
    first, _, reason = text.partition(" ")
    exam_id = parse_exam_id(first, "考试 结束 12 原因")
    handed_in = manage.close(ctx.session, ctx.catalog, author(ctx), exam_id, reason, ctx.now)
    step = (
        Option(f"考试 公布 {exam_id}", "公布成绩")
        if _awaits_release(manage.require_exam(ctx.session, author(ctx), exam_id))
        else Option(f"考试 进度 {exam_id}", "看结果")
    )
    return Reply(f"✅ 考试 {exam_id} 已结束，代交 {handed_in} 份，已答的都算。", buttons=(step,))


def _cancel(ctx: Context, text: str) -> Reply:
    first, _, reason = text.partition(" ")
    exam_id = parse_exam_id(first, "考试 取消 12 原因")
    ended = manage.cancel(ctx.session, ctx.catalog, author(ctx), exam_id, reason, ctx.now)
    return Reply(f"✅ 考试 {exam_id} 已取消，{ended} 人正在考的已停下；作答仍有记录，不计成绩和学时。")


def _release(ctx: Context, text: str) -> Reply:
    exam = manage.release(ctx.session, author(ctx), parse_exam_id(text, "考试 公布 12"), ctx.now)
    return Reply(f"✅ 考试 {exam.id}《{exam.name}》成绩已公布，会通知参考人员。", buttons=(Option(f"考试 进度 {exam.id}", "看结果"),))


def _makeup(ctx: Context, text: str) -> Reply:
    match = _MAKEUP.fullmatch(text)
    if match is None:
        raise Refusal("请写明补哪一场、什么时候，例如「考试 补考 12 2026-03-20 09:00 至 11:00 缺考和不及格 最多 60 分」。")
    opens, closes = read_span(match[2], ctx.today)
    rule = next((key for key, label in manage.MAKEUP_RULES.items() if label == match[3]), "both")
    cap = None if match[4] is None else round(float(match[4]) * 1000)
    exam_id = manage.create_makeup(ctx.session, ctx.catalog, author(ctx), int(match[1]), opens, closes, ctx.now, rule=rule, cap=cap)
    preview = _show(ctx, str(exam_id))
    return Reply(f"补考已起草，还没有发布：\n{preview.text}\n确认无误请发「考试 发布 {exam_id}」。", buttons=preview.buttons)


VERBS = {
    "管理": AdminVerb(_list, "考试 管理"),
    "新建": AdminVerb(_new, "考试 新建 …"),
    "看": AdminVerb(_show, "考试 看 12"),
    "发布": AdminVerb(_publish, "考试 发布 12"),
    "进度": AdminVerb(_progress, "考试 进度 12"),
    "加时": AdminVerb(_request_extension("time"), "考试 加时 12 工号 分钟 原因"),
    "重开": AdminVerb(_request_extension("reopen"), "考试 重开 12 工号 分钟 原因"),
    "申请": AdminVerb(_list_requests, "考试 申请 12"),
    "批准": AdminVerb(_approve, "考试 批准 3"),
    "结束": AdminVerb(_close, "考试 结束 12 原因"),
    "取消": AdminVerb(_cancel, "考试 取消 12 原因"),
    "公布": AdminVerb(_release, "考试 公布 12"),
    "补考": AdminVerb(_makeup, "考试 补考 12 时间"),
}
ADMIN_VERBS.update({word: verb.do for word, verb in VERBS.items()})
