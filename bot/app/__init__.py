"""Puts the house together: the one place that knows every part."""

from bot.app.house import House, Seed, build, content, utc_now
from bot.app.run import application, serve

__all__ = ["House", "Seed", "application", "build", "content", "serve", "utc_now"]
