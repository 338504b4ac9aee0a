"""The settings of DingTalk: 钉钉企业内部应用 (bot/docs/protocols.md#dingtalk)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from bot.channels.config import ChannelConfig, FormerKeys, check_secret


class DingTalkConfig(FormerKeys, ChannelConfig):
    """One app of one corporation. With an `agent_id` pushes go out as work notifications; `card_calls` of the month's quota may become cards;
    `group_token` and `group_secret` are a custom group robot's."""

    client_id: str = ""
    client_secret: SecretStr | None = None
    former_client_secret: SecretStr | None = None
    robot_code: str = ""
    corp_id: str = ""
    mode: Literal["stream", "http"] = "stream"
    api_base: str = "https://api.dingtalk.com"
    oapi_base: str = "https://oapi.dingtalk.com"
    card_template: str = ""
    agent_id: str = ""
    card_calls: int = Field(0, ge=0)
    group_token: SecretStr | None = None
    group_secret: SecretStr | None = None

    required: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    long_enough = field_validator("client_secret", "former_client_secret", "group_token", "group_secret")(check_secret)

    @property
    def robot(self) -> str:
        """The robot's code, which is the app's id where none is set."""
        return self.robot_code or self.client_id
