"""The chat commands 对战 and 应战: duels of two or four colleagues over the same questions."""

from __future__ import annotations

import re

from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.commands.study.quiz import ending
from bot.domain.contest import duel as duel_values
from bot.domain.message import Option, Refusal, Reply
from bot.domain.times import duration_text
from bot.services.contest import duel as contest_duel
from bot.services.contest.duel import DuelInvitation, JoinedDuel
from bot.services.study.quiz import AnswerOutcome

FOUR_PLAYER_WORDS = ("4", "四人", "4人", "四人赛", "四人对战")
TWO_PLAYER_WORDS = ("2", "双人", "两人", "双人赛", "双人对战")
DECLINE_WORDS = ("谢绝", "不", "不来", "拒绝", "没空")
AGAIN_BUTTONS = (Option("对战", "再来一场"), Option("对战 战绩", "看战绩"))


@command("对战", "PK", "pk", argument="<工号>")
def duel(ctx: Context, text: str) -> Reply:
    """找同事比一场：“对战”等人来，“对战 1010”邀请，“对战 四人”四人赛；5 道同样的题，最多差 2 分。"""
    if text == "战绩":
        return _record(ctx)
    if text == "取消":
        is_cancelled = contest_duel.cancel(ctx.session, ctx.me, ctx.now)
        return Reply("已取消，不再等对手。" if is_cancelled else "现在没有在等对手。", buttons=(Option("对战", "找人对战"),))
    current = contest_duel.current_duel(ctx.session, ctx.me.id, ctx.now)
    if current is not None and current.state == "running":
        remaining = duration_text(max(0, int((current.until - ctx.now).total_seconds())))
        return messages.question_reply(
            contest_duel.current_question(ctx.session, ctx.catalog, current, ctx.me.id, ctx.now, ctx.rng), f"对战进行中，还有 {remaining}。"
        )
    if not text or text in TWO_PLAYER_WORDS or text in FOUR_PLAYER_WORDS:
        return _invitation_reply(
            contest_duel.find_opponent(ctx.session, ctx.catalog, ctx.me, 4 if text in FOUR_PLAYER_WORDS else 2, ctx.now, ctx.rng)
        )
    names = [name for name in re.split(r"[\s、,，]+", text) if name]
    if len(names) > max(duel_values.PLAYER_COUNTS) - 1:
        raise Refusal(f"一次最多邀请 {max(duel_values.PLAYER_COUNTS) - 1} 人。")
    people = [contest_duel.find_colleague(ctx.session, name, ctx.now) for name in names]
    return _invitation_reply(contest_duel.invite(ctx.session, ctx.me, people, ctx.now))


@command("四人赛", "四人对战")
def four_players(ctx: Context, _: str) -> Reply:
    """四个人同答 5 道题，凑齐就开始；和“对战 四人”一样。"""
    return duel(ctx, FOUR_PLAYER_WORDS[1])


@command("双人对战", "双人赛", "一对一")
def two_players(ctx: Context, _: str) -> Reply:
    """找一位同事比一场；和“对战”一样。"""
    return duel(ctx, "")


@command("应战", argument="<编号>")
def answer(ctx: Context, text: str) -> Reply:
    """接受对战邀请：“应战 12”；不方便回“应战 12 谢绝”。"""
    match = re.fullmatch(r"#?(\d{1,9})?\s*(\S*)", text)
    if match is None or (match[2] and match[2] not in DECLINE_WORDS):
        raise Refusal("请这样回复：「应战」或「应战 编号」；不方便回「应战 编号 谢绝」。")
    duel_id = int(match[1]) if match[1] else None
    if match[2]:
        contest_duel.decline(ctx.session, ctx.me, duel_id, ctx.now)
        return Reply("已谢绝，会告诉对方。")
    return _invitation_reply(contest_duel.accept(ctx.session, ctx.catalog, ctx.me, duel_id, ctx.now, ctx.rng))


def _invitation_reply(joined: DuelInvitation | JoinedDuel) -> Reply:
    if isinstance(joined, JoinedDuel):
        names = "、".join(player.name for player in joined.others)
        length = duration_text(int(duel_values.TIME_LIMIT.total_seconds()))
        return messages.question_reply(
            joined.question, f"⚔ 与 {names} 的对战开始：同样 {duel_values.QUESTION_COUNT} 道题，{length}内答完，先比答对题数，再比用时。"
        )
    wanted = joined.duel.size
    if joined.duel.is_invited:
        names = "、".join(player.name for player in joined.players if player.state == "invited")
        heading = (
            f"已邀请 {names}，" if joined.duel.made_by in {player.id for player in joined.players if player.is_in} and names else "还在等其他人，"
        )
        return Reply(
            f"{heading}对方应战就开始，邀请 {duration_text(joined.seconds)}内有效。开始时会在这里告诉您。", buttons=(Option("对战 取消", "不等了"),)
        )
    status = f"已有 {joined.ready}/{wanted} 人" if wanted > 2 else "正在找对手"
    return Reply(
        f"{status}，{joined.seconds} 秒内等不到就告诉您；没有机器人陪打。开始时会在这里告诉您，也可以回复「对战」看看。",
        buttons=(Option("对战", "看看来了没有"), Option("对战 取消", "不等了")),
    )


def _record(ctx: Context) -> Reply:
    record = contest_duel.monthly_record(ctx.session, ctx.me.id, ctx.now)
    if not record.played:
        return Reply("本月还没有打过对战。", buttons=(Option("对战", "找人对战"),))
    summary = (
        f"本月对战 {record.played} 场，第一 {record.won} 场，对战积分 {record.points}"
        f"（每天前 {duel_values.SCORED_PER_DAY} 场计分）。只有自己看得到，不计学时。"
    )
    return Reply(summary, buttons=(Option("对战", "再来一场"),))


@ending(contest_duel.KIND)
def _finished_lines(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    """A player has answered all: the result, or that the others are still at it."""
    over = contest_duel.finish_player(ctx.session, outcome.sitting, ctx.now)
    if over.is_over:
        return "\n".join(["⚔ 对战结束。", *contest_duel.result_lines(over.players, ctx.me.id)]), AGAIN_BUTTONS
    mine = next(player for player in over.players if player.id == ctx.me.id)
    remaining = duration_text(max(0, int((over.duel.until - ctx.now).total_seconds())))
    return (
        f"⚔ 您答完了：对 {mine.correct} 题，用时 {duration_text(mine.millis // 1000)}。等对手答完（最多 {remaining}），结果会发到这里。",
        AGAIN_BUTTONS[1:],
    )
