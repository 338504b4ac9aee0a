"""绑定: how somebody says who they are, once."""

from __future__ import annotations

import re

from bot.commands.help import START
from bot.commands.router import Context, command
from bot.domain.message import Reply
from bot.domain.times import clock_of
from bot.services import people
from bot.services.people import DIGITS, Attempt, Outcome

USAGE = Reply(f"请发送「绑定 工号 验证码」，验证码是 {DIGITS} 位数字，10 分钟内有效，例如“绑定 1001 12345678”。验证码请向本单位管理员领取。")
WRONG = "未绑定：工号或验证码不对，或者验证码已过期、已用过。请核对后再试，或请管理员重新发一个验证码。"
_ASKED = re.compile(rf"(?P<staff_no>\S{{1,40}}?)[\s,、:+]+(?P<code>[0-9]{{{DIGITS}}})")


@command("绑定", role=None, takes="<工号> <验证码>")
def bind(ctx: Context, words: str) -> Reply:
    """把这个聊天账号和您在花名册里的身份对上，一次即可。"""
    asked = _ASKED.fullmatch(words.strip())
    if asked is None:
        return (
            USAGE
            if ctx.learner is None
            else Reply(f"您的账号已经绑定：{ctx.learner.name}（工号 {ctx.learner.staff_no}），不用再绑。", buttons=START[:3])
        )
    sender = ctx.incoming.sender
    attempt = people.bind(ctx.session, sender, asked["staff_no"], asked["code"], ctx.incoming.message_id, ctx.now)
    return _answer(attempt)


def _answer(attempt: Attempt) -> Reply:
    match attempt.outcome:
        case Outcome.BOUND:
            where = f"，{'、'.join(attempt.units)}" if attempt.units else ""
            return Reply(
                f"✅ 已绑定：{attempt.name}（工号 {attempt.staff_no}{where}）。\n"
                "接下来：发「每日」做 5 道题，发「学习」读一课，发「我的学时」看还差多少。您在钉钉、企业微信和微信里是同一份学时。",
                buttons=START[:3],
            )
        case Outcome.ALREADY:
            return Reply(f"这个账号已经绑定您本人：{attempt.name}（工号 {attempt.staff_no}），不用再绑，直接学习就好。", buttons=START[:3])
        case Outcome.ACCOUNT_TAKEN:
            return Reply(f"未绑定：这个账号已绑定 {attempt.name}（工号 {attempt.staff_no}），一个账号只能属于一个人。确需更换请联系管理员。")
        case Outcome.PERSON_TAKEN:
            return Reply(f"未绑定：工号 {attempt.staff_no} 在这个平台上已绑定了另一个账号，每人每个平台只绑一个。确需更换请联系管理员。")
        case Outcome.WAITING:
            return Reply(f"未绑定：不对的次数太多，请在{_moment(attempt)}之后再试。")
        case Outcome.WRONG:
            return Reply(WRONG + (f"不对的次数太多，请在{_moment(attempt)}之后再试。" if attempt.wait_until else ""))


def _moment(attempt: Attempt) -> str:
    return f" {clock_of(attempt.wait_until)} " if attempt.wait_until else ""
