"""主持, 大屏: the host's hand in the chat, for who has no console at hand; both do the same."""

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
_POINTS = re.compile(r"(\S+)\s+([+-]?\d{1,4})\s+(.+)")


def _host(ctx: Context) -> LiveHost:
    return host_lock.host_of(ctx.session, ctx.me, ctx.incoming.sender.channel)


@command("主持", role=RoleName.ADMIN, argument="<做什么>")
def host(ctx: Context, said: str) -> Reply:
    """主持现场竞赛：“主持 开场 7”，然后 下一题、开抢、收题、暂停、恢复、排行、作废 3 原因、改分 一队 +5 原因、对、错、接管、结束。"""
    word, _, rest = said.partition(" ")
    if word in _DO:
        return _DO[word](ctx, rest.strip())
    if said and not said.isdigit():
        raise Refusal(f"没有看懂「主持 {said[:20]}」。可以说：{'、'.join(f'主持 {one}' for one in _DO)}。")
    return _state(ctx, _mine(ctx, said))


def _mine(ctx: Context, said: str = "") -> LiveState:
    """The contest that is meant: by its number, the one this person hosts, or the only one that runs."""
    hosting = _host(ctx)
    if said.isdigit():
        return host_lock.seen(ctx.session, hosting, int(said))
    within = {one.id for one in manage.listed(ctx.session, hosting.author)}
    running = [one for one in live_state.running(ctx.session, ctx.now) if one.course.phase != "finished" and one.id in within]
    mine = [one for one in running if one.host_id == hosting.id] or running
    if len(mine) == 1:
        return host_lock.seen(ctx.session, hosting, mine[0].id)
    if not mine:
        raise Refusal("现在没有开场的现场竞赛。发「主持 开场 编号」开场。")
    raise Refusal(f"有 {len(mine)} 场在进行，请写编号，例如「主持 {mine[0].id}」或「主持 接管 {mine[0].id}」。")


def _state(ctx: Context, of: LiveState, before: str = "") -> Reply:
    course = of.course
    place = f"第 {course.item}/{of.items} 题，" if course.item else ""
    lines = [
        before,
        f"「{of.name}」{place}{PHASE_LABELS[course.phase]}{'（暂停中）' if course.paused else ''}；"
        f"参赛码 {of.code}，{players.joined(ctx.session, of.id)} 人已进入；主持：{of.host or '无'}。",
    ]
    steps = ("恢复", "收题") if course.paused else STEPS[course.phase]
    buttons = [Option(f"主持 {step}", step) for step in steps]
    return Reply("\n".join(line for line in lines if line), buttons=(*buttons, Option(f"大屏 {of.id}", "大屏")))


def _open(ctx: Context, said: str) -> Reply:
    """`开场 7`, on a stage with its rules: `开场 7 方案二 抢答分=30`; the rules are said back as they will be read out."""
    number, _, scheme = said.partition(" ")
    if not number.isdigit():
        raise Refusal(
            f"请写竞赛的编号，例如「主持 开场 7」；现场分轮的可以选规则（{'、'.join(SCHEMES)}）并逐项改，例如「主持 开场 7 方案二 抢答分=30」。"
        )
    of = live_host.open_room(ctx.session, _host(ctx), int(number), parse_scheme(scheme) if scheme else None, ctx.now, ctx.rng)
    rules = ["规则：", *live_views.rules_lines(ctx.session, of)] if of.scheme is not None else []
    return _state(ctx, of, "\n".join([f"已开场。大家发「竞赛 {of.code}」进入，或扫大屏幕上的码。", *rules]))


def _next(ctx: Context, said: str) -> Reply:
    """`下一题`, `下一题 一队` (必答), `下一题 一队 30` (风险), `下一题 12` (that place of the programme)."""
    of = _mine(ctx)
    names = {name: team for team, name in teams.names(ctx.session, of.id).items()}
    first, _, rest = said.partition(" ")
    if first and first not in names and not first.isdigit():
        raise Refusal(f"没有「{first[:20]}」这支队。现有：{'、'.join(names) or '没有分队'}。")
    item = live_host.next_item(
        ctx.session,
        _host(ctx),
        of.id,
        ctx.now,
        n=int(first) if first.isdigit() and first not in names else None,
        team_id=names.get(first),
        stake=int(rest) if rest.isdigit() else 0,
    )
    return _state(ctx, _mine(ctx, str(of.id)), f"第 {item.n} 题已出，正在发给大家。")


