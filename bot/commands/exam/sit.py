"""考试, 答题卡, 交卷: the rules first, then the paper, an item at a time; left and taken up on any channel with the clock running."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Callable
from datetime import timedelta

from bot.commands import pages, say, tasks
from bot.commands.exam import words
from bot.commands.exam.review import look_back
from bot.commands.quiz import ENDED, HOW
from bot.commands.router import Context, command, tidy
from bot.commands.tasks import Task
from bot.domain import numerals
from bot.domain.exam import BY_LABELS, Exam, when
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people import Role
from bot.domain.question import parse_numbered
from bot.services import exam as service
from bot.services import focus
from bot.services.exam import Recorded, Shown, Status
from bot.services.exam.mine import mine, of
from bot.storage import study
from bot.storage.exam import attempts
from bot.storage.exam import exams as exam_rows

_PLACE = re.compile(r"第?\s*([0-9零〇一二三四五六七八九十百]{1,5})\s*(题?)")
_LOOKS_BACK = re.compile(r"#?(\d{1,9})\s*(?:解析|答案)\s*(?:第?\s*(\d{1,3})\s*题?)?")
_ASKS = re.compile(r"(?:(开始|进入|参加|网页)\s*)?#?(\d{1,9})(?:\s*(开始|进入|参加|网页))?")
LATELY = timedelta(minutes=30)
"""How long after its end an answer is still taken for one to the exam."""
MANAGE: dict[str, Callable[[Context, str], Reply]] = {}
"""What 考试 does for administrators, by its second word (`manage`)."""


@command("考试", takes="<编号>")
def exams(ctx: Context, said: str) -> Reply:
    """看要参加的考试和成绩；“考试 12”看规则并开始，“考试 网页 12”在网页上答，“考试 12 解析”考后看答案，考试中可随时“继续”。"""
    word, _, rest = said.partition(" ")
    if not said:
        return _list(ctx)
    if word in MANAGE and ctx.me.may(Role.ADMIN):
        return MANAGE[word](ctx, rest.strip())
    if (back := _LOOKS_BACK.fullmatch(said)) is not None:
        return look_back(ctx, int(back[1]), int(back[2]) if back[2] else None)
    found = _ASKS.fullmatch(said)
    if found is None:
        raise Refusal(f"没有看懂「考试 {said[:20]}」。发送「考试」看列表，「考试 12」看一场的规则并开始。", (Option("考试", "考试"),))
    exam_id, asked = int(found[2]), found[1] or found[3]
    if asked == "网页":
        service.visible(ctx.session, ctx.me.id, exam_id, ctx.now)
        return Reply(pages.link_lines(ctx, "exam", str(exam_id)))
    return _begin(ctx, exam_id) if asked else _one(ctx, exam_id)


def _list(ctx: Context) -> Reply:
    coming, past = mine(ctx.session, ctx.shelf, ctx.me.id, ctx.now)
    lines = ["📝 要参加的考试：", *(words.line(one, ctx.now) for one in coming)] if coming else ["现在没有要参加的考试。"]
    lines += ["考过的：", *(words.line(one, ctx.now) for one in past)] if past else []
    buttons = [Option("继续", "继续考试")] if any(one.running is not None for one in coming) else []
    buttons += [Option(f"考试 {one.exam.id}", one.exam.name[:12]) for one in coming if one.running is None][:4]
    if ctx.me.may(Role.ADMIN):
        lines.append("安排和监考发「考试 管理」。")
    return Reply("\n".join(lines), buttons=tuple(buttons))


def _one(ctx: Context, exam_id: int) -> Reply:
    exam = service.visible(ctx.session, ctx.me.id, exam_id, ctx.now)
    found = of(ctx.session, ctx.shelf, exam, ctx.me.id, ctx.now)
    if found.running is not None:
        return _resume(ctx, found.running.sitting_id)
    if found.hindrance and found.counts is not None and found.counts.state == "closed":
        told = f"考试 {exam.id}《{exam.name}》已交卷（{BY_LABELS[found.counts.closed_by or 'self']}）。{words.result(exam, found.counts)}"
        looks = (Option(f"考试 {exam.id} 解析", "答案和解析"), *_on_page(ctx, exam, "逐题对照")) if exam.tells_keys else ()
        return Reply(told, buttons=looks)
    if found.hindrance:
        return Reply(f"{_rules(ctx, exam)}\n{found.hindrance}")
    again = f"您已考过，{words.result(exam, found.counts)}\n" if found.counts is not None else ""
    return Reply(
        f"{again}{_rules(ctx, exam)}\n准备好了请点「开始考试」或回复「考试 开始 {exam_id}」。",
        buttons=(Option(f"考试 开始 {exam_id}", "开始考试"), *_on_page(ctx, exam)),
    )


def _rules(ctx: Context, exam: Exam) -> str:
    return words.rules(exam, several=service.may_hold(ctx.shelf, exam.blueprint, "multiple"))


def _on_page(ctx: Context, exam: Exam, label: str = "在网页上答") -> tuple[Option, ...]:
    """What asks for a link to the exam's page, where our pages stand somewhere."""
    return (Option(f"考试 网页 {exam.id}", label),) if ctx.pages else ()


