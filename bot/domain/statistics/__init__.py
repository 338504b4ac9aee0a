"""What an exam says of its questions: how hard each was, whom it told apart, and how far the whole paper can be relied on."""

from bot.domain.statistics.base import DOUBTFUL, FEW, Analysis, Flag, Item, Paper, Picked, Response, analyse
from bot.domain.statistics.reliability import cronbach, hoyt

__all__ = ["DOUBTFUL", "FEW", "Analysis", "Flag", "Item", "Paper", "Picked", "Response", "analyse", "cronbach", "hoyt"]
