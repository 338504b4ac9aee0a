"""Live contests in the chat: `phone` for who takes part, `desk` for who hosts."""

from bot.commands.live.desk import host, screen
from bot.commands.live.phone import come_in

__all__ = ["come_in", "host", "screen"]
