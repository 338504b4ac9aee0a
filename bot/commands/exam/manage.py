"""Exams for administrators (考试 管理, 发布, 加时 …, `exam …`): draft, publish, watch, extend, close, release, make up and export."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from bot.commands import actions
from bot.commands.actions import Act, ActValue, Outcome, action, draft_once, text_after
from bot.commands.exam import messages
from bot.commands.router import Context
from bot.domain.exam import blueprint
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.exam.exam import (
    EXTENSION_LABELS,
    Exam,
    WantedExam,
    clock_text,
    gate_json,
    parse_gate,
    parse_results_rule,
)
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people import audience as people_audience
from bot.domain.people.audience import parse_audience
from bot.domain.people.person import RoleName
from bot.domain.text.dates import read_span
from bot.domain.text.numbers import find_points, find_whole
from bot.services.exam import extra_time, manage
from bot.services.exam.manage import ExamPreview, ExamProgress
from bot.storage.exam import attempts, exams
from bot.storage.people import audience
from bot.storage.tables.columns import stamp

MAX_LISTED = 15
NEW_USAGE = "考试 新建 名称；开放时间；对象；蓝图；依据=要点第几条"
NEW_EXAMPLE = (
    "考试 新建 年度学法考试；2026-03-10 09:00 至 2026-03-12 18:00；单位=某局（含下级）；民法典 单选 10×2、多选 10×3、判断 10×1；案例≥30%；60 分钟；"
    "及格 60%；条件=必修 2 课；出分=结束后；依据=年度要点第三条"
)
EXTRAS = ("条件", "迟到", "次数", "出分", "宽限", "依据")
_EXTRA = re.compile(rf"({'|'.join(EXTRAS)})\s*[=:：]\s*(.*)")
_EXTEND = re.compile(r"#?(\d{1,9})\s+(\S{1,40})\s+(\d{1,4})\s*(?:分钟?)?\s+(?:原因\s*[=:：]\s*)?(\S.*)", re.DOTALL)
_MAKEUP = re.compile(r"#?(\d{1,9})\s+(\S.*?)(?:\s+(缺考和不及格|缺考|不及格))?(?:\s+最多\s*(\S+?(?:\s*分)?))?")

ASK_ID = "请写考试的编号，例如「{usage}」。发送「考试 管理」看列表。"
Id = Annotated[int, ActValue("编号", "考试编号", ask=ASK_ID)]
Reason = Annotated[str, ActValue("原因", "原因，必填", "--reason")]


def title(exam: Exam) -> str:
    return f"考试 {exam.id}《{exam.name}》"


def exam_json(exam: Exam) -> dict[str, Any]:
    """An exam for scripts."""
    return {
        "id": exam.id,
        "name": exam.name,
        "state": exam.state,
        "opens_at": stamp(exam.opens_at),
        "closes_at": stamp(exam.closes_at),
        "minutes": exam.minutes,
        "late_minutes": exam.late_minutes,
        "last_entry_at": stamp(exam.last_entry),
        "last_hand_in_at": stamp(exam.deadline(exam.last_entry)),
        "attempts": exam.attempts,
        "items": exam.blueprint.size,
        "total": exam.total / 1000,
        "pass_line": exam.pass_line / 1000,
        "results": exam.results,
        "grace_seconds": exam.grace_seconds,
        "makeup_of": exam.makeup_of,
        "cap": None if exam.cap is None else exam.cap / 1000,
        "audience": people_audience.describe_audience(exam.audience),
        "gate": gate_json(exam.gate),
        "blueprint": blueprint.describe_blueprint(exam.blueprint),
        "clause": exam.clause,
        "created_by": exam.created_by,
    }


def _progress_json(counts: ExamProgress) -> dict[str, Any]:
    return {
        "invited": counts.invited,
        "begun": counts.begun,
        "sitting": counts.sitting,
        "handed_in": counts.handed_in,
        "passed": counts.passed,
        "absent": [{"staff_no": staff_no, "name": name} for staff_no, name in counts.absent],
    }


def _require(act: Act, exam_id: int) -> Exam:
    return manage.require_exam(act.session, act.author, exam_id)


def _preview(act: Act, exam: Exam) -> ExamPreview:
    return manage.preview(act.session, act.catalog, exam, act.now)


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
    count = find_whole(text, "分钟", "秒", "次")
    if count is None or not 0 <= count < 10_000:
        raise Refusal(f"{label}请写数字，例如 {label}=3。")
    return count


# ── Before ──


@action("考试 管理", cli="exam list", usage="考试 管理", listed=True)
def list_exams(act: Act) -> Outcome:
    """全部考试，新的在前。"""
    exam_list = manage.list_exams(act.session, act.author)
    lines = [messages.managed_exam_line(exam) for exam in exam_list]
    reply = Reply(f"还没有考试。新建一场请发：\n{NEW_EXAMPLE}")
    if exam_list:
        told = [f"共 {len(exam_list)} 场，新的在前：", *lines[:MAX_LISTED], "可以说：" + "、".join(_usages()) + "。"]
        reply = Reply("\n".join(told), buttons=tuple(Option(f"考试 看 {exam.id}", exam.name[:12]) for exam in exam_list[:4]))
    return Outcome([exam_json(exam) for exam in exam_list], lines or ["还没有考试。"], reply=reply)


def _usages() -> list[str]:
    return [f"考试 {word}{declared.usage.removeprefix(declared.words[0])}" for word, declared in actions.under("考试").items()]


@action("考试 看", cli="exam show", usage="考试 看 12")
def show_exam(act: Act, exam_id: Id) -> Outcome:
    """一场考试的蓝图、时间、规则，今天应考的人，题库够不够出卷。"""
    exam = _require(act, exam_id)
    preview = _preview(act, exam)
    invited = messages.invited_line(preview.count, preview.names)
    papers = messages.papers_line(exam, preview)
    lacking = f"现在出不了卷：{'；'.join(preview.lacking)}。" if preview.lacking else ""
    told = messages.exam_lines(exam)
    if exam.state == "draft":
        told += [invited, *([papers] if papers else []), *([f"⚠ {lacking}"] if lacking else [])]
    else:
        told += messages.progress_lines(exam, manage.progress(act.session, act.author, exam.id, act.now))
    return Outcome(
        {**exam_json(exam), "people": preview.count, "lacking": list(preview.lacking), "papers": preview.papers},
        [*messages.exam_lines(exam), invited, papers, lacking],
        reply=Reply("\n".join(told), buttons=_next_steps(exam)),
    )


def _next_steps(exam: Exam) -> tuple[Option, ...]:
    steps = {"draft": ("发布", "取消"), "published": ("进度", "申请", "结束"), "closed": ("进度", "补考"), "released": ("进度", "补考")}
    release = ("公布",) if _awaits_release(exam) else ()
    return tuple(Option(f"考试 {step} {exam.id}", step) for step in (*release, *steps.get(exam.state, ())))


def _awaits_release(exam: Exam) -> bool:
    """Whether the results of an exam that is over wait for somebody to release them."""
    return exam.state == "closed" and exam.results == "after_release"


def _parse_new(ctx: Context, word: str, _: str) -> Mapping[str, Any]:
    pieces = [piece.strip() for piece in re.split(r"[;；\n]", text_after(ctx, "新建")) if piece.strip()]
    if len(pieces) < 4:
        raise Refusal(f"请写全四项，用分号隔开：{NEW_USAGE}\n例如：{NEW_EXAMPLE}")
    name, window, audience_text, *further = pieces
    blueprint_pieces, extras = read_extras(further)
    opens, closes = read_span(window, ctx.today)
    return {"wanted": WantedExam(name, parse_blueprint("；".join(blueprint_pieces)), parse_audience(audience_text), opens, closes, **extras)}


def _read_file(path: Path) -> WantedExam:
    # Only who drafts from a file waits for what reads one.
    from bot.storage.files.exam_files import read_exam

    return read_exam(path)


FILE_HELP = "YAML 或 JSON：name opens closes to blueprint gate late attempts results grace clause"


@action("考试 新建", cli="exam new", usage="考试 新建 …", effect=True, parse=_parse_new)
def new_exam(act: Act, wanted: Annotated[WantedExam, ActValue("文件", FILE_HELP, read=_read_file, raw=Path)]) -> Outcome:
    """按文件起草一场考试；不加 --apply 只检查和预览。起草后用 exam publish 发布。"""
    return _drafted(act, lambda: manage.create(act.session, act.catalog, act.author, wanted, act.now), "已起草，还没有发布。请先看一遍：")


def _drafted(act: Act, create: Callable[[], int], before: str) -> Outcome:
    drafts = [exam for exam in manage.list_exams(act.session, act.author) if exam.state == "draft"]
    exam, is_new = draft_once(act, lambda: _require(act, create()), drafts, _says_the_same)
    preview = _preview(act, exam)
    shown = show_exam.function(act, exam.id).reply
    assert shown is not None
    end = f"已起草，编号 {exam.id}。发布：python -m bot exam publish {exam.id} --apply"
    return Outcome(
        {**exam_json(exam), "id": exam.id if act.applies or not is_new else None, "people": preview.count},
        [*messages.exam_lines(exam), messages.invited_line(preview.count, preview.names), messages.papers_line(exam, preview)],
        end if is_new else f"一样的草稿早已有了，编号 {exam.id}，没有另起草。",
        reply=replace(shown, text=f"{before}\n{shown.text}\n确认无误请发「考试 发布 {exam.id}」。"),
        unchanged=not is_new,
    )


def _says_the_same(draft: Exam, other: Exam) -> bool:
    return replace(draft, id=0, created_by="") == replace(other, id=0, created_by="")


@action("考试 发布", cli="exam publish", usage="考试 发布 12", effect=True)
def publish_exam(act: Act, exam_id: Id) -> Outcome:
    """发布：应考的人看得到，邀请和到期提醒会自动发出。"""
    before = _require(act, exam_id)
    preview = _preview(act, before)
    manage.publish(act.session, act.catalog, act.author, exam_id, act.now)
    exam = _require(act, exam_id)
    shown = exam if act.applies else before
    told = f"✅ 考试 {exam_id}《{exam.name}》已发布，应考 {preview.count} 人，邀请和到期提醒会自动发出。进度发「考试 进度 {exam_id}」。"
    follows = [messages.moments_line(exam), messages.papers_line(exam, preview)]
    return Outcome(
        {**exam_json(exam), "people": preview.count},
        [*messages.exam_lines(shown), messages.invited_line(preview.count, preview.names), messages.papers_line(exam, preview)],
        "已发布。",
        Reply("\n".join(line for line in (told, *follows) if line), buttons=(Option(f"考试 进度 {exam_id}", "看进度"),)),
    )


# ── Meanwhile ──


@action("考试 进度", cli="exam progress", usage="考试 进度 12")
def exam_progress(act: Act, exam_id: Id) -> Outcome:
    """应考、参考、在考、已交、合格，以及还没有考的人。"""
    exam = _require(act, exam_id)
    counts = manage.progress(act.session, act.author, exam_id, act.now)
    lines = messages.progress_lines(exam, counts)
    reply = Reply(
        "\n".join(lines), buttons=(Option(f"考试 进度 {exam.id}", "再看"), *(_report_buttons(act, exam) if act.learner is not None else ()))
    )
    return Outcome({**exam_json(exam), **_progress_json(counts)}, lines, reply=reply)


def _report_buttons(act: Act, exam: Exam) -> tuple[Option, ...]:
    """The reports of an exam that this administrator may see: those of supervisors are answered as unknown to others."""
    items = (Option(f"题目分析 {exam.id}", "题目分析"),) if exam.is_over else ()
    return (*items, Option(f"报表 考试 {exam.id}", "报表")) if act.me.may(RoleName.SUPERVISOR) else items


def _parse_extension(ctx: Context, word: str, typed: str) -> Mapping[str, Any]:
    label = word.rsplit(maxsplit=1)[-1]
    match = _EXTEND.fullmatch(typed)
    if match is None:
        raise Refusal(f"请写明考试编号、工号、分钟数和原因，例如「考试 {label} 12 1001 10 会议室断网」。")
    is_reopening = label == EXTENSION_LABELS["reopen"]
    return {"exam_id": int(match[1]), "staff_no": match[2], "minutes": int(match[3]), "reason": match[4], "reopen": is_reopening}


@action("考试 加时", "考试 重开", cli="exam extend", usage="考试 加时 12 工号 分钟 原因", effect=True, parse=_parse_extension)
def request_extension(
    act: Act,
    exam_id: Id,
    staff_no: Annotated[str, ActValue("工号", "工号")],
    minutes: Annotated[int, ActValue("分钟", "分钟")],
    reason: Reason,
    reopen: Annotated[bool, ActValue("", "重开已交的卷，而不是给在考的人加时", "--reopen")] = False,
) -> Outcome:
    """申请加时或重开；另一位管理员本人在聊天里「考试 批准 编号」后才生效。"""
    kind = "reopen" if reopen else "time"
    request = extra_time.request_extra_time(act.session, act.author, exam_id, staff_no, kind, minutes, reason, act.now)
    told = (
        f"已申请（编号 {request.id}）：为 {staff_no} {EXTENSION_LABELS[kind]} {request.minutes} 分钟，原因：{request.reason}。"
        f"请另一位管理员发「考试 批准 {request.id}」，批准后马上生效。"
    )
    data = {
        "id": request.id if act.applies else None,
        "kind": kind,
        "minutes": minutes,
        "asked_by": request.asked_by,
        "approved_by": None,
    }
    line = f"为 {staff_no} {EXTENSION_LABELS[kind]} {request.minutes} 分钟，原因：{request.reason}。"
    waits = f"已申请，编号 {request.id}，还没有生效：{extra_time.waits_for(request)}"
    return Outcome(data, line, waits, Reply(told))


@action("考试 批准", cli="exam approve", usage="考试 批准 3", effect=True)
def approve_extension(act: Act, extension_id: Annotated[int, ActValue("编号", "申请编号", ask=ASK_ID)]) -> Outcome:
    """批准另一个人的申请，马上生效并通知本人；只能由本人在聊天里说。"""
    request, attempt = extra_time.approve(act.session, act.author, extension_id, act.now)
    label = EXTENSION_LABELS[request.kind]
    if request.approved_by is None:
        return Outcome(reply=Reply(f"已记下：{label} {request.minutes} 分钟由您具名申请，还没有生效。{extra_time.waits_for(request)}"))
    told = (
        f"✅ 已批准并生效：{label} {request.minutes} 分钟，新的截止时间 {clock_text(attempt.deadline)}；"
        f"{request.asked_by} 申请，您批准，已留痕并通知本人。"
    )
    data = {"id": request.id, "asked_by": request.asked_by, "approved_by": request.approved_by, "deadline": stamp(attempt.deadline)}
    return Outcome(data, f"新的截止时间 {clock_text(attempt.deadline)}。", "已批准。", Reply(told))


@action("考试 申请", usage="考试 申请 12")
def list_requests(act: Act, exam_id: Id) -> Outcome:
    """一场考试的加时和重开申请，哪些还能批准。"""
    requests = extra_time.list_requests(act.session, act.author, exam_id, act.now)
    if not requests:
        return Outcome(reply=Reply("这场考试没有加时或重开的申请。"))
    lines = []
    for request, stands in requests:
        attempt = attempts.get(act.session, request.sitting_id)
        person = audience.get_person(act.session, attempt.person_id) if attempt is not None else None
        lines.append(messages.request_line(request, person[1] if person is not None else "?", stands=stands))
    approvable = [request for request, stands in requests if stands]
    buttons = tuple(Option(f"考试 批准 {request.id}", f"批准 {request.id}") for request in approvable[:4])
    return Outcome(reply=Reply("\n".join(lines), buttons=buttons))


# ── The end ──


@action("考试 结束", cli="exam close", usage="考试 结束 12 原因", effect=True, final=True)
def close_exam(act: Act, exam_id: Id, reason: Reason) -> Outcome:
    """提前结束：在考的按已保存的作答代交。到截止时间会自己结束，不用这条命令。"""
    handed_in = manage.close(act.session, act.catalog, act.author, exam_id, reason, act.now)
    exam = _require(act, exam_id)
    step = Option(f"考试 公布 {exam_id}", "公布成绩") if _awaits_release(exam) else Option(f"考试 进度 {exam_id}", "看结果")
    return Outcome(
        {"id": exam_id, "name": exam.name, "handed_in": handed_in},
        f"结束{title(exam)}：代交 {handed_in} 份。",
        "已结束。",
        Reply(f"✅ 考试 {exam_id} 已结束，代交 {handed_in} 份，已答的都算。", buttons=(step,)),
    )


@action("考试 取消", cli="exam cancel", usage="考试 取消 12 原因", effect=True, final=True)
def cancel_exam(act: Act, exam_id: Id, reason: Reason) -> Outcome:
    """取消：不计成绩和学时，作答记录保留，通知应考的人。"""
    ended = manage.cancel(act.session, act.catalog, act.author, exam_id, reason, act.now)
    exam = _require(act, exam_id)
    return Outcome(
        {"id": exam_id, "name": exam.name, "ended": ended},
        f"取消{title(exam)}：{ended} 人正在考。",
        "已取消。",
        Reply(f"✅ 考试 {exam_id} 已取消，{ended} 人正在考的已停下；作答仍有记录，不计成绩和学时。"),
    )


@action("考试 公布", cli="exam release", usage="考试 公布 12", effect=True, final=True)
def release_exam(act: Act, exam_id: Id) -> Outcome:
    """公布成绩，通知参考的人。"""
    exam = manage.release(act.session, act.author, exam_id, act.now)
    told = Reply(f"✅ 考试 {exam.id}《{exam.name}》成绩已公布，会通知参考人员。", buttons=(Option(f"考试 进度 {exam.id}", "看结果"),))
    return Outcome(exam_json(exam), f"公布{title(exam)}的成绩。", "成绩已公布。", told)


def _parse_makeup(ctx: Context, word: str, typed: str) -> Mapping[str, Any]:
    match = _MAKEUP.fullmatch(typed)
    if match is None:
        raise Refusal("请写明补哪一场、什么时候，例如「考试 补考 12 2026-03-20 09:00 至 11:00 缺考和不及格 最多 60 分」。")
    opens, closes = read_span(match[2], ctx.today)
    rule = next((key for key, label in manage.MAKEUP_RULES.items() if label == match[3]), "both")
    return {"exam_id": int(match[1]), "opens": opens, "closes": closes, "rule": rule, "cap": None if match[4] is None else _read_cap(match[4])}


def _read_cap(typed: str) -> float:
    points = find_points(typed)
    if points is None or not 0 < points < 10**7:
        raise Refusal(f"「{typed[:20]}」不是分数，最多计多少分请写成 60 或 59.5。")
    return points / 1000


def _read_rule(typed: str) -> str:
    return next((key for key, label in manage.MAKEUP_RULES.items() if label == typed), typed)


@action("考试 补考", cli="exam makeup", usage="考试 补考 12 时间", effect=True, parse=_parse_makeup)
def draft_makeup(
    act: Act,
    exam_id: Id,
    opens: Annotated[datetime, ActValue("时间", "开放时间，如 2026-03-20 09:00", "--opens")],
    closes: Annotated[datetime, ActValue("时间", "截止时间", "--closes")],
    rule: Annotated[str, ActValue("谁", "缺考、不及格、缺考和不及格（也可写 absent、failed、both）", "--who", read=_read_rule)] = "both",
    cap: Annotated[float | None, ActValue("分数", "最多计多少分，默认及格线", "--cap", read=_read_cap, raw=str | None)] = None,
) -> Outcome:
    """安排补考：缺考、不及格的人，另一份卷，只补一次。不加 --apply 只看名单。"""
    limit = None if cap is None else round(cap * 1000)

    def create() -> int:
        return manage.create_makeup(act.session, act.catalog, act.author, exam_id, opens, closes, act.now, rule=rule, cap=limit)

    return _drafted(act, create, "补考已起草，还没有发布：")


@action(cli="exam export", audit="导出考试成绩", jsonl=True)
def export_exam(act: Act, exam_id: Id) -> Outcome:
    """每次应考一行 JSON：工号、姓名、单位、第几次、开始、交卷、方式、得分、是否合格、卷面难度。"""
    _require(act, exam_id)
    return Outcome(exams.export_attempts(act.session, exam_id), target=f"exam:{exam_id}")
