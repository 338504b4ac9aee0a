"""每日, 练习, and answers to questions: typed, tapped or numbered; also the notices that a person is to read first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sqlmodel import Session

from bot.commands import hours, router, tasks
from bot.commands.router import Context, Heard, command, normalize
from bot.commands.study import messages
from bot.commands.tasks import HeardAnswer, TaskKind
from bot.domain.calendar import UnknownYear
from bot.domain.library.question import KINDS
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.study.sitting import FORMS
from bot.domain.text.typed_answers import parse_numbered, several_answers, strip_answer
from bot.domain.times import chinese_day, day_of
from bot.services.hours import credit
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.services.study import answers, lessons, mistakes, quiz, streak
from bot.services.study import current_task as study_current_task
from bot.services.study.answers import AnswerDecision
from bot.services.study.quiz import AnswerOutcome, AskedQuestion
from bot.storage.study import current_task, sittings
from bot.storage.study.answers import AnswerFacts
from bot.storage.study.sittings import OpenSitting, Score

HOW_TO_ANSWER = {
    "single": "请回复一个选项字母，例如 B",
    "multiple": "请回复选项字母，例如 AC",
    "judge": "请回复 对 或 错",
    "fill": "请直接回复答案",
    "short": "请直接用文字作答",
}
ANSWER_PATTERN = re.compile(r"(?:第?\d{1,3}题?[\s:：.、]*)?(?:[A-H]{1,8}|对|错|正确|错误|√|×|选[A-H]+)", re.IGNORECASE)
MOVES = re.compile(
    "每日|每日一练|学习|练习|错题|错题本|挑战|[上下]一[页题]|下一个|看完了|继续|接着做|跳过|换一题|退出|不做了|答题卡|交卷|确认交卷|我的学时|帮助|纠错"
)
"""Words of commands that are no terms of law: nobody's written answer."""
MAX_AFTER_MOVE = 4


def looks_like_answer(text: str) -> bool:
    """Whether a text is an answer to some question, though none may be open."""
    return any(ANSWER_PATTERN.fullmatch(said) is not None for said in (normalize(text), strip_answer(text)))


ENDED_SOURCES: list[Callable[[Context], str]] = []
"""What ended lately and how, in a sentence, for answers that come too late for it; empty when nothing did."""


@command("每日", "每日一练", "一练", "打卡")
def daily(ctx: Context, _: str) -> Reply:
    """今天的 5 道题，约 3 分钟，每题当场看结果和依据。"""
    daily_set = quiz.take_daily_set(ctx.session, ctx.catalog, ctx.me.id, ctx.now, ctx.rng)
    notice = notices(ctx)
    if isinstance(daily_set, Score):
        text = f"今天的每日一练已经完成：共 {daily_set.answered} 题，答对 {daily_set.right} 题。想多练可以发「练习」。"
        return Reply("\n".join(line for line in (notice, text) if line), buttons=messages.AFTER_SET)
    return messages.question_reply(daily_set, notice)


PracticeMode = Callable[[Context, str], Reply]
PRACTICE_MODES: dict[str, PracticeMode] = {}
"""What 练习 does for a first word that names a way to practise and no law."""


def practice_mode(*words: str) -> Callable[[PracticeMode], PracticeMode]:
    """Register a way to practise under its words; it gets what follows them."""

    def register(do: PracticeMode) -> PracticeMode:
        PRACTICE_MODES.update(dict.fromkeys(words, do))
        return do

    return register


def names_law(ctx: Context, name: str) -> bool:
    """Whether a name has questions, or is a way to practise."""
    return name.partition(" ")[0] in PRACTICE_MODES or ctx.library.questions_of(name) is not None


@command("练习", "刷题", "做题", argument="<法>", takes=names_law)
def practice(ctx: Context, law: str) -> Reply:
    """随机练 10 题，不限次数；也可“练习 民法典”按法练，“练习 错题”只练错题，“练习 模拟”做一套模拟卷。"""
    word, _, rest = law.partition(" ")
    if word in PRACTICE_MODES:
        return PRACTICE_MODES[word](ctx, rest.strip())
    return messages.question_reply(quiz.start_practice(ctx.session, ctx.catalog, ctx.me.id, law, ctx.now, ctx.rng))


