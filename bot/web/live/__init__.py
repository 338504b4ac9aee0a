"""The big screen and the host's console of live contests."""

from bot.web.live.console import Console
from bot.web.live.feed import Feed
from bot.web.live.screen import Screen

__all__ = ["Console", "Feed", "Screen"]
