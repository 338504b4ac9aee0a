"""The chat commands 竞赛 and 排行: lists, taking part in windowed and in live contests, a person's result, and the board where it is published."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlmodel import Session

from bot.commands import tasks
from bot.commands.contest import messages
from bot.commands.router import Context, command, normalize
from bot.commands.study import messages as study_messages
from bot.commands.study.quiz import ending
from bot.commands.tasks import HeardAnswer, TaskKind
from bot.domain.contest.contest import Contest, invitation_target
from bot.domain.contest.live_rules import ROUND_LABELS
from bot.domain.message import Option, Refusal, Reply
from bot.domain.text.numbers import find_row_number
from bot.services.contest import closing, live_broadcast, live_play, play
from bot.services.contest.live_play import LIVE_FORM, LiveAnswer, PlayerSeat
from bot.services.contest.live_scoring import BuzzerPress
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.services.study import current_task
from bot.services.study.quiz import AnswerOutcome
from bot.storage.contest import live_state
from bot.storage.contest.live_state import AnswerContext, LivePlace, LiveState

BEGIN, BOARD = "开始", "排行"
BEGIN_WORDS = (BEGIN, "参加", "答题", "继续")
_REQUEST = re.compile(rf"(?:({'|'.join(BEGIN_WORDS)})\s*)?#?(\d{{1,9}})\s*(\S.*)?")
BUZZ_WORDS = ("抢", "抢答", "我抢")
FALSE_START_TEXTS = {"void": "本题作废", "out": "本题你们队不再参加", "on": "继续"}


@command("竞赛", "比赛", argument="<编号>")
def contest(ctx: Context, text: str) -> Reply:
    """正在进行的竞赛；“竞赛 12”看规则和自己的成绩，“竞赛 12 开始”答题。"""
    if not text:
        return _list(ctx)
    match = _REQUEST.fullmatch(text)
    if match is None:
        raise Refusal(f"没有看懂「竞赛 {text[:20]}」。请写编号，例如「竞赛 12」；发送「竞赛」看列表。", (Option("竞赛", "竞赛列表"),))
    number, rest = match[2], match[1] or (match[3] or "").strip()
    if len(number) == 6:
        live = live_state.get_by_code(ctx.session, number)
        if live is not None:
            return _enter(ctx, live)
    chosen = play.require_visible(ctx.session, ctx.me, int(number), ctx.now)
    return _windowed(ctx, chosen, rest) if chosen.plan.form == "windowed" else _room(ctx, chosen)


def _list(ctx: Context) -> Reply:
    offered = play.open_contests(ctx.session, ctx.me, ctx.now)
    past = [f"参加过：{messages.contest_line(contest)[2:]}" for contest in play.past_contests(ctx.session, ctx.me)]
    if not offered:
        lines = ["现在没有您可以参加的竞赛。", *past]
        return Reply("\n".join(lines), buttons=(Option("每日", "每日一练"), Option("对战", "找人对战")))
    rooms = {live.id for live in live_play.open_rooms(ctx.session, ctx.now)}
    offered.sort(key=lambda contest: contest.id not in rooms)
    offers = [messages.offer_line(contest, is_room_open=contest.id in rooms) for contest in offered[:10]]
    lines = ["可以参加的竞赛：", *offers, "参加请发「竞赛 编号」。", *past]
    return Reply("\n".join(lines), buttons=tuple(Option(invitation_target(contest.id), contest.name[:12]) for contest in offered[:4]))


def _windowed(ctx: Context, contest: Contest, text: str) -> Reply:
    """Play one set at a time; without a word after the number, show the rules and the standing."""
    if text in BEGIN_WORDS:
        put = play.begin_set(ctx.session, ctx.catalog, ctx.me, contest.id, ctx.now, ctx.rng)
        return study_messages.question_reply(put, f"竞赛「{contest.name}」：第一次提交的答案有效，答完一题看结果。")
    standing = play.standing(ctx.session, contest, ctx.me.id, ctx.now)
    may_begin = contest.is_open_at(ctx.now) and standing.left_today > 0
    lines = [*messages.plan_lines(contest), *messages.standing_lines(standing)] if text == "" else messages.standing_lines(standing)
    if contest.state == "cancelled":
        lines.append("这场竞赛已取消，成绩不计。")
    return Reply("\n".join(lines), buttons=_buttons(contest, may_begin=may_begin))


def _buttons(contest: Contest, *, may_begin: bool) -> tuple[Option, ...]:
    begin = (Option(f"{invitation_target(contest.id)} {BEGIN}", "开始一套"),) if may_begin else ()
    board = (Option(f"{BOARD} {contest.id}", "看排行"),) if contest.rules.board != "off" and contest.state != "cancelled" else ()
    return (*begin, *board)


@ending(play.KIND)
def _set_outcome(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    """The end of a set: what it came to, how its player stands, the hours for taking part."""
    over = play.end_set(ctx.session, ctx.catalog, outcome.sitting, ctx.now)
    lines = [f"🏁 「{over.contest.name}」这一套：{messages.result_text(over.result)}。", *messages.standing_lines(over.standing)]
    if over.earned is not None:
        lines.append(study_messages.earned_line(over.earned, "参加竞赛"))
    more = over.standing.left_today > 0 and over.contest.is_open_at(ctx.now)
    return "\n".join(lines), (*_buttons(over.contest, may_begin=more), Option("我的学时", "我的学时"))


@command("排行", "排行榜", read_only=True, argument="<编号>")
def ranking(ctx: Context, text: str) -> Reply:
    """竞赛的排行，只在竞赛设了排行时公布：“排行 12”。"""
    if not text:
        shown = play.ranked_contests(ctx.session, ctx.me, ctx.now)
        if not shown:
            return Reply("现在没有公布排行的竞赛。排行默认不公布，由主办方在竞赛规则里写明。", buttons=(Option("竞赛", "竞赛列表"),))
        lines = ["公布排行的竞赛：", *map(messages.contest_line, shown[:10]), "查看请发「排行 编号」。"]
        return Reply("\n".join(lines), buttons=tuple(Option(f"{BOARD} {contest.id}", contest.name[:12]) for contest in shown[:4]))
    number = find_row_number(text)
    if number is None:
        raise Refusal("请写竞赛的编号，例如「排行 12」；发送「排行」看列表。")
    contest = play.require_visible(ctx.session, ctx.me, number, ctx.now)
    if contest.state == "cancelled":
        raise Refusal(f"竞赛「{contest.name}」已取消，没有排行。")
    return Reply(
        "\n".join(messages.board_lines(closing.board_of(ctx.session, contest), ctx.me.id)),
        buttons=(Option(invitation_target(contest.id), "看规则和成绩"),),
    )


# ── A live contest: joining by code, answering, pressing 抢, and 继续 to catch up ──


def _room(ctx: Context, contest: Contest) -> Reply:
    """`竞赛 7`: join while the room is open; the rules before, the participant's result after."""
    live = live_state.get(ctx.session, contest.id)
    if live is not None and live.course.phase != "finished":
        return _enter(ctx, live)
    if live is None:
        return Reply("\n".join([*messages.plan_lines(contest), "还没有开场；开场以后发大屏幕上的参赛码进入。"]))
    return Reply(f"「{contest.name}」已结束。{live_broadcast.standing_text(ctx.session, live, ctx.me.id)}")


