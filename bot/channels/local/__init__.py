"""The local chat page's channel."""

from bot.channels.local.channel import Local, Persona

__all__ = ["Local", "Persona"]
