"""The texts and cards of study: questions, verdicts, lesson pages, hours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.commands.tasks import card_code
from bot.domain.hours.policy import PageCredit
from bot.domain.library.library import page_to_chat_text
from bot.domain.library.question import Question
from bot.domain.message import Option, QuestionCard, Reply
from bot.domain.study.sitting import FORMS
from bot.domain.study.spaced_repetition import RIGHTS_TO_LEAVE, slow_after
from bot.domain.times import chinese_day, day_of, duration_text
from bot.services.hours.credit import EarnedCredit, SetCredit
from bot.services.study.current_task import WaitingTask
from bot.services.study.lessons import FinishedLesson, SentPage
from bot.services.study.quiz import AnswerOutcome, AskedQuestion
from bot.storage.study.sittings import Score

RECORDED = "已记录"
REFUSED = "未记录"
NEXT_PAGE = "下一页"
PREVIOUS_PAGE = Option("上一页", "上一页")
LESSON_WITHDRAWN = "这一课已经下架，之前的阅读不计学时。"
RESUME = Option("继续", "继续")
REPORT = Option("纠错", "题有错")
"""Stands under every question and result; it asks which question is meant."""
_TITLE = re.compile(r"[《「]([^》」]+)[》」]")
AFTER_LESSON: tuple[Option, ...] = (Option("学习", "学下一课"), Option("我的学时", "我的学时"))
AFTER_SET: tuple[Option, ...] = (Option("练习", "再练 10 题"), Option("错题", "错题本"), Option("我的学时", "我的学时"))


def question_card(asked: AskedQuestion) -> QuestionCard:
    """A question with its buttons."""
    question = asked.question
    options = tuple(Option(say, say if say == choice_text else f"{say}. {choice_text}") for say, choice_text in question.choices)
    stem = question.stem if options else f"{question.stem}\n（请直接输入答案）"
    place = f"第{asked.item.n}/{asked.sitting.size}题"
    form = FORMS[asked.sitting.kind]
    if form.kind == "lesson":
        place = form.name + place
    elif form.one_life:
        place = f"第{asked.item.n}题"
    return QuestionCard(
        card_code(form.task, asked.sitting.id, asked.item.n),
        f"{place} · {question.label} · {question.law}",
        stem,
        options,
        question.kind == "multiple",
    )


def question_reply(asked: AskedQuestion, intro: str = "") -> Reply:
    """A question, with something said before it: first what was put down for it."""
    return Reply("\n".join(line for line in (paused_line(asked.paused), intro) if line), question_card(asked), buttons=(REPORT,))


def verdict_text(outcome: AnswerOutcome) -> str:
    """The result of an answer with its reason and source; begins with 已记录. What it earned is said at the end of the set."""
    mark, question = outcome.mark, outcome.question
    if outcome.withheld:
        return f"{RECORDED}。{outcome.withheld}"
    if mark.provisional:
        lines = [f"{RECORDED}。📝 写到 {len(mark.found)}/{len(mark.found) + len(mark.missing)} 个要点（暂定，待人工确认）。"]
        lines += [f"✓ {point}" for point in mark.found] + [f"○ 还可写：{point}" for point in mark.missing]
    elif mark.correct:
        lines = [f"{RECORDED}。✅ 回答正确。"]
    elif mark.earned:
        lines = [f"{RECORDED}。🔸 选对了一部分，得一半分（规则 M1）。正确答案：{_key_text(question)}"]
    else:
        lines = [f"{RECORDED}。❌ 回答错误。正确答案：{_key_text(question)}"]
    lines += [f"解析：{question.explanation}", question.citation]
    lines += [line for line in (notebook_line(outcome),) if line]
    return "\n".join(lines)


def chosen_text(outcome: AnswerOutcome) -> str:
    """What stands in place of the buttons of a question that was answered: the choice, and where right and wrong are told, by sign and word."""
    if not outcome.question.choices:
        return "已作答"
    chosen = f"已选 {outcome.choice}"
    if outcome.withheld or not FORMS[outcome.sitting.kind].shows_verdict:
        return chosen
    return f"{chosen} ✓ 对" if outcome.mark.correct else f"{chosen} ✗ 应选 {outcome.question.key}"


def _key_text(question: Question) -> str:
    """The right answer; several options stand below each other, so the first starts a line too."""
    key = question.show_key()
    return f"\n{key}" if "\n" in key else key


def set_credit_line(credit: SetCredit) -> str:
    """What a set earned altogether, and why the rest of it did not."""
    parts = [f"本组 +{duration_text(credit.credited)}"] if credit.credited else []
    parts += [f"{credit.reason}（{duration_text(credit.refused)}）"] if credit.refused else []
    return f"学时：{'；'.join(parts) or '本组的题今年已计过，不重复计'}（规则 {credit.rule.name}）"


def notebook_line(outcome: AnswerOutcome) -> str:
    """How the notebook moved: what came in, what left and when it is asked again, and that an answer was slow; empty when it did not."""
    moved = outcome.notebook_move
    if moved is None:
        return ""
    next_review, rights = chinese_day(day_of(moved.entry.card.due)), moved.entry.right_in_a_row
    slow = f"（用时超过 {slow_after(outcome.question)} 秒，按较慢计，会早些再问）" if moved.slow else ""
    if not rights:
        return "已收入错题本，之后会再问"
    if moved.left:
        return f"连续答对 {rights} 次，移出错题本；{next_review}再问一次{slow}"
    if moved.entry.listed:
        return f"错题本：已连续答对 {rights} 次，再对 {RIGHTS_TO_LEAVE - rights} 次移出{slow}"
    return f"错题复习：还记得，{next_review}再问{slow}"


def earned_line(earned: EarnedCredit, activity: str) -> str:
    parts = [f"{activity} +{duration_text(earned.credited)}"] if earned.credited else []
    if earned.refused:
        parts.append(earned.reason)
    return f"学时：{'；'.join(parts)}（规则 {earned.rule.name}）" if parts else ""


def score_line(name: str, score: Score) -> str:
    waiting = f"，其中 {score.provisional} 题待人工确认" if score.provisional else ""
    return f"{name}完成：共 {score.answered} 题，答对 {score.right} 题{waiting}。"


def page_reply(sent: SentPage, notices: str = "") -> Reply:
    """A page of a lesson with the button that turns it."""
    total = len(sent.lesson.pages)
    lines = [line for line in (notices, paused_line(sent.paused)) if line]
    if sent.changed:
        lines.append("课程内容已更新，从头开始。")
    if sent.credit is not None:
        lines.append(credit_line(sent.credit))
    head = f"📖 《{sent.lesson.title}》 {sent.number}/{total}"
    text = "\n".join([*lines, head]) + "\n\n" + page_to_chat_text(sent.lesson.pages[sent.number - 1])
    label = NEXT_PAGE if sent.number < total else f"{NEXT_PAGE}（课后题）" if sent.lesson.questions else f"{NEXT_PAGE}（完成）"
    card = QuestionCard(card_code("reading", sent.reading.id, sent.number), "", "", (Option(NEXT_PAGE, label),))
    return Reply(text, card, buttons=(PREVIOUS_PAGE,) if sent.number > 1 else ())


def credit_line(credit: PageCredit) -> str:
    if credit.reason:
        return f"上一页：{credit.reason}；计 {duration_text(credit.credited)}。" if credit.credited else f"上一页：{credit.reason}。"
    return f"上一页计 {duration_text(credit.credited)}。"


def resume_words(name: str) -> str:
    """What takes up again what goes by a name, whatever else waits: 继续 with its title, or with the kind that it is."""
    return f"继续 {title[1] if (title := _TITLE.search(name)) is not None else name}"


def paused_line(name: str) -> str:
    return f"{name}先放下了，回复「{resume_words(name)}」可以接着做。" if name else ""


def paused_reply(name: str, waiting: Sequence[WaitingTask]) -> Reply:
    """The answer to 退出: what was put down waits; where something else comes first, that is said, too."""
    if not waiting or waiting[0].name.startswith(name):
        return Reply(f"已放下{name}，进度保留。回复「继续」接着做。", buttons=(RESUME,))
    first = waiting[0]
    next_words = first.word or "继续"
    return Reply(
        f"已放下{name}，进度保留。回复「{resume_words(name)}」接着做；「{next_words}」先做{first.name}。",
        buttons=(Option(resume_words(name), "接着做"), Option(next_words, f"先做{first.name}"[:16])),
    )


def lesson_finished_text(finished: FinishedLesson) -> str:
    """A lesson's end: seen, credited, refused and why."""
    earned = finished.earned
    seen = sum(page.seen for page in finished.pages)
    lines = [f"🎓 《{finished.lesson.title}》学完了。共停留 {duration_text(seen)}，计 {duration_text(earned.credited)}（规则 {earned.rule.name}）。"]
    if earned.refused:
        lines.append(f"{duration_text(earned.refused)}未计：{earned.reason}。")
    uncounted = {page.page for page in finished.pages if page.reason}
    if uncounted:
        lines.append(f"有 {len(uncounted)} 页没有全计，回复「为什么」看每页明细。")
    return "\n".join(lines)


def waiting_line(waiting: Sequence[WaitingTask]) -> str:
    if not waiting:
        return ""
    how_to = f"现在开始请回复「{waiting[0].word}」" if waiting[0].word else "回复「继续」接着做"
    return f"还有没做完的：{'、'.join(task.name for task in waiting[:3])}。{how_to}。"
