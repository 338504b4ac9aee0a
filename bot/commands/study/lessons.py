"""学习, 下一页, 继续, 跳过, 退出: lessons page by page, and moving between open tasks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bot.commands import tasks
from bot.commands.router import COMMANDS, Context, asked, command, normalize
from bot.commands.study import messages
from bot.commands.study.quiz import looks_like_answer, notices
from bot.commands.tasks import TaskKind
from bot.domain.hours.policy import PageCredit
from bot.domain.library.library import Lesson, fold_name
from bot.domain.message import Option, Refusal, Reply
from bot.domain.text.numbers import to_int
from bot.services.hours import credit
from bot.services.study import current_task as study_current_task
from bot.services.study import lessons as study_lessons
from bot.services.study import quiz
from bot.services.study.current_task import WaitingTask
from bot.services.study.lessons import FinishedLesson, SentPage
from bot.services.study.quiz import AskedQuestion
from bot.storage.study import current_task, readings, sittings
from bot.storage.study.readings import PageRead

_PAGE = re.compile(r"第?\s*(\d{1,2}|[一二三四五六七八九十])\s*页")
CATALOGUE_WORDS = ("目录", "列表", "课程")
WITHDRAWN_REPLY = Reply(f"{messages.LESSON_WITHDRAWN}发送「学习」学下一课。", buttons=messages.AFTER_LESSON)


def _names_lesson(ctx: Context, name: str) -> bool:
    return name in CATALOGUE_WORDS or bool(study_lessons.find_lessons(ctx.catalog, name, ctx.me.tier, ctx.now))


@command("学习", "学法", "上课", argument="<课或法>", takes=_names_lesson)
def learn(ctx: Context, name: str) -> Reply:
    """学下一课（3 到 8 分钟）；“学习 目录”看全部，“学习 民法典”学一部法。"""
    if name in CATALOGUE_WORDS:
        return catalogue(ctx)
    if not name:
        focus = current_task.focus(ctx.session, ctx.me.id)
        if focus is not None and focus[0] == "reading":
            return _resume(ctx, focus[1])
        waiting_readings = [task for task in study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id) if task.task == "reading"]
        if waiting_readings:
            return _resume(ctx, waiting_readings[0].ref)
    lessons = study_lessons.find_lessons(ctx.catalog, name, ctx.me.tier, ctx.now)
    if not lessons:
        misnomer = ctx.library.misnomer(name)
        if misnomer is not None:
            raise Refusal(f"没有「{name}」，正确名称是《{misnomer.title}》。请发「学习 {misnomer.short}」。")
        if ctx.library.questions_of(name):
            raise Refusal(f"「{name}」还没有课，有题可以练。", (Option(f"练习 {name}", f"练习 {name}"[:16]), Option("学习 目录", "课程目录")))
        raise Refusal(f"没有找到「{name}」的课。发送「学习 目录」看全部课程。", (Option("学习 目录", "课程目录"),))
    done = study_lessons.done_this_year(ctx.session, ctx.me.id, ctx.now)
    unread = [lesson for lesson in lessons if lesson.id not in done]
    if not unread and not name:
        return Reply("今年的课都学完了！可以「练习」巩固，或发「学习 目录」重温（同一课每年只计一次学时）。", buttons=messages.AFTER_SET)
    return _begin(ctx, (unread or lessons)[0])


def open_by_title(ctx: Context) -> Reply | None:
    """The lesson whose whole title somebody sent, as our lists write it; None when the text is none."""
    lesson = study_lessons.lesson_of_title(ctx.catalog, ctx.incoming.text, ctx.me.tier, ctx.now)
    return None if lesson is None else learn(ctx, lesson.title)


def _begin(ctx: Context, lesson: Lesson) -> Reply:
    open_questions = next((pair for pair in open_closing_questions(ctx) if pair[1] == lesson.id), None)
    if open_questions is not None and not study_lessons.close_if_uncredited(ctx.session, open_questions[0], ctx.now):
        return messages.question_reply(
            quiz.resume(ctx.session, ctx.catalog, ctx.me.id, open_questions[0], ctx.now), f"《{lesson.title}》还差课后题："
        )
    notice = notices(ctx)
    if credit.is_lesson_counted(ctx.session, ctx.me.id, lesson.id, ctx.today):
        notice = "\n".join(line for line in (notice, "这一课今年已经学过，重温不再计学时。") if line)
    return messages.page_reply(study_lessons.start(ctx.session, ctx.catalog, ctx.me.id, lesson, ctx.now), notice)


def open_closing_questions(ctx: Context) -> list[tuple[int, str]]:
    """(sitting, lesson) of closing questions that are still open."""
    open_questions = []
    for sitting_id, kind, scope, _, _ in readings.open_sittings(ctx.session, ctx.me.id):
        reading = readings.reading(ctx.session, int(scope)) if kind == "lesson" else None
        if reading is not None:
            open_questions.append((sitting_id, reading.lesson))
    return open_questions


def catalogue(ctx: Context) -> Reply:
    """All lessons of this person's tier by law, done and to do."""
    done = study_lessons.done_this_year(ctx.session, ctx.me.id, ctx.now)
    by_law: dict[str, list[Lesson]] = {}
    for lesson in study_lessons.find_lessons(ctx.catalog, "", ctx.me.tier, ctx.now):
        by_law.setdefault(lesson.law, []).append(lesson)
    lines = ["📚 课程目录（✓ 今年已学）"]
    for law, lessons in by_law.items():
        lines.append(f"\n{law} {sum(lesson.id in done for lesson in lessons)}/{len(lessons)}")
        lines += [f"{'✓' if lesson.id in done else '·'} {lesson.title}（{lesson.minutes} 分钟）" for lesson in lessons]
    lines.append("\n回复「学习」学下一课，或「学习 课名」「学习 法名」。")
    return Reply("\n".join(lines), buttons=(Option("学习", "学下一课"),))


