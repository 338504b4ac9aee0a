"""专有钉钉/浙政钉: a signed gateway out, robot callbacks in (protocols.md D). Not tried on a tenant: whatever may differ there is a setting."""

from bot.channels.zwding.channel import ZwDing
from bot.channels.zwding.gateway import Gateway

__all__ = ["Gateway", "ZwDing"]