@practice_mode("随机")
def practise_random(ctx: Context, law: str) -> Reply:
    """Ten of a law, or of everything."""
    return messages.question_reply(quiz.start_practice(ctx.session, ctx.catalog, ctx.me.id, law, ctx.now, ctx.rng))


@practice_mode("错题", "错题本")
def practise_mistakes(ctx: Context, law: str) -> Reply:
    """Ten of the notebook (of a law), due or not."""
    asked = quiz.practise_mistakes(ctx.session, ctx.catalog, ctx.me.id, law, ctx.now, ctx.rng)
    if asked is None:
        return Reply(
            f"错题本里{f'没有《{law}》的题' if law else '现在是空的'}，没有可练的错题。", buttons=(Option("每日", "每日一练"), Option("练习", "练习"))
        )
    return messages.question_reply(asked, "只练错题，不占每天的复习题数。")


def hear(ctx: Context) -> Heard | None:
    """The command or question that a message is; None for what is none, and for what is written as the answer to an open question.

    Where an answer is written, only the very word of a command is one, with what it takes. Raises `Refusal` to ask which is meant, where the word
    may as well be the answer (申诉): what is recorded stands.
    """
    text = ctx.incoming.text
    heard = router.find(text)
    if heard is None or text.lstrip().startswith("/") or not _awaits_free_text(ctx):
        return heard
    if not heard.firm or not heard.command.is_for(ctx.learner):
        return None
    moves = MOVES.fullmatch(heard.word) and (not heard.argument or (not heard.command.argument and len(heard.argument) <= MAX_AFTER_MOVE))
    if moves or (heard.argument and heard.command.takes(ctx, heard.argument)):
        return heard
    if heard.argument and heard.command.role in (None, RoleName.LEARNER):
        return None
    raise Refusal(
        f"{messages.REFUSED}：「{text.strip()[:20]}」是这道题的答案，还是命令？请点一下。",
        (Option(f"答案是{text.strip()}"[:60], "这是答案"), Option(f"/{text.strip()}"[:60], "这是命令")),
    )


def _awaits_free_text(ctx: Context) -> bool:
    focus = current_task.focus(ctx.session, ctx.me.id)
    return focus is not None and tasks.TASKS[focus[0]].awaits_text(ctx, focus[1])


def handle_typed(ctx: Context, text: str) -> Reply | None:
    """A typed text as the answer to what is in hand; None when it is nothing of the kind."""
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is not None:
        return tasks.TASKS[focus[0]].handle_typed(ctx, focus[1], text)
    if not looks_like_answer(text):
        return None
    waiting = study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id)
    if waiting:
        raise Refusal(f"{messages.REFUSED}：现在没有正在答的题。{messages.waiting_line(waiting)}", (messages.RESUME,))
    if ended := next((sentence for source in ENDED_SOURCES if (sentence := source(ctx))), ""):
        raise Refusal(f"{messages.REFUSED}：{ended}")
    raise Refusal(f"{messages.REFUSED}：现在没有正在答的题。发送「每日」开始今天的一练。", (Option("每日", "每日一练"),))


def handle_tap(ctx: Context, task: str, text: str) -> Reply:
    """A tap on a card: it goes to the very question or page it was made for, and late taps change nothing."""
    on_card = tasks.parse_card_code(task)
    if on_card is None:
        raise Refusal(f"{messages.REFUSED}：这张卡片已经失效。回复「继续」接着做。", (messages.RESUME,))
    task_kind, row_id, number = on_card
    return task_kind.handle_tap(ctx, row_id, number, text)


# ── A sitting in hand ──


def _typed(ctx: Context, sitting_id: int, text: str) -> Reply | None:
    asked = quiz.current_question(ctx.session, ctx.catalog, sitting_id)
    numbered = parse_numbered(text)
    if numbered is not None and _names_other_question(ctx, asked, text, *numbered):
        asked = _question_by_number(ctx, asked, numbered[0])
        text = numbered[1]
    choice = asked.question.parse_answer(text)
    if choice is None:
        return _refuse_non_answer(ctx, asked, text)
    return answer_reply(ctx, quiz.answer(ctx.session, ctx.catalog, ctx.me.id, asked, choice, ctx.incoming, ctx.now))


