"""Speaking to the platforms: one client for all of them, with tokens, limits and a table of what their errors mean.

A channel builds its `Api` once (`wecom_api`, `wechat_api`, `dingtalk_api`) and says everything through `Outbound.call`; what goes wrong comes back
as one `PlatformError` whose `kind` says what to do.
"""

from bot.channels.outbound.apis import Api, Params, Raw, dingtalk_api, dingtalk_old_api, wechat_api, wecom_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import Kind, PlatformError
from bot.channels.outbound.hosts import is_allowed
from bot.channels.outbound.scrub import scrub

__all__ = [
    "Api",
    "Kind",
    "Outbound",
    "Params",
    "PlatformError",
    "Raw",
    "dingtalk_api",
    "dingtalk_old_api",
    "is_allowed",
    "scrub",
    "wechat_api",
    "wecom_api",
]
