"""企业微信自建应用: encrypted callbacks in, passive replies, messages and cards out (protocols.md B)."""

from bot.channels.wecom.channel import WeCom

__all__ = ["WeCom"]