def _names_other_question(ctx: Context, asked: AskedQuestion, text: str, number: int, answer: str) -> bool:
    """True when a numbered text (3B) is meant for the question of that number, and is no answer to the one in hand."""
    if asked.question.choices:
        return asked.question.parse_answer(text) is None
    if number == asked.item.n:
        return "题" in text
    item = sittings.item(ctx.session, asked.sitting.id, number)
    if item is None:
        return False
    other = ctx.catalog.question(ctx.session, item.version_id)
    return bool(other.choices) and other.parse_answer(answer) is not None


def _question_by_number(ctx: Context, asked: AskedQuestion, number: int) -> AskedQuestion:
    """The question of a number (3B), which need not be the one in hand."""
    if number == asked.item.n:
        return asked
    item = sittings.item(ctx.session, asked.sitting.id, number)
    if item is None:
        raise Refusal(f"{messages.REFUSED}：这一组只有 {asked.sitting.size} 题，没有第 {number} 题。")
    if sittings.recorded_answer(ctx.session, asked.sitting.id, number) is not None:
        raise Refusal(f"{messages.REFUSED}：第 {number} 题已经答过，以第一次为准。")
    return AskedQuestion(asked.sitting, item, ctx.catalog.question(ctx.session, item.version_id))


def _refuse_non_answer(ctx: Context, asked: AskedQuestion, text: str) -> Reply | None:
    if router.near_commands(ctx, text):
        return None
    raise Refusal(
        f"{messages.REFUSED}：{how_to_answer(asked.question.kind, text)}；换一题回「跳过」，先放下回「退出」。",
        (*meant_answer(text, [say for say, _ in asked.question.choices]), Option("跳过", "换一题"), Option("退出", "先放下")),
    )


def how_to_answer(kind: str, text: str) -> str:
    """How a kind of question is answered, to somebody who answered otherwise: BBBB may be the answers to four questions, or a slip."""
    letters = several_answers(text)
    if kind != "multiple" and len(letters) > 1:
        return f"这道是{KINDS[kind].label}，「{text.strip()[:12]}」有 {len(letters)} 个答案，一次只答一题。{HOW_TO_ANSWER[kind]}"
    if letters and len(set(letters)) == 1:
        return f"「{text.strip()[:12]}」是几道题的答案，还是只选 {letters[0]}？一次只答一题，{HOW_TO_ANSWER[kind]}"
    return f"这道是{KINDS[kind].label}，{HOW_TO_ANSWER[kind]}"


def meant_answer(text: str, choices: Sequence[str]) -> tuple[Option, ...]:
    """What a text with one letter several times over may have meant."""
    letters = set(several_answers(text)) & set(choices)
    return tuple(Option(letter, f"这题选 {letter}") for letter in letters) if len(letters) == len(set(several_answers(text))) == 1 else ()


def _tapped(ctx: Context, sitting_id: int, number: int, text: str) -> Reply:
    asked, choice = tapped_answer(ctx, sitting_id, number, text)
    if current_task.focus(ctx.session, ctx.me.id) != (FORMS[asked.sitting.kind].task, sitting_id):
        quiz.resume(ctx.session, ctx.catalog, ctx.me.id, sitting_id, ctx.now)
    return answer_reply(ctx, quiz.answer(ctx.session, ctx.catalog, ctx.me.id, asked, choice, ctx.incoming, ctx.now))


def tapped_answer(ctx: Context, sitting_id: int, number: int, text: str) -> tuple[AskedQuestion, str]:
    """The question that a card was made for and the choice tapped. Raises `Refusal` for somebody else's card, an old one, a second tap."""
    sitting = sittings.sitting(ctx.session, sitting_id)
    if sitting is None or sitting.person_id != ctx.me.id:
        raise Refusal(f"{messages.REFUSED}：这张卡片不是发给您的。")
    if sittings.recorded_answer(ctx.session, sitting_id, number) is not None:
        raise Refusal(f"{messages.REFUSED}：这道题已经答过，以第一次为准。")
    item = sittings.item(ctx.session, sitting_id, number)
    if sitting.state != "open" or item is None:
        raise Refusal(f"{messages.REFUSED}：这一组题已经结束，这张卡片不再有效。")
    question = ctx.catalog.question(ctx.session, item.version_id)
    choice = question.parse_answer(text)
    if choice is None:
        raise Refusal(f"{messages.REFUSED}：这道是{KINDS[question.kind].label}，{HOW_TO_ANSWER[question.kind]}。")
    return AskedQuestion(sitting, item, question), choice


