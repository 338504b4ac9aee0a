"""The chat commands 主持 and 大屏: hosting a live contest without the console; both run the same acts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

from bot.commands import actions
from bot.commands.actions import Act, ActValue, Outcome, act_of, action
from bot.commands.contest import messages
from bot.commands.links import link_lines
from bot.commands.router import Context, command, normalize
from bot.domain.contest.contest import Contest
from bot.domain.contest.live_rules import PHASE_LABELS, SCHEMES, parse_scheme
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.text.numbers import find_row_number
from bot.services.contest import live_host, live_play, live_views, manage
from bot.services.contest.live_host import LiveHost
from bot.storage.contest import players
from bot.storage.contest.live_state import LiveState
from bot.storage.people import audience

STEPS = {
    "lobby": ("下一题",),
    "reading": ("开抢", "收题"),
    "open": ("收题", "暂停"),
    "closed": ("下一题", "排行", "结束"),
    "board": ("下一题", "结束"),
    "finished": (),
}
_ADJUSTMENT = re.compile(r"(\S+)\s+([+-]?\d{1,4})\s+(.+)")


Said = Annotated[str, ActValue("…")]


def _host(act: Act) -> LiveHost:
    return live_host.host_of(act.session, act.me, act.author.via)


@command("主持", role=RoleName.ADMIN, argument="<做什么>")
def host(ctx: Context, text: str) -> Reply:
    """主持现场竞赛：“主持 开场 7”，然后 下一题、开抢、收题、暂停、恢复、排行、作废 3 原因、改分 一队 +5 原因、对、错、接管、结束。"""
    word, _, rest = text.partition(" ")
    acts = actions.under("主持")
    if word in acts:
        return acts[word].say(ctx, rest.strip(), f"主持 {word}")
    if text and find_row_number(text) is None:
        raise Refusal(f"没有看懂「主持 {text[:20]}」。可以说：{'、'.join(f'主持 {name}' for name in acts)}。")
    act = act_of(ctx)
    waiting = [] if text else live_host.waiting_contests(act.session, _host(act))
    if waiting and not _running_contests(act):
        return _waiting_reply(waiting)
    reply = _state_reply(act, _hosted_contest(act, text))
    return replace(reply, text="\n".join([reply.text, *_waiting_lines(waiting)])) if waiting else reply


def _waiting_lines(waiting: Sequence[Contest]) -> list[str]:
    return ["等您开场的竞赛：", *map(messages.contest_line, waiting), f"开场请发「主持 开场 编号」，例如「主持 开场 {waiting[0].id}」。"]


def _waiting_reply(waiting: Sequence[Contest]) -> Reply:
    buttons = tuple(Option(f"主持 开场 {contest.id}", f"开场 {contest.name[:10]}") for contest in waiting[:4])
    return Reply("\n".join(_waiting_lines(waiting)), buttons=buttons)


def _running_contests(act: Act) -> list[LiveState]:
    """The contests within this administrator's reach whose room is open."""
    within = {contest.id for contest in manage.list_contests(act.session, act.author)}
    return [live for live in live_play.open_rooms(act.session, act.now) if live.id in within]


def _hosted_contest(act: Act, text: str = "") -> LiveState:
    """The contest that is meant: by its number, the one this person hosts, or the only one that runs."""
    hosting = _host(act)
    if (number := find_row_number(text)) is not None:
        return live_host.require_live(act.session, hosting, number)
    running = _running_contests(act)
    mine = [running_live for running_live in running if running_live.host_id == hosting.id] or running
    if len(mine) == 1:
        return live_host.require_live(act.session, hosting, mine[0].id)
    if not mine:
        raise Refusal("现在没有开场的现场竞赛。发「主持 开场 编号」开场。")
    raise Refusal(f"有 {len(mine)} 场在进行，请写编号，例如「主持 {mine[0].id}」或「主持 接管 {mine[0].id}」。")