def _begin(ctx: Context, exam_id: int) -> Reply:
    begun = service.begin(ctx.session, ctx.shelf, ctx.me.id, exam_id, ctx.now, ctx.rng)
    status = begun.status
    started = "接着考" if begun.resumed else "开始计时"
    return _put(ctx, status, f"{say.put_down(begun.put_down)}考试《{status.exam.name}》{started}。")


def _put(ctx: Context, status: Status, before: str = "", n: int | None = None) -> Reply:
    """An item of the paper (the one in hand), with something said before it."""
    shown = service.item_of(ctx.session, ctx.shelf, status.sitting_id, n or status.place)
    assert shown is not None
    text = "\n".join(line for line in (before, words.progress_line(status)) if line)
    return Reply(text, words.card(status, shown), buttons=words.WHILE)


def _resume(ctx: Context, ref: int) -> Reply:
    begun = service.resume(ctx.session, ctx.shelf, ctx.me.id, ref, ctx.now)
    status, before = begun.status, say.put_down(begun.put_down)
    if status.unanswered and status.place not in status.unanswered:
        return _turned(ctx, ref, next((n for n in status.unanswered if n > status.place), status.unanswered[0]), before)
    return _put(ctx, status, before)


# ── Answering ──


def _typed(ctx: Context, ref: int, text: str) -> Reply | None:
    said = tidy(text)
    status = service.status(ctx.session, ctx.shelf, ref, ctx.now)
    shown = service.item_of(ctx.session, ctx.shelf, ref, status.place)
    assert shown is not None
    place = _place(said, shown)
    if place is not None:
        return _turned(ctx, ref, place)
    numbered = parse_numbered(text)
    if numbered is not None and (shown.options or "题" in said):
        return _told(ctx, service.answer(ctx.session, ctx.shelf, ctx.me.id, ref, *numbered, ctx.incoming, ctx.now))
    if shown.choice is not None:
        raise Refusal(f"{say.REFUSED}：第 {shown.n} 题已经答过（{shown.choice[:20]}），以第一次为准。没有答的题发「答题卡」看。", (words.SHEET,))
    return _told(ctx, _answered(ctx, ref, shown, text))


def _answered(ctx: Context, ref: int, shown: Shown, text: str) -> Recorded:
    try:
        return service.answer(ctx.session, ctx.shelf, ctx.me.id, ref, shown.n, text, ctx.incoming, ctx.now)
    except Refusal as refusal:
        if "没有看懂" not in str(refusal):
            raise
        how = HOW[shown.kind]
        raise Refusal(f"{refusal}{how}；换一题发「下一题」，看全部发「答题卡」，交卷发「交卷」。", (words.SHEET, words.HAND_IN)) from None


def _place(said: str, shown: Shown) -> int | None:
    """The place that a text turns to: 第 5 题, and 5 alone where no answer is written; None when it is anything else."""
    found = _PLACE.fullmatch(unicodedata.normalize("NFKC", said))
    if found is None or (not found[2] and (not shown.options or not said.isdigit())):
        return None
    return numerals.to_int(found[1])


def _tapped(ctx: Context, ref: int, n: int, text: str) -> Reply:
    done = service.answer(ctx.session, ctx.shelf, ctx.me.id, ref, n, text, ctx.incoming, ctx.now)
    if done.status.is_open:
        # A live contest in hand stays there; the answer is recorded all the same.
        with contextlib.suppress(Refusal):
            service.resume(ctx.session, ctx.shelf, ctx.me.id, ref, ctx.now)
    return _told(ctx, done)


def _told(ctx: Context, done: Recorded) -> Reply:
    """An answer is recorded; whether it is right is not said. Then the next item, or what there is to do at the end."""
    status = done.status
    text = f"{say.RECORDED}：第 {done.n} 题 {done.choice[:20]}。"
    if not status.is_open:
        return Reply(text)
    shown = f"已选 {done.choice}" if len(done.choice) <= 5 else "已作答"
    if not status.unanswered:
        return Reply(f"{text}\n{words.progress_line(status)}可以发「答题卡」再看一遍，或「交卷」。", buttons=(words.SHEET, words.HAND_IN), done=shown)
    put = _put(ctx, status, text)
    return Reply(put.text, put.ask, put.buttons, done=shown)


# ── Moving about ──


def _turned(ctx: Context, ref: int, n: int, before: str = "") -> Reply:
    status, shown = service.move(ctx.session, ctx.shelf, ctx.me.id, ref, n, ctx.now)
    return Reply("\n".join(line for line in (before, words.progress_line(status)) if line), words.card(status, shown), buttons=words.WHILE)


