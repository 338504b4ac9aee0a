"""The settings of WeCom: 企业微信自建应用 (bot/docs/protocols.md#wecom)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr, field_validator

from bot.channels.config import ChannelConfig, FormerKeys, check_aes_key, check_secret


class WeComConfig(FormerKeys, ChannelConfig):
    """One app of one corporation. `cards` is off where clients show none (private deployments); `page` is what textcards open then."""

    corp_id: str = ""
    agent_id: str = ""
    secret: SecretStr | None = None
    token: SecretStr | None = None
    aes_key: SecretStr | None = None
    former_token: SecretStr | None = None
    former_aes_key: SecretStr | None = None
    api_base: str = "https://qyapi.weixin.qq.com"
    cards: bool = True
    markdown: bool = False
    page: str = ""
    contacts_secret: SecretStr | None = None

    required: ClassVar[tuple[str, ...]] = ("corp_id", "agent_id", "secret", "token", "aes_key")
    long_enough = field_validator("secret", "token", "former_token", "contacts_secret")(check_secret)
    whole_key = field_validator("aes_key", "former_aes_key")(check_aes_key)
