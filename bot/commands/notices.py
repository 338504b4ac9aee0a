"""What a person is to be told the next time they come by: answers to the questions they reported."""

from __future__ import annotations

from bot.commands.router import Context
from bot.services import secrecy
from bot.storage import quiz


def notices(ctx: Context) -> str:
    """Lines to say first; each is told once, and not in the middle of an exam: an answer about a question may hold its key."""
    if secrecy.at_exam(ctx.session, ctx.me.id, ctx.now):
        return ""
    told = quiz.take_unseen_answers(ctx.session, ctx.me.id, ctx.now)
    return "\n".join(f"📮 您报告的题「{ctx.shelf.question(ctx.session, version_id).stem[:20]}…」有回复：{text}" for _, version_id, text in told)
