"""The chat commands 竞赛 and 排行: lists, taking part, a person's result, and the board where it is published."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.commands.contest import messages
from bot.commands.router import Context, command
from bot.commands.study import messages as study_messages
from bot.commands.study.quiz import ending
from bot.domain.contest.contest import Contest, invitation_target
from bot.domain.message import Option, Refusal, Reply
from bot.domain.text.numbers import find_row_number
from bot.services.contest import closing, play
from bot.services.study.quiz import AnswerOutcome

BEGIN, BOARD = "开始", "排行"
BEGIN_WORDS = (BEGIN, "参加", "答题", "继续")
_REQUEST = re.compile(rf"(?:({'|'.join(BEGIN_WORDS)})\s*)?#?(\d{{1,9}})\s*(\S.*)?")
PlayHandler = Callable[[Context, Contest, str], Reply]
PLAY_HANDLERS: dict[str, PlayHandler] = {}
"""What 竞赛 12 does for a form of contest; it gets the words after the number."""


ROOM_OPENERS: list[Callable[[Context, str], Reply | None]] = []
"""Handlers that may recognise a six-digit join code; tried before the number is read as a contest id."""


def plays(*forms: str) -> Callable[[PlayHandler], PlayHandler]:
    """Register how contests of a form are taken part in."""

    def register(do: PlayHandler) -> PlayHandler:
        PLAY_HANDLERS.update(dict.fromkeys(forms, do))
        return do

    return register


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
        for room in ROOM_OPENERS:
            if (reply := room(ctx, number)) is not None:
                return reply
    chosen = play.require_visible(ctx.session, ctx.me, int(number), ctx.now)
    return PLAY_HANDLERS[chosen.plan.form](ctx, chosen, rest)


def _list(ctx: Context) -> Reply:
    offered = play.open_contests(ctx.session, ctx.me, ctx.now)
    past = [f"参加过：{messages.contest_line(contest)[2:]}" for contest in play.past_contests(ctx.session, ctx.me)]
    if not offered:
        lines = ["现在没有您可以参加的竞赛。", *past]
        return Reply("\n".join(lines), buttons=(Option("每日", "每日一练"), Option("对战", "找人对战")))
    lines = ["可以参加的竞赛：", *map(messages.contest_line, offered[:10]), "参加请发「竞赛 编号」。", *past]
    return Reply("\n".join(lines), buttons=tuple(Option(invitation_target(contest.id), contest.name[:12]) for contest in offered[:4]))


@plays("windowed")
def windowed(ctx: Context, contest: Contest, text: str) -> Reply:
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