def _enter(ctx: Context, live: LiveState) -> Reply:
    """Join or rejoin; the current question is shown at once."""
    seat = live_play.enter(ctx.session, ctx.catalog, ctx.me, live, ctx.now)
    lines = [study_messages.paused_line(seat.put_down), f"{'已进入' if seat.is_new else '欢迎回来，'}「{seat.live.name}」{_team_text(seat)}。"]
    if seat.is_new:
        lines.append("题目会发到这里，点选项或回复字母作答，第一次提交的有效；掉线了回来发「继续」，答过的都在。")
    return _view_reply(ctx, seat, "\n".join(line for line in lines if line))


def _team_text(seat: PlayerSeat) -> str:
    return f"，您在「{seat.team.name}」" if seat.team else ""


def _view_reply(ctx: Context, seat: PlayerSeat, lead: str) -> Reply:
    """The current question or state, after a lead text."""
    view = live_play.current_view(ctx.session, ctx.catalog, seat)
    course = seat.live.course
    if view.item is None or view.question is None:
        return Reply(f"{lead}\n还没有开始，请稍候，看大屏幕。".strip())
    place = f"第 {view.item.n} 题"
    if view.item.void:
        line = f"{place}作废：{view.item.void}。请等下一题。"
    elif course.paused:
        line = f"{place}暂停中，恢复以后接着答。"
    elif course.phase not in ("reading", "open"):
        exam = key_visibility.current_exam_name(ctx.session, ctx.me.id, ctx.now)
        own_choice = f"您答 {view.choice}。" if view.choice else ""
        solution = f"{place}已收题。您正在考《{exam}》，答案交卷以后再看。" if exam else live_broadcast.solution_text(view.item, view.question)
        line = f"{solution}\n{own_choice}{live_broadcast.standing_text(ctx.session, seat.live, ctx.me.id)}请等下一题。"
    elif view.choice:
        line = f"{place}您已经答过（{view.choice}），请等下一题。"
    elif view.item.round == "risk":
        line = f"{place}是{ROUND_LABELS['risk']}题，在台上作答。"
    else:
        return Reply(lead, live_broadcast.question_card(seat.live, view.item, view.question))
    return Reply(f"{lead}\n{line}".strip())


def _take(ctx: Context, sitting_id: int) -> None:
    current_task.take_up(ctx.session, ctx.catalog, ctx.me.id, LIVE_FORM.task, sitting_id, LIVE_FORM.claim, ctx.now)


