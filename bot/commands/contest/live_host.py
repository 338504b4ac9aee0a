"""The chat commands 主持 and 大屏: hosting a live contest without the console; both run the same acts."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.commands.links import link_lines
from bot.commands.router import Context, command, normalize
from bot.domain.contest.live_state import PHASE_LABELS
from bot.domain.contest.stage_rounds import SCHEMES, parse_scheme
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.services.contest import host_lock, live_host, live_views, manage
from bot.services.contest.host_lock import LiveHost
from bot.storage.contest import live_state, players, teams
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


def _host(ctx: Context) -> LiveHost:
    return host_lock.host_of(ctx.session, ctx.me, ctx.incoming.sender.channel)


@command("主持", role=RoleName.ADMIN, argument="<做什么>")
def host(ctx: Context, text: str) -> Reply:
    """主持现场竞赛：“主持 开场 7”，然后 下一题、开抢、收题、暂停、恢复、排行、作废 3 原因、改分 一队 +5 原因、对、错、接管、结束。"""
    word, _, rest = text.partition(" ")
    if word in _ACTIONS:
        return _ACTIONS[word](ctx, rest.strip())
    if text and not text.isdigit():
        raise Refusal(f"没有看懂「主持 {text[:20]}」。可以说：{'、'.join(f'主持 {name}' for name in _ACTIONS)}。")
    return _state_reply(ctx, _hosted_contest(ctx, text))


def _hosted_contest(ctx: Context, text: str = "") -> LiveState:
    """The contest that is meant: by its number, the one this person hosts, or the only one that runs."""
    hosting = _host(ctx)
    if text.isdigit():
        return host_lock.require_live(ctx.session, hosting, int(text))
    within = {contest.id for contest in manage.list_contests(ctx.session, hosting.author)}
    running = [
        running_live
        for running_live in live_state.list_running(ctx.session, ctx.now)
        if running_live.course.phase != "finished" and running_live.id in within
    ]
    mine = [running_live for running_live in running if running_live.host_id == hosting.id] or running
    if len(mine) == 1:
        return host_lock.require_live(ctx.session, hosting, mine[0].id)
    if not mine:
        raise Refusal("现在没有开场的现场竞赛。发「主持 开场 编号」开场。")
    raise Refusal(f"有 {len(mine)} 场在进行，请写编号，例如「主持 {mine[0].id}」或「主持 接管 {mine[0].id}」。")


def _state_reply(ctx: Context, live: LiveState, before: str = "") -> Reply:
    course = live.course
    place = f"第 {course.item}/{live.items} 题，" if course.item else ""
    lines = [
        before,
        f"「{live.name}」{place}{PHASE_LABELS[course.phase]}{'（暂停中）' if course.paused else ''}；"
        f"参赛码 {live.code}，{players.count_joined(ctx.session, live.id)} 人已进入；主持：{live.host or '无'}。",
    ]
    steps = ("恢复", "收题") if course.paused else STEPS[course.phase]
    buttons = [Option(f"主持 {step}", step) for step in steps]
    return Reply("\n".join(line for line in lines if line), buttons=(*buttons, Option(f"大屏 {live.id}", "大屏")))


def _open(ctx: Context, text: str) -> Reply:
    """`开场 7`, on a stage with its rules: `开场 7 方案二 抢答分=30`; the reply lists the rules as the host will read them out."""
    number, _, scheme = text.partition(" ")
    if not number.isdigit():
        raise Refusal(
            f"请写竞赛的编号，例如「主持 开场 7」；现场分轮的可以选规则（{'、'.join(SCHEMES)}）并逐项改，例如「主持 开场 7 方案二 抢答分=30」。"
        )
    live = live_host.open_room(ctx.session, _host(ctx), int(number), parse_scheme(scheme) if scheme else None, ctx.now, ctx.rng)
    rules = ["规则：", *live_views.rules_lines(ctx.session, live)] if live.scheme is not None else []
    return _state_reply(ctx, live, "\n".join([f"已开场。大家发「竞赛 {live.code}」进入，或扫大屏幕上的码。", *rules]))


def _next(ctx: Context, text: str) -> Reply:
    """`下一题`, `下一题 一队` (必答), `下一题 一队 30` (风险), `下一题 12` (that place of the programme)."""
    live = _hosted_contest(ctx)
    names = {name: team for team, name in teams.names(ctx.session, live.id).items()}
    first, _, rest = text.partition(" ")
    if first and first not in names and not first.isdigit():
        raise Refusal(f"没有「{first[:20]}」这支队。现有：{'、'.join(names) or '没有分队'}。")
    item = live_host.start_next_item(
        ctx.session,
        _host(ctx),
        live.id,
        ctx.now,
        n=int(first) if first.isdigit() and first not in names else None,
        team_id=names.get(first),
        stake=int(rest) if rest.isdigit() else 0,
    )
    return _state_reply(ctx, _hosted_contest(ctx, str(live.id)), f"第 {item.n} 题已出，正在发给大家。")


def _simple_action(act: Callable[..., None], done: str) -> Callable[[Context, str], Reply]:
    def do(ctx: Context, text: str) -> Reply:
        live = _hosted_contest(ctx, text)
        act(ctx.session, _host(ctx), live.id, ctx.now)
        return _state_reply(ctx, _hosted_contest(ctx, str(live.id)), done)

    return do


def _pause(ctx: Context, text: str) -> Reply:
    live = _hosted_contest(ctx)
    live_host.pause(ctx.session, _host(ctx), live.id, ctx.now, why=text)
    return _state_reply(ctx, _hosted_contest(ctx, str(live.id)), "已暂停，时钟停住。")


def _take_over(ctx: Context, text: str) -> Reply:
    if not text.isdigit():
        raise Refusal("请写竞赛的编号，例如「主持 接管 7」。")
    live = host_lock.take_over(ctx.session, _host(ctx), int(text), ctx.now)
    return _state_reply(ctx, live, "现在由您主持。")


def _void(ctx: Context, text: str) -> Reply:
    number, _, why = text.partition(" ")
    live = _hosted_contest(ctx)
    if not number.isdigit():
        raise Refusal(f"请写第几题和原因，例如「主持 作废 {live.course.item or 1} 题干有误」。")
    live_host.void_question(ctx.session, _host(ctx), live.id, int(number), why, ctx.now)
    return _state_reply(ctx, _hosted_contest(ctx, str(live.id)), f"第 {number} 题已作废，大家都不计分。")


def _adjust(ctx: Context, text: str) -> Reply:
    match = _ADJUSTMENT.fullmatch(normalize(text))
    if match is None:
        raise Refusal("请写给谁、几分、原因，例如「主持 改分 一队 -5 超时」；给个人写工号。")
    live = _hosted_contest(ctx)
    names = {name: team for team, name in teams.names(ctx.session, live.id).items()}
    person_id = None if match[1] in names else audience.find_person_id(ctx.session, match[1])
    if match[1] not in names and person_id is None:
        raise Refusal(f"没有「{match[1][:20]}」这支队，也没有这个工号。")
    live_host.adjust_points(ctx.session, _host(ctx), live.id, int(match[2]), match[3], ctx.now, team_id=names.get(match[1]), person_id=person_id)
    return _state_reply(ctx, _hosted_contest(ctx, str(live.id)), f"已改分：{match[1]} {int(match[2]):+d} 分（{match[3]}）。")


def _judge(*, right: bool) -> Callable[[Context, str], Reply]:
    def do(ctx: Context, text: str) -> Reply:
        live = _hosted_contest(ctx, text)
        live_host.judge(ctx.session, _host(ctx), live.id, right, ctx.now)
        return _state_reply(ctx, _hosted_contest(ctx, str(live.id)), f"已判{'对' if right else '错'}。")

    return do


def _finish(ctx: Context, text: str) -> Reply:
    live = _hosted_contest(ctx, text)
    live_host.finish(ctx.session, ctx.catalog, _host(ctx), live.id, ctx.now)
    return _state_reply(ctx, _hosted_contest(ctx, str(live.id)), "已结束，结果已冻结。")


_ACTIONS: dict[str, Callable[[Context, str], Reply]] = {
    "开场": _open,
    "下一题": _next,
    "开抢": _simple_action(live_host.open_buzzers, "已开抢。"),
    "收题": _simple_action(live_host.close_question, "已收题。"),
    "暂停": _pause,
    "恢复": _simple_action(live_host.resume, "已恢复，时钟接着走。"),
    "排行": _simple_action(live_host.show_board, "大屏已换成排行。"),
    "作废": _void,
    "改分": _adjust,
    "对": _judge(right=True),
    "错": _judge(right=False),
    "接管": _take_over,
    "结束": _finish,
}


@command("大屏", role=RoleName.ADMIN, argument="<编号>")
def screen(ctx: Context, text: str) -> Reply:
    """现场竞赛的大屏幕地址和主持台链接，例如“大屏 7”。"""
    live = _hosted_contest(ctx, text)
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