def _step(ctx: Context, ref: int, by: int) -> Reply:
    status = service.status(ctx.session, ctx.shelf, ref, ctx.now)
    n = status.place + by
    if n > status.size:
        return _sheet(ctx, ref, "后面没有题了。")
    return _turned(ctx, ref, max(1, n), "这就是第一题。" if n < 1 else "")


def _turn(ctx: Context, ref: int) -> Reply:
    return _step(ctx, ref, 1)


def _skip(ctx: Context, ref: int) -> Reply:
    """跳过: the next item that is not answered."""
    status = service.status(ctx.session, ctx.shelf, ref, ctx.now)
    ahead = next((n for n in status.unanswered if n > status.place), None) or next(iter(status.unanswered), None)
    if ahead is None or ahead == status.place:
        return _sheet(ctx, ref, "没有别的未答题了。")
    return _turned(ctx, ref, ahead)


def _leave(ctx: Context, ref: int) -> Reply:
    name = focus.make_way(ctx.session, ctx.shelf, ctx.me.id, ctx.now)
    if not name:
        return Reply("手上没有打开的考试。发送「考试」看列表。")
    status = service.status(ctx.session, ctx.shelf, ref, ctx.now)
    return Reply(f"已放下{name}，已答的都已保存；⏱ 时间照走，{service.time_left(status)}。回复「继续」接着考。", buttons=(say.RESUME,))


def _writes(ctx: Context, ref: int) -> bool:
    status = service.status(ctx.session, ctx.shelf, ref, ctx.now)
    shown = service.item_of(ctx.session, ctx.shelf, ref, status.place)
    return shown is not None and not shown.options


tasks.register(Task("exam", "e", _typed, _tapped, _resume, _turn, _skip, _leave, _writes))


def _ended(ctx: Context) -> str:
    """What is to be said to an answer that comes when the exam it was meant for is over."""
    last = attempts.last(ctx.session, ctx.me.id)
    if last is None or last.closed_at is None or ctx.now - last.closed_at > LATELY:
        return ""
    exam = exam_rows.get(ctx.session, last.exam_id)
    return service.over(exam, last) if exam is not None else ""


ENDED.append(_ended)


def _running(ctx: Context) -> int:
    """The exam that the sender is at, in hand or put down."""
    at = study.focus(ctx.session, ctx.me.id)
    if at is not None and at[0] == "exam":
        return at[1]
    running = attempts.running(ctx.session, ctx.me.id)
    if not running:
        raise Refusal("您现在没有在考的考试。发送「考试」看列表。", (Option("考试", "考试"),))
    return running[0].sitting_id


@command("上一题")
def back(ctx: Context, _: str) -> Reply:
    """考试中回看上一题；“下一题”“第 5 题”同样可用。"""
    return _step(ctx, _running(ctx), -1)


@command("答题卡", "未答", "检查")
def sheet(ctx: Context, _: str) -> Reply:
    """考试中看全部题答了没有、还剩多少时间。"""
    return _sheet(ctx, _running(ctx))


def _sheet(ctx: Context, ref: int, before: str = "") -> Reply:
    begun = service.resume(ctx.session, ctx.shelf, ctx.me.id, ref, ctx.now)
    text = words.sheet(begun.status, service.paper_of(ctx.session, ctx.shelf, ref))
    first = begun.status.unanswered[:1]
    buttons = tuple(Option(f"第 {n} 题", f"看第 {n} 题") for n in first)
    return Reply("\n".join(line for line in (before, text) if line), buttons=(*buttons, words.HAND_IN, *_on_page(ctx, begun.status.exam)))


@command("交卷")
def hand_in(ctx: Context, _: str) -> Reply:
    """考试中交卷：先列出没有答的题，确认后才交。"""
    begun = service.resume(ctx.session, ctx.shelf, ctx.me.id, _running(ctx), ctx.now)
    return Reply(words.sure(begun.status), buttons=(words.SURE, words.SHEET, say.RESUME))


@command("确认交卷")
def hand_in_now(ctx: Context, _: str) -> Reply:
    """确认交卷：交了就不能再答。"""
    status = service.hand_in(ctx.session, ctx.shelf, ctx.me.id, _running(ctx), ctx.incoming, ctx.now)
    exam = status.exam
    waiting = focus.waiting(ctx.session, ctx.shelf, ctx.me.id)
    lines = [
        f"{say.RECORDED}：考试《{exam.name}》已于 {when(ctx.now)} 交卷，答了 {status.answered}/{status.size} 题。",
        words.result(exam, status.attempt),
        *([say.waits(waiting)] if waiting else []),
    ]
    return Reply("\n".join(lines), buttons=(say.RESUME,) if waiting else (Option("考试", "我的考试"), Option("我的学时", "我的学时")))