def _state_reply(act: Act, live: LiveState, before: str = "") -> Reply:
    course = live.course
    place = f"第 {course.item}/{live.items} 题，" if course.item else ""
    lines = [
        before,
        f"「{live.name}」{place}{PHASE_LABELS[course.phase]}{'（暂停中）' if course.paused else ''}；"
        f"参赛码 {live.code}，{players.count_joined(act.session, live.id)} 人已进入；主持：{live.host or '无'}。",
    ]
    steps = ("恢复", "收题") if course.paused else STEPS[course.phase]
    buttons = [Option(f"主持 {step}", step) for step in steps]
    return Reply("\n".join(line for line in lines if line), buttons=(*buttons, Option(f"大屏 {live.id}", "大屏")))


@action("主持 开场")
def open_room(act: Act, text: Said) -> Outcome:
    """开场；现场分轮的可以选规则并逐项改，例如「主持 开场 7 方案二 抢答分=30」，回复里列出要宣读的规则。"""
    typed, _, scheme = text.partition(" ")
    number = find_row_number(typed)
    if number is None:
        raise Refusal(
            f"请写竞赛的编号，例如「主持 开场 7」；现场分轮的可以选规则（{'、'.join(SCHEMES)}）并逐项改，例如「主持 开场 7 方案二 抢答分=30」。"
        )
    live = live_host.open_room(act.session, _host(act), number, parse_scheme(scheme) if scheme else None, act.now, act.rng)
    rules = ["规则：", *live_views.rules_lines(act.session, live)] if live.scheme is not None else []
    return _outcome(act, live, "\n".join([f"已开场。大家发「竞赛 {live.code}」进入，或扫大屏幕上的码。", *rules]))


@action("主持 下一题")
def next_item(act: Act, text: Said) -> Outcome:
    """出下一题；必答写队名，风险写队名和分值（下一题 一队 30），也可写节目单里的第几题（下一题 12）。"""
    live = _hosted_contest(act)
    names = {name: team for team, name in players.team_names(act.session, live.id).items()}
    first, _, rest = text.partition(" ")
    number = None if first in names else find_row_number(first)
    if first and first not in names and number is None:
        raise Refusal(f"没有「{first[:20]}」这支队。现有：{'、'.join(names) or '没有分队'}。")
    item = live_host.start_next_item(
        act.session,
        _host(act),
        live.id,
        act.now,
        n=number,
        team_id=names.get(first),
        stake=find_row_number(rest.removesuffix("分")) or 0,
    )
    return _outcome(act, _hosted_contest(act, str(live.id)), f"第 {item.n} 题已出，正在发给大家。")


def _simple_act(act: Act, text: str, do: Callable[..., None], done: str) -> Outcome:
    live = _hosted_contest(act, text)
    do(act.session, _host(act), live.id, act.now)
    return _outcome(act, _hosted_contest(act, str(live.id)), done)


def _outcome(act: Act, live: LiveState, told: str) -> Outcome:
    return Outcome(lines=told, reply=_state_reply(act, live, told))


@action("主持 开抢")
def open_buzzers(act: Act, text: Said) -> Outcome:
    """读完题，开始抢答。"""
    return _simple_act(act, text, live_host.open_buzzers, "已开抢。")


@action("主持 收题")
def close_item(act: Act, text: Said) -> Outcome:
    """收这一题。"""
    return _simple_act(act, text, live_host.close_question, "已收题。")


@action("主持 暂停")
def pause(act: Act, text: Said) -> Outcome:
    """暂停，时钟停住；可写原因。"""
    live = _hosted_contest(act)
    live_host.pause(act.session, _host(act), live.id, act.now, why=text)
    return _outcome(act, _hosted_contest(act, str(live.id)), "已暂停，时钟停住。")


@action("主持 恢复")
def resume(act: Act, text: Said) -> Outcome:
    """恢复，时钟接着走。"""
    return _simple_act(act, text, live_host.resume, "已恢复，时钟接着走。")


@action("主持 排行")
def show_leaderboard(act: Act, text: Said) -> Outcome:
    """大屏换成排行。"""
    return _simple_act(act, text, live_host.show_board, "大屏已换成排行。")


