"""The settings of the Official Account: 微信公众号, 安全模式 only (bot/docs/protocols.md#wechat)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr, field_validator

from bot.channels.config import ChannelConfig, FormerKeys, check_aes_key, check_secret


class WeChatConfig(FormerKeys, ChannelConfig):
    """One account; `verified` where it is 认证 and may send customer-service messages, templates and subscriptions."""

    app_id: str = ""
    secret: SecretStr | None = None
    token: SecretStr | None = None
    aes_key: SecretStr | None = None
    former_token: SecretStr | None = None
    former_aes_key: SecretStr | None = None
    api_base: str = "https://api.weixin.qq.com"
    verified: bool = False
    mode: str = "safe"
    template: str = ""
    template_fields: str = "thing1:title,thing2:text,time3:time"
    template_url: str = ""
    subscription: str = ""
    subscription_fields: str = "thing1:title,thing2:text,time3:time"
    subscription_page: str = ""

    required: ClassVar[tuple[str, ...]] = ("app_id", "secret", "token", "aes_key")
    long_enough = field_validator("secret", "token", "former_token")(check_secret)
    whole_key = field_validator("aes_key", "former_aes_key")(check_aes_key)

    @field_validator("mode")
    @classmethod
    def safe_only(cls, value: str) -> str:
        if value.lower() not in ("safe", "安全", "安全模式"):
            raise ValueError("只支持安全模式：明文与兼容模式的签名不覆盖正文，任何人都能伪造。请在公众平台把消息加解密方式改为安全模式")
        return "safe"
