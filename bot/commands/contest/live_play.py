"""Taking part in a live contest from a chat: joining by code, answering by tap or letter, pressing 抢, and 继续 to catch up."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from bot.commands import tasks
from bot.commands.contest import messages
from bot.commands.contest.play import ROOM_OPENERS, plays
from bot.commands.router import Context, normalize
from bot.commands.study import messages as study_messages
from bot.commands.tasks import HeardAnswer, TaskKind
from bot.domain.contest.contest import Contest
from bot.domain.contest.stage_rounds import ROUND_LABELS
from bot.domain.message import Option, Refusal, Reply
from bot.services.contest import live_broadcast, live_play
from bot.services.contest.live_play import LIVE_FORM, LiveAnswer, PlayerSeat
from bot.services.contest.stage_scoring import BuzzerPress
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.services.study import current_task
from bot.storage.contest import live_state
from bot.storage.contest.live_state import AnswerContext, LivePlace, LiveState

BUZZ_WORDS = ("抢", "抢答", "我抢")
FALSE_START_TEXTS = {"void": "本题作废", "out": "本题你们队不再参加", "on": "继续"}


def come_in(ctx: Context, code: str) -> Reply | None:
    """`竞赛 123456`: join or rejoin by code; None for an unknown code."""
    live = live_state.get_by_code(ctx.session, code)
    return None if live is None else _enter(ctx, live)


ROOM_OPENERS.append(come_in)


@plays("live", "onsite")
def room(ctx: Context, contest: Contest, text: str) -> Reply:
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
    return f"，您在「{seat.team[1]}」" if seat.team else ""


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
        return f"{study_messages.RECORDED}：{seat.team[1] if seat.team else ''} 已抢。先后以服务器收到的时刻为准，请看大屏幕。"
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