@action("主持 接管")
def take_over(act: Act, text: Said) -> Outcome:
    """由您接着主持。"""
    number = find_row_number(text)
    if number is None:
        raise Refusal("请写竞赛的编号，例如「主持 接管 7」。")
    live = live_host.take_over(act.session, _host(act), number, act.now)
    return _outcome(act, live, "现在由您主持。")


@action("主持 作废", final=True)
def void_item(act: Act, text: Said) -> Outcome:
    """作废一题，大家都不计分，写明原因；不能恢复。"""
    typed, _, why = text.partition(" ")
    number = find_row_number(typed)
    live = _hosted_contest(act)
    if number is None:
        raise Refusal(f"请写第几题和原因，例如「主持 作废 {live.course.item or 1} 题干有误」。")
    live_host.void_question(act.session, _host(act), live.id, number, why, act.now)
    told = _state_reply(act, _hosted_contest(act, str(live.id)), f"第 {number} 题已作废，大家都不计分。")
    return Outcome(lines=f"作废「{live.name}」第 {number} 题（{why}）：大家这一题都不计分。", reply=told)


@action("主持 改分")
def adjust_points(act: Act, text: Said) -> Outcome:
    """给队或个人改分，写明原因。"""
    match = _ADJUSTMENT.fullmatch(normalize(text))
    if match is None:
        raise Refusal("请写给谁、几分、原因，例如「主持 改分 一队 -5 超时」；给个人写工号。")
    live = _hosted_contest(act)
    names = {name: team for team, name in players.team_names(act.session, live.id).items()}
    person_id = None if match[1] in names else audience.find_person_id(act.session, match[1])
    if match[1] not in names and person_id is None:
        raise Refusal(f"没有「{match[1][:20]}」这支队，也没有这个工号。")
    live_host.adjust_points(act.session, _host(act), live.id, int(match[2]), match[3], act.now, team_id=names.get(match[1]), person_id=person_id)
    return _outcome(act, _hosted_contest(act, str(live.id)), f"已改分：{match[1]} {int(match[2]):+d} 分（{match[3]}）。")


def _judge(act: Act, text: str, *, right: bool) -> Outcome:
    live = _hosted_contest(act, text)
    live_host.judge(act.session, _host(act), live.id, right, act.now)
    return _outcome(act, _hosted_contest(act, str(live.id)), f"已判{'对' if right else '错'}。")


@action("主持 对")
def judge_right(act: Act, text: Said) -> Outcome:
    """判口头回答对。"""
    return _judge(act, text, right=True)


@action("主持 错")
def judge_wrong(act: Act, text: Said) -> Outcome:
    """判口头回答错。"""
    return _judge(act, text, right=False)


@action("主持 结束", final=True)
def finish(act: Act, text: Said) -> Outcome:
    """结束现场竞赛，冻结结果；不能恢复。"""
    live = _hosted_contest(act, text)
    left = live.items - live.course.item
    stands = f"第 {live.course.item}/{live.items} 题，{PHASE_LABELS[live.course.phase]}"
    live_host.finish(act.session, act.catalog, _host(act), live.id, act.now)
    lines = [f"结束「{live.name}」：现在是{stands}，{f'还有 {left} 题没有出' if left else '题都出过了'}；结束后结果冻结。"]
    return Outcome(lines=lines, reply=_state_reply(act, _hosted_contest(act, str(live.id)), "已结束，结果已冻结。"))


@command("大屏", role=RoleName.ADMIN, argument="<编号>")
def screen(ctx: Context, text: str) -> Reply:
    """现场竞赛的大屏幕地址和主持台链接，例如“大屏 7”。"""
    live = _hosted_contest(act_of(ctx), text)
    if not ctx.pages:
        raise Refusal("网页没有开通：管理员还没有设置本服务的对外地址（BOT_PUBLIC_URL）。可以先用「主持 …」在聊天里主持。")
    lines = [
        f"「{live.name}」的大屏幕（投影的电脑上打开，可以反复打开）：",
        f"{ctx.pages}{live_views.screen_path(live)}",
        "",
        link_lines(ctx, "console", str(live.id)),
        f"参赛码 {live.code}：大家在聊天里发「竞赛 {live.code}」。",
    ]
    return Reply("\n".join(lines))
