"""Campaigns in the chat: administrators plan and push, everybody answers."""

from bot.commands.campaign import manage, push, respond  # isort: skip

__all__ = ["manage", "push", "respond"]