def _handle_text(ctx: Context, sitting_id: int, text: str) -> Reply | None:
    contest_id = live_play.contest_of_sitting(ctx.session, sitting_id)
    if contest_id is None:
        return None
    seat = live_play.require_seat(ctx.session, ctx.me.id, contest_id)
    view = live_play.current_view(ctx.session, ctx.catalog, seat)
    if normalize(text).rstrip("!。") in BUZZ_WORDS:
        return _press_buzzer(ctx, seat, seat.live.course.item)
    if view.question is None or view.question.parse_answer(text) is None:
        return None
    return _record_answer(ctx, contest_id, seat.live.course.item, text)


def _handle_tap(ctx: Context, contest_id: int, n: int, text: str) -> Reply:
    """A card names the contest, not the person: a forwarded card counts for whoever taps it, if they take part, or not at all."""
    if text != live_broadcast.BUZZ_ANSWER:
        return _record_answer(ctx, contest_id, n, text)
    seat = live_play.require_seat(ctx.session, ctx.me.id, contest_id)
    reply = _press_buzzer(ctx, seat, n)
    _take(ctx, seat.sitting_id)
    return reply


def _record_answer(ctx: Context, contest_id: int, n: int, text: str) -> Reply:
    accepted = live_play.record_live_answer(ctx.session, ctx.catalog, ctx.me.id, contest_id, n, text, ctx.incoming)
    _take(ctx, accepted.context.sitting_id)
    return _accepted_reply(accepted)


def _accepted_reply(accepted: LiveAnswer) -> Reply:
    return Reply(
        f"{study_messages.RECORDED}：第 {accepted.context.item.n} 题，您答 {accepted.choice}。收题后公布答案。", done=f"已选 {accepted.choice}"
    )


def _answer_together(session: Session, catalog: Catalog, heard: Sequence[HeardAnswer]) -> list[Reply | None]:
    """The answers of a batch to the question that is open, typed or tapped."""
    contexts = live_play.gather(session, [LivePlace(answer.person_id, answer.row_id, answer.number) for answer in heard])
    decided = [None if context is None else _decide_plain(session, catalog, answer, context) for answer, context in zip(heard, contexts, strict=True)]
    live_play.keep(session, [accepted for accepted in decided if accepted is not None])
    return [None if accepted is None else _accepted_reply(accepted) for accepted in decided]


def _decide_plain(session: Session, catalog: Catalog, answer: HeardAnswer, context: AnswerContext) -> LiveAnswer | None:
    """The answer, where it is accepted; None for a press, for what is no answer, and for what is refused: that is said when it is heard by itself."""
    is_of_another_contest = answer.card_row is not None and answer.card_row != context.item.contest_id
    if is_of_another_contest or answer.text == live_broadcast.BUZZ_ANSWER or normalize(answer.text).rstrip("!。") in BUZZ_WORDS:
        return None
    if answer.number is None and context.course.phase == "lobby":
        return None
    try:
        return live_play.decide(session, catalog, context, answer.text, answer.incoming)
    except Refusal:
        return None


def _press_buzzer(ctx: Context, seat: PlayerSeat, n: int) -> Reply:
    press = live_play.press_buzzer(ctx.session, ctx.me.id, seat, n, ctx.incoming)
    return Reply(_press_text(press, seat), done="犯规" if press.is_false_start else "已抢")


def _press_text(press: BuzzerPress, seat: PlayerSeat) -> str:
    if not press.is_false_start:
        return f"{study_messages.RECORDED}：{seat.team.name if seat.team else ''} 已抢。先后以服务器收到的时刻为准，请看大屏幕。"
    penalty = f"扣 {press.points} 分，" if press.points else ""
    return f"{study_messages.RECORDED}：抢早了，犯规，{penalty}{FALSE_START_TEXTS[press.then]}。"


def _resume(ctx: Context, sitting_id: int) -> Reply:
    contest_id = live_play.contest_of_sitting(ctx.session, sitting_id)
    if contest_id is None:
        raise Refusal("这场竞赛已经不在了。")
    seat = live_play.require_seat(ctx.session, ctx.me.id, contest_id)
    _take(ctx, seat.sitting_id)
    return _view_reply(ctx, seat, f"「{seat.live.name}」{_team_text(seat)}")


def _leave(ctx: Context, sitting_id: int) -> Reply:
    name = current_task.pause(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    return Reply(f"已放下{name}，答过的都在。回复「继续」随时回来。", buttons=(Option("继续", "继续"),))


tasks.register(
    TaskKind(
        LIVE_FORM.task,
        "l",
        _handle_text,
        _handle_tap,
        _resume,
        _resume,
        _resume,
        _leave,
        lambda ctx, ref: False,
        _answer_together,
        cards_name_hand=False,
    )
)
