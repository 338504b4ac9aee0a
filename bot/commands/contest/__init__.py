"""竞赛, 排行: what people say to contests."""

from bot.commands.contest import play, words
from bot.commands.contest.play import plays

__all__ = ["play", "plays", "words"]
