"""帮助, made from the commands themselves, by role; and the first words to a follower and to a stranger."""

from __future__ import annotations

from bot.commands import actions
from bot.commands.actions import Action
from bot.commands.router import COMMANDS, Command, Context, command, normalize
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName

STRANGER_REPLY = Reply(
    "您好，这里是学法机器人。您的账号还没有和花名册对上：企业微信、钉钉账号由单位管理员在花名册里登记；"
    "微信请向管理员领取验证码，发送「绑定 工号 验证码」，例如“绑定 1001 12345678”。"
)
GREETINGS = frozenset({"你好", "您好", "hi", "hello", "在吗", "在么", "早", "早上好", "下午好", "晚上好", "开始"})
START_BUTTONS = (Option("每日", "每日一练"), Option("学习", "学习"), Option("我的学时", "我的学时"), Option("帮助", "帮助"))
TOPICS: dict[str, tuple[str, ...]] = {
    "每天学": ("每日", "学习", "练习", "错题", "挑战"),
    "手上的题": ("下一页", "上一页", "继续", "跳过", "退出", "纠错"),
    "考试": ("考试", "上一题", "答题卡", "交卷", "确认交卷", "证书", "申诉", "退出网页"),
    "竞赛": ("竞赛", "排行", "对战", "双人对战", "四人赛", "应战"),
    "我的": ("我的学时", "为什么", "设置", "绑定", "已阅", "投票"),
}
"""Which commands of everybody are shown together; those that an office adds are shown under its name."""
TYPING_HINT = "答题可点按钮，也可直接输入：A、选A、AC、对、错、3B（第 3 题选 B）。"


def welcome(ctx: Context) -> Reply:
    """The first words to somebody we know."""
    lines = [f"{ctx.me.name}，您好！每天 3 分钟学法：发「每日」做 5 道题，发「学习」读一课，发「我的学时」看进度。"]
    if ctx.me.may(RoleName.SUPERVISOR):
        lines.append("您还可以发「报表」看所管单位的学时。")
    if ctx.me.may(RoleName.ADMIN):
        lines.append("您还可以发「纠错」处理报告上来的题，发「阅卷」确认简答题。")
    return Reply("\n".join(lines), buttons=START_BUTTONS)


def _names_topic(ctx: Context, about: str) -> bool:
    return about in COMMANDS or about in topics(ctx)


@command("帮助", "菜单", "help", "?", role=None, argument="<主题或命令>", takes=_names_topic)
def show_help(ctx: Context, about: str) -> Reply:
    """能做什么、怎么答题；“帮助 考试”看一组命令，“帮助 练习”看一条。"""
    if about:
        return _help_about(ctx, normalize(about))
    if ctx.learner is None:
        return STRANGER_REPLY
    lines = ["📋 可以这样说："]
    for topic, commands in topics(ctx).items():
        names = [item.name for item in commands] + ([act.title for act in _listed_acts(ctx)] if topic == RoleName.ADMIN.label else [])
        lines.append(f"【{topic}】" + "".join(f"「{name}」" for name in names))
    lines += ["", f"发「帮助 {next(iter(TOPICS))}」看一组怎么用，「帮助 练习」看一条。", TYPING_HINT]
    return Reply("\n".join(lines), buttons=tuple(Option(f"帮助 {topic}", topic) for topic in list(topics(ctx))[:5]))


def _help_about(ctx: Context, about: str) -> Reply:
    """A topic with everything in it, or one command with its other words."""
    commands = topics(ctx).get(about)
    if commands is not None:
        acts = _listed_acts(ctx) if about == RoleName.ADMIN.label else []
        lines = [*(f"「{usage(item)}」 {item.help}" for item in commands), *(f"「{act.usage}」 {act.help}" for act in acts)]
        return Reply("\n".join([f"【{about}】", *lines]))
    act = actions.said_as(about) if ctx.learner is not None and ctx.learner.may(RoleName.ADMIN) else None
    if act is not None:
        return Reply(f"「{act.usage}」 {act.help}")
    found_command = COMMANDS.get(about)
    if found_command is None or not found_command.is_for(ctx.learner):
        raise Refusal(f"没有「{about[:20]}」这个主题或命令。发送「帮助」看全部。")
    others = f"\n也可以说：{'、'.join(found_command.words[1:])}" if found_command.words[1:] else ""
    return Reply(f"「{usage(found_command)}」 {found_command.help}{others}")


def _listed_acts(ctx: Context) -> list[Action]:
    """Acts under a command of everybody that are an administrator's: nobody would find them in its help."""
    return [act for act in actions.ACTIONS if act.listed and act.words and ctx.me.may(act.role)]


def topics(ctx: Context) -> dict[str, list[Command]]:
    """The commands this person may use, by topic; those of an office under its own name."""
    allowed = [item for item in distinct_commands() if item.is_for(ctx.learner) and item.name != "帮助"]
    by_topic = {topic: [item for name in names for item in allowed if item.name == name] for topic, names in TOPICS.items()}
    for role in (RoleName.ADMIN, RoleName.SUPERVISOR):
        by_topic[role.label] = [item for item in allowed if item.role is role]
    return {topic: commands for topic, commands in by_topic.items() if commands}


def distinct_commands() -> list[Command]:
    """Each command once, in the order it was written."""
    return list({id(item): item for item in COMMANDS.values()}.values())


def usage(item: Command) -> str:
    return f"{item.name} {item.argument}".strip()