def _plain(act: Callable[..., None], done: str) -> Callable[[Context, str], Reply]:
    def do(ctx: Context, said: str) -> Reply:
        of = _mine(ctx, said)
        act(ctx.session, _host(ctx), of.id, ctx.now)
        return _state(ctx, _mine(ctx, str(of.id)), done)

    return do


def _pause(ctx: Context, said: str) -> Reply:
    of = _mine(ctx)
    live_host.pause(ctx.session, _host(ctx), of.id, ctx.now, why=said)
    return _state(ctx, _mine(ctx, str(of.id)), "已暂停，时钟停住。")


def _take_over(ctx: Context, said: str) -> Reply:
    if not said.isdigit():
        raise Refusal("请写竞赛的编号，例如「主持 接管 7」。")
    of = host_lock.take_over(ctx.session, _host(ctx), int(said), ctx.now)
    return _state(ctx, of, "现在由您主持。")


def _void(ctx: Context, said: str) -> Reply:
    number, _, why = said.partition(" ")
    of = _mine(ctx)
    if not number.isdigit():
        raise Refusal(f"请写第几题和原因，例如「主持 作废 {of.course.item or 1} 题干有误」。")
    live_host.void(ctx.session, _host(ctx), of.id, int(number), why, ctx.now)
    return _state(ctx, _mine(ctx, str(of.id)), f"第 {number} 题已作废，大家都不计分。")


def _adjust(ctx: Context, said: str) -> Reply:
    found = _POINTS.fullmatch(normalize(said))
    if found is None:
        raise Refusal("请写给谁、几分、原因，例如「主持 改分 一队 -5 超时」；给个人写工号。")
    of = _mine(ctx)
    names = {name: team for team, name in teams.names(ctx.session, of.id).items()}
    person_id = None if found[1] in names else audience.find_person_id(ctx.session, found[1])
    if found[1] not in names and person_id is None:
        raise Refusal(f"没有「{found[1][:20]}」这支队，也没有这个工号。")
    live_host.adjust(ctx.session, _host(ctx), of.id, int(found[2]), found[3], ctx.now, team_id=names.get(found[1]), person_id=person_id)
    return _state(ctx, _mine(ctx, str(of.id)), f"已改分：{found[1]} {int(found[2]):+d} 分（{found[3]}）。")


def _judge(*, right: bool) -> Callable[[Context, str], Reply]:
    def do(ctx: Context, said: str) -> Reply:
        of = _mine(ctx, said)
        live_host.judge(ctx.session, _host(ctx), of.id, right, ctx.now)
        return _state(ctx, _mine(ctx, str(of.id)), f"已判{'对' if right else '错'}。")

    return do


def _finish(ctx: Context, said: str) -> Reply:
    of = _mine(ctx, said)
    live_host.finish(ctx.session, ctx.catalog, _host(ctx), of.id, ctx.now)
    return _state(ctx, _mine(ctx, str(of.id)), "已结束，结果已冻结。")


_DO: dict[str, Callable[[Context, str], Reply]] = {
    "开场": _open,
    "下一题": _next,
    "开抢": _plain(live_host.buzz, "已开抢。"),
    "收题": _plain(live_host.close, "已收题。"),
    "暂停": _pause,
    "恢复": _plain(live_host.resume, "已恢复，时钟接着走。"),
    "排行": _plain(live_host.show_board, "大屏已换成排行。"),
    "作废": _void,
    "改分": _adjust,
    "对": _judge(right=True),
    "错": _judge(right=False),
    "接管": _take_over,
    "结束": _finish,
}


@command("大屏", role=RoleName.ADMIN, argument="<编号>")
def screen(ctx: Context, said: str) -> Reply:
    """现场竞赛的大屏幕地址和主持台链接，例如“大屏 7”。"""
    of = _mine(ctx, said)
    if not ctx.pages:
        raise Refusal("网页没有开通：管理员还没有设置本服务的对外地址（BOT_PUBLIC_URL）。可以先用「主持 …」在聊天里主持。")
    lines = [
        f"「{of.name}」的大屏幕（投影的电脑上打开，可以反复打开）：",
        f"{ctx.pages}{live_views.address(of)}",
        "",
        link_lines(ctx, "console", str(of.id)),
        f"参赛码 {of.code}：大家在聊天里发「竞赛 {of.code}」。",
    ]
    return Reply("\n".join(lines))