@command("下一页", "翻页", "下页", "下一题", "下一个", "看完了", "读完了")
def next_page(ctx: Context, _: str) -> Reply:
    """读完这一页，翻到下一页。"""
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is None:
        waiting = study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id)
        raise Refusal(
            f"现在没有正在读的课。{messages.waiting_line(waiting)}" if waiting else "现在没有正在读的课。发送「学习」开始。",
            (Option("学习", "学习"),),
        )
    return tasks.TASKS[focus[0]].turn(ctx, focus[1])


@command("上一页", "前一页", "往回翻")
def previous_page(ctx: Context, _: str) -> Reply:
    """课没学完以前翻回上一页重读，重读的时间照计；“第 2 页”翻到那一页。"""
    return go_to_page(ctx, None)


@asked("第几页", rf"^(?:看|翻到?|回到?|去)?{_PAGE.pattern}$")
def page_of_number(ctx: Context, _: str) -> Reply:
    """A page by its number."""
    match = _PAGE.search(normalize(ctx.incoming.text))
    return go_to_page(ctx, to_int(match[1]) if match is not None else None)


def go_to_page(ctx: Context, number: int | None) -> Reply:
    """A page of the lesson in hand, or of the one whose closing questions are, again. Raises `Refusal` without one."""
    focus = current_task.focus(ctx.session, ctx.me.id)
    reading_id = focus[1] if focus is not None and focus[0] == "reading" else None
    if focus is not None and focus[0] == "sitting":
        sitting = sittings.sitting(ctx.session, focus[1])
        reading_id = int(sitting.scope) if sitting is not None and sitting.kind == "lesson" else None
    if reading_id is None:
        raise Refusal("现在没有正在读的课，没有上一页。", (Option("学习", "学习"),))
    page = study_lessons.go_to_page(ctx.session, ctx.catalog, ctx.me.id, reading_id, number, ctx.now)
    return WITHDRAWN_REPLY if page is None else messages.page_reply(page)


def _typed(ctx: Context, reading_id: int, text: str) -> Reply | None:
    if not looks_like_answer(text):
        return None
    raise Refusal(f"{messages.REFUSED}：您正在读课，还没有到答题。回复「下一页」继续读，或「退出」放下这一课。")


def _tapped(ctx: Context, reading_id: int, number: int, _: str) -> Reply:
    """下一页 tapped on a card: turns the very page it stands on, once."""
    reading = readings.reading(ctx.session, reading_id)
    if reading is None or reading.person_id != ctx.me.id:
        raise Refusal(f"{messages.REFUSED}：这张卡片不是发给您的。")
    if reading.state != "open" or reading.page != number:
        raise Refusal(f"{messages.REFUSED}：这一页已经翻过了。回复「继续」看现在的一页。", (messages.RESUME,))
    if current_task.focus(ctx.session, ctx.me.id) != ("reading", reading_id):
        return _resume(ctx, reading_id)
    return _turn(ctx, reading_id)