def _resume(ctx: Context, sitting_id: int) -> Reply:
    return messages.question_reply(quiz.resume(ctx.session, ctx.catalog, ctx.me.id, sitting_id, ctx.now), notices(ctx))


def _turn(ctx: Context, sitting_id: int) -> Reply:
    return messages.question_reply(quiz.current_question(ctx.session, ctx.catalog, sitting_id), "请先答这一题；换一题回「跳过」。")


def _skip(ctx: Context, sitting_id: int) -> Reply:
    next_question = quiz.skip(ctx.session, ctx.catalog, sitting_id, ctx.now)
    if next_question is None:
        return messages.question_reply(quiz.current_question(ctx.session, ctx.catalog, sitting_id), "这是最后一道没答的题了；不想做回「退出」。")
    return messages.question_reply(next_question, "先跳过，最后再回来。")


def _leave(ctx: Context, sitting_id: int) -> Reply:
    name = study_current_task.pause(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    if name:
        return messages.paused_reply(name, study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id))
    score = sittings.score(ctx.session, sitting_id)
    if not score.answered:
        return Reply("这一轮结束：一题也没有答，没有要记录的。", buttons=messages.AFTER_SET)
    text = f"这一轮结束：答了 {score.answered} 题，对 {score.right} 题，已答的都已记录。"
    ended = sittings.sitting(ctx.session, sitting_id)
    return Reply(f"{text}\n{credit_line(ctx, ended)}".rstrip() if ended is not None else text, buttons=messages.AFTER_SET)


def _awaits_text(ctx: Context, sitting_id: int) -> bool:
    return not quiz.current_question(ctx.session, ctx.catalog, sitting_id).question.choices


def _answer_together(session: Session, catalog: Catalog, heard: Sequence[HeardAnswer]) -> list[Reply | None]:
    """The plain answers of a batch: to a question that another one follows at once."""
    facts = answers.gather(
        session, [answers.lookup(answer.person_id, answer.row_id, answer.number, day_of(answer.incoming.arrived)) for answer in heard]
    )
    decisions: list[AnswerDecision] = []
    replies: list[Reply | None] = []
    at_gate = [(k, known.sitting) for k, known in enumerate(facts) if known is not None and _is_next_in_open_set(known)]
    refusals = quiz.gate_refusals(session, [(sitting, heard[k].incoming) for k, sitting in at_gate])
    let_in = {k for (k, _), refusal in zip(at_gate, refusals, strict=True) if refusal is None}
    for k, (answer, known) in enumerate(zip(heard, facts, strict=True)):
        decision = None if known is None or k not in let_in else _decide_plain(session, catalog, answer, known)
        if decision is None:
            replies.append(None)
            continue
        decisions.append(decision)
        replies.append(_next_question_reply(quiz.outcome_of(session, catalog, decision)))
    answers.keep(session, decisions)
    return replies


def _is_next_in_open_set(facts: AnswerFacts) -> bool:
    """Whether the place is free, and another follows it at once; nobody's key has to be withheld."""
    return not (facts.is_answered or facts.is_watched) and facts.next_item is not None and facts.sitting.state == "open"


def _decide_plain(session: Session, catalog: Catalog, answer: HeardAnswer, facts: AnswerFacts) -> AnswerDecision | None:
    """The decision on a plain answer; None where something else comes of it, which `quiz.answer` and its callers look after."""
    question = catalog.question(session, facts.item.version_id)
    may_name_another = answer.number is None and not question.choices and parse_numbered(answer.text) is not None
    choice = None if may_name_another else question.parse_answer(answer.text)
    if choice is None:
        return None
    decision = answers.decide(catalog.policy, facts, question, choice, answer.incoming, answer.incoming.arrived)
    return None if decision.is_over else decision


for _kind, _letter in (("sitting", "s"), ("match", "m")):
    tasks.register(TaskKind(_kind, _letter, _typed, _tapped, _resume, _turn, _skip, _leave, _awaits_text, _answer_together))


