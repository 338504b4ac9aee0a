"""钉钉: a Stream connection or HTTP callbacks in, sessionWebhook, robot messages and interactive cards out (protocols.md C)."""

from bot.channels.dingtalk.channel import DingTalk
from bot.channels.dingtalk.stream import Stream

__all__ = ["DingTalk", "Stream"]
