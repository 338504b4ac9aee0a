"""设置: each person chooses the hour of the push, the quiet hours, the weekly digest and the channel that comes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bot.commands.router import Context, command
from bot.domain.memory import MINUTES, TARGET, read_day, read_minutes, read_target
from bot.domain.message import Option, Refusal, Reply
from bot.domain.preference import CHANNELS, QUIET, Preference, read_channel, read_clock, read_span
from bot.services import memory
from bot.storage import preference

DEFAULT = ("默认", "恢复默认", "不指定", "自动")
_ON, _OFF = ("开", "开启", "打开", "要"), ("关", "关闭", "关掉", "不要")
EXAMPLES = (
    "「设置 推送 08:30」「设置 免打扰 20:00-08:00」「设置 周报 关」「设置 渠道 企业微信」「设置 考试日期 12-04」「设置 每日复习 6」"
    "「设置 考试目标 90」；时间、日期和渠道可写「默认」"
)


@command("设置", takes="<项目 内容>")
def settings(ctx: Context, said: str) -> Reply:
    """推送时间、免打扰、周报、先用哪个渠道、考试日期：“设置”查看，“设置 推送 08:30”修改。"""
    had = preference.of(ctx.session, ctx.me.id)
    if not said:
        return Reply("\n".join(["⚙️ 您的设置：", *_lines(had), _reviews(ctx), "", f"修改：{EXAMPLES}。"]), buttons=_buttons(had))
    word, _, value = said.partition(" ")
    if word in _AIMS and value.strip():
        _AIMS[word](ctx, value.strip())
        return Reply("\n".join(["✅ 已修改。您的设置：", *_lines(had), _reviews(ctx)]), buttons=(Option("错题", "错题本"), *_buttons(had)))
    change = _CHANGES.get(word)
    if change is None or not value.strip():
        raise Refusal(f"没有看懂「设置 {said[:20]}」。可以这样改：{EXAMPLES}。")
    chosen = change(ctx, had, value.strip())
    if chosen.push_at is not None and chosen.is_quiet(chosen.push_at):
        first, last = chosen.quiet
        raise Refusal(f"没有修改：推送时间 {chosen.push_at} 在免打扰 {first}—{last} 之内，请错开。")
    preference.keep(ctx.session, ctx.me.id, chosen)
    return Reply("\n".join(["✅ 已修改。您的设置：", *_lines(chosen), _reviews(ctx)]), buttons=_buttons(chosen))


def _push(_: Context, had: Preference, value: str) -> Preference:
    return replace(had, push_at=None if value in DEFAULT else read_clock(value))


def _quiet(_: Context, had: Preference, value: str) -> Preference:
    first, last = (None, None) if value in DEFAULT else read_span(value)
    return replace(had, quiet_from=first, quiet_to=last)


def _digest(_: Context, had: Preference, value: str) -> Preference:
    if value not in (*_ON, *_OFF, *DEFAULT):
        raise Refusal(f"周报只有开和关，没有「{value[:20]}」。例如「设置 周报 关」。")
    return replace(had, digest=value not in _OFF)


def _channel(ctx: Context, had: Preference, value: str) -> Preference:
    if value in DEFAULT:
        return replace(had, channel="")
    channel, bound = read_channel(value), preference.channels(ctx.session, ctx.me.id)
    if channel not in bound:
        raise Refusal(f"您还没有绑定{CHANNELS[channel]}，已绑定的有：{'、'.join(CHANNELS[one] for one in bound)}。")
    return replace(had, channel=channel)


_CHANGES: dict[str, Callable[[Context, Preference, str], Preference]] = {
    "推送": _push, "推送时间": _push, "免打扰": _quiet, "周报": _digest, "渠道": _channel,
}  # fmt: skip


def _exam_day(ctx: Context, value: str) -> None:
    memory.set_day(ctx.session, ctx.me.id, None if value in (*DEFAULT, "取消", "无") else read_day(value, ctx.today))


def _minutes(ctx: Context, value: str) -> None:
    memory.set_minutes(ctx.session, ctx.me.id, MINUTES if value in DEFAULT else read_minutes(value))


def _target(ctx: Context, value: str) -> None:
    memory.set_target(ctx.session, ctx.me.id, TARGET if value in DEFAULT else read_target(value))


_AIMS: dict[str, Callable[[Context, str], None]] = {
    "考试日期": _exam_day, "考试": _exam_day, "每日复习": _minutes, "复习": _minutes, "考试目标": _target, "目标": _target,
}  # fmt: skip


def _reviews(ctx: Context) -> str:
    plan, aim = memory.plan(ctx.session, ctx.me.id), memory.goal(ctx.session, ctx.me.id, ctx.now)
    day = "没有设考试日期" if aim is None else f"{aim.day} 考试{'' if aim.day == plan.day else '（按考试安排）'}，目标 {aim.target}%"
    return f"· 错题复习：每天 {plan.minutes} 分钟（最多 {memory.allowed(plan, aim)} 题），{day}"


def _lines(had: Preference) -> list[str]:
    first, last = had.quiet
    return [
        f"· 推送：{f'每天 {had.push_at}' if had.push_at else '按活动安排的时间'}",
        f"· 免打扰：{first}—{last}{'（默认）' if (first, last) == QUIET else ''}，这段时间不推送，正在进行的考试除外",
        f"· 周报：{'开，每周一' if had.digest else '关'}",
        f"· 渠道：先发到{f'您指定的{CHANNELS[had.channel]}' if had.channel else '您最近用过的那个'}，发不到再换别的",
    ]


def _buttons(had: Preference) -> tuple[Option, ...]:
    return (Option("设置 周报 关", "关闭周报") if had.digest else Option("设置 周报 开", "开启周报"), Option("我的学时", "我的学时"))