def _next_question_reply(outcome: AnswerOutcome) -> Reply:
    """The verdict and the next question."""
    assert outcome.next_question is not None
    return Reply(_verdict(outcome), messages.question_card(outcome.next_question), (messages.REPORT,), done=messages.chosen_text(outcome))


def _verdict(outcome: AnswerOutcome) -> str:
    return messages.verdict_text(outcome) if FORMS[outcome.sitting.kind].shows_verdict else f"{messages.RECORDED}。"


def answer_reply(ctx: Context, outcome: AnswerOutcome) -> Reply:
    """The verdict and what comes after it: the next question, or the end of the set and what waits."""
    if outcome.next_question is not None:
        return _next_question_reply(outcome)
    closing, buttons = ENDINGS.get(outcome.sitting.kind, _score_ending)(ctx, outcome)
    waiting = study_current_task.waiting(ctx.session, ctx.catalog, ctx.me.id)
    lines = [_verdict(outcome), "", closing.rstrip()] + ([messages.waiting_line(waiting)] if waiting else [])
    buttons = (messages.RESUME, *buttons[:2]) if waiting else buttons
    return Reply("\n".join(lines), buttons=(*buttons, messages.REPORT), done=messages.chosen_text(outcome))


def credit_line(ctx: Context, sitting: OpenSitting) -> str:
    """What a set earned, said once; empty for what earns by other rules."""
    if not FORMS[sitting.kind].earns_credit:
        return ""
    return messages.set_credit_line(credit.credit_of_set(ctx.session, ctx.catalog.policy, sitting.id, ctx.today))


# ── What is said at the end of a set ──

Ending = Callable[[Context, AnswerOutcome], tuple[str, tuple[Option, ...]]]
ENDINGS: dict[str, Ending] = {}
"""By the kind of sitting, where its end says more than the score: the closing words, and the buttons under them."""


def ending(kind: str) -> Callable[[Ending], Ending]:
    """Register what is said at the end of sittings of a kind."""

    def register(close: Ending) -> Ending:
        ENDINGS[kind] = close
        return close

    return register


def _score_ending(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    assert outcome.score is not None
    name = FORMS[outcome.sitting.kind].name
    return f"{messages.score_line(name, outcome.score)}\n{credit_line(ctx, outcome.sitting)}", messages.AFTER_SET


@ending("daily")
def _daily_ending(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    """The day's own moment: what was done and earned, the streak, what is missing of the year, what comes next."""
    closing, buttons = _score_ending(ctx, outcome)
    streak_line = hours.streak_line(streak.streak_of(ctx.session, ctx.library.calendar, ctx.me.id, ctx.now))
    lines = ["【今天的每日一练做完了】", closing, streak_line, hours.gap_line(ctx), _next_day_line(ctx)]
    return "\n".join(line for line in lines if line), buttons


def _next_day_line(ctx: Context) -> str:
    try:
        next_day = ctx.library.calendar.workday_after(ctx.today)
    except UnknownYear:
        return ""
    due = mistakes.count_due_on(ctx.session, ctx.me.id, next_day)
    reviews = f"，其中复习 {min(due, quiz.REVIEWS_IN_DAILY)} 道错题" if due else ""
    when = "明天" if (next_day - ctx.today).days == 1 else chinese_day(next_day)
    return f"{when}见：新的 {quiz.DAILY_SIZE} 道题{reviews}。"


@ending("lesson")
def _lesson_ending(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    finished = lessons.finish(ctx.session, ctx.catalog, ctx.me.id, int(outcome.sitting.scope), ctx.now)
    return messages.LESSON_WITHDRAWN if finished is None else messages.lesson_finished_text(finished), messages.AFTER_LESSON


def notices(ctx: Context) -> str:
    """Lines to say first; each is told once, and not in the middle of an exam: an answer about a question may hold its key."""
    if key_visibility.current_exam_name(ctx.session, ctx.me.id, ctx.now):
        return ""
    answers = sittings.take_unseen_answers(ctx.session, ctx.me.id, ctx.now)
    return "\n".join(f"📮 您报告的题「{ctx.catalog.question(ctx.session, version_id).stem[:20]}…」有回复：{text}" for _, version_id, text in answers)