def _turn(ctx: Context, reading_id: int) -> Reply:
    match study_lessons.turn_page(ctx.session, ctx.catalog, ctx.me.id, reading_id, ctx.now):
        case SentPage() as page:
            return messages.page_reply(page)
        case AskedQuestion() as asked:
            pages = readings.pages_read(ctx.session, reading_id)
            last_page = messages.credit_line(PageCredit(pages[-1].seen, pages[-1].credited, pages[-1].reason)) if pages else ""
            skimmed = study_lessons.skimmed_pages(ctx.session, reading_id)
            reply = messages.question_reply(asked, f"{last_page}\n{_closing_intro(skimmed, pages)}".strip())
            again = tuple(Option(f"第 {number} 页", f"重读第 {number} 页") for number in skimmed[:3])
            return replace(reply, buttons=(*again, *reply.buttons))
        case FinishedLesson() as finished:
            return Reply(messages.lesson_finished_text(finished), buttons=messages.AFTER_LESSON)
        case None:
            return WITHDRAWN_REPLY


def _closing_intro(skimmed: Sequence[int], pages: Sequence[PageRead]) -> str:
    """That the closing questions come, and which pages may be read again for their time first."""
    if not skimmed:
        return "读完了，答完课后题即计学时。"
    numbers = "、".join(map(str, skimmed))
    rest = "" if any(page.credited for page in pages) else "，否则答完课后题也不计学时"
    return f"读完了。第 {numbers} 页停留太短没有计时，现在还可以重读：发「第 {skimmed[0]} 页」{rest}。"


def _waiting_of_name(ctx: Context, name: str) -> WaitingTask | None:
    """What waits by a title or a kind; None when nothing does by that name."""
    wanted = fold_name(name)
    waiting = study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id)
    return next((task for task in waiting if wanted and wanted in fold_name(task.name)), None)


def _names_waiting(ctx: Context, name: str) -> bool:
    return _waiting_of_name(ctx, name) is not None


@command("继续", "接着做", "继续看", argument="<放下的>", takes=_names_waiting)
def continue_task(ctx: Context, name: str) -> Reply:
    """接着做放下的题或课；放下了几样，“继续 每日一练”“继续 课名”接着做那一样。"""
    if (named := _waiting_of_name(ctx, name)) is not None:
        return _take_up(ctx, named)
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is not None:
        return tasks.TASKS[focus[0]].resume(ctx, focus[1])
    waiting = study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id)
    if not waiting:
        notice = notices(ctx)
        text = "没有放下的题或课。发送「每日」做今天的一练，或「学习」学下一课。"
        return Reply("\n".join(line for line in (notice, text) if line), buttons=(Option("每日", "每日一练"), Option("学习", "学习")))
    return _take_up(ctx, waiting[0])


def _take_up(ctx: Context, task: WaitingTask) -> Reply:
    return COMMANDS[task.word].handler(ctx, "") if task.word else tasks.TASKS[task.task].resume(ctx, task.ref)


def _resume(ctx: Context, reading_id: int) -> Reply:
    reading = readings.reading(ctx.session, reading_id)
    if reading is not None and reading.state == "asking":
        current_task.drop_focus(ctx.session, ctx.me.id)
    page = study_lessons.resume(ctx.session, ctx.catalog, ctx.me.id, reading_id, ctx.now)
    return WITHDRAWN_REPLY if page is None else messages.page_reply(page, notices(ctx))


@command("跳过", "换一题")
def skip(ctx: Context, _: str) -> Reply:
    """先跳过这一题（最后再回来），或不学这一课。"""
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is None:
        raise Refusal("现在没有可以跳过的题或课。")
    return tasks.TASKS[focus[0]].skip(ctx, focus[1])


def _skip(ctx: Context, reading_id: int) -> Reply:
    study_current_task.pause(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    readings.close_reading(ctx.session, reading_id, "left", ctx.now)
    return Reply("这一课先不学了，没有计学时。发送「学习 目录」挑别的课。", buttons=(Option("学习 目录", "课程目录"), Option("每日", "每日一练")))


@command("退出", "不做了", "停止")
def leave(ctx: Context, _: str) -> Reply:
    """放下手上的题或课，已答的都算数。"""
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is None:
        return Reply("手上没有打开的题或课。发送「帮助」看看能做什么。")
    return tasks.TASKS[focus[0]].leave(ctx, focus[1])


def _leave(ctx: Context, reading_id: int) -> Reply:
    name = study_current_task.pause(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    return messages.paused_reply(name, study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id))


tasks.register(TaskKind("reading", "r", _typed, _tapped, _resume, _turn, _skip, _leave, lambda ctx, ref: False))
