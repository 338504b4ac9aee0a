"""微信公众号: encrypted callbacks in, passive replies, customer-service and template messages, drafts and mass sends out (protocols.md A)."""

from bot.channels.wechat.channel import BUSY, WeChat
from bot.channels.wechat.push import Finished, Job, Notice

__all__ = ["BUSY", "Finished", "Job", "Notice", "WeChat"]
