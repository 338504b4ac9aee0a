"""A client of a channel's callback, for attacks on it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.platforms.envelopes import REFUSED, Answered, Query, Sealer
from tests.support.platforms.servers import Ear
from tests.support.platforms.wechat import WeChatPlatform
from tests.support.platforms.wecom import WeComPlatform


@dataclass
class CallbackClient:
    """One channel's callback, seen from outside."""

    platform: WeComPlatform | WeChatPlatform
    ear: Ear

    @property
    def now(self) -> float:
        return self.platform.clock().timestamp()

    @property
    def sealer(self) -> Sealer:
        return self.platform.sealer

    def message(self, inner: str = "") -> tuple[Query, str]:
        return self.sealer.seal(inner or self.platform.text("A"), self.now)

    async def refuses(self, query: Query | list[tuple[str, str]], body: str | bytes, headers: dict[str, str] | None = None) -> None:
        before = self.ear.count("refused")
        answer = await self.platform.deliver(query, body, headers)
        assert (answer.uniform, self.ear.heard) == (REFUSED, [])
        assert self.ear.count("refused") == before + 1

    async def hears(self) -> Answered:
        answer = await self.platform.say("A")
        assert answer.content == "听到：A"
        self.ear.heard.clear()
        return answer
