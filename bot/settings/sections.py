"""The sections of the settings: one for each channel, and what protects the service."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.domain.limits import LIMITS

LEAST_SECRET = 8
AES_KEY_LENGTH = 43


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _secret(value: SecretStr | None, least: int = LEAST_SECRET) -> SecretStr | None:
    if value is not None and len(value.get_secret_value()) < least:
        raise ValueError(f"太短（至少 {least} 个字符），请从平台后台重新复制")
    return value


def _aes_key(value: SecretStr | None) -> SecretStr | None:
    if value is not None and len(value.get_secret_value()) != AES_KEY_LENGTH:
        raise ValueError(f"应为 {AES_KEY_LENGTH} 个字符的 EncodingAESKey")
    return value


class WeCom(_Section):
    """企业微信自建应用 (protocols.md B)."""

    corp_id: str = ""
    agent_id: str = ""
    secret: SecretStr | None = None
    token: SecretStr | None = None
    aes_key: SecretStr | None = None
    api_base: str = "https://qyapi.weixin.qq.com"
    cards: bool = True
    markdown: bool = False
    page: str = ""
    contacts_secret: SecretStr | None = None

    needed: ClassVar[tuple[str, ...]] = ("corp_id", "agent_id", "secret", "token", "aes_key")
    long_enough = field_validator("secret", "token", "contacts_secret")(_secret)
    whole_key = field_validator("aes_key")(_aes_key)


class WeChat(_Section):
    """微信公众号, 安全模式 only (protocols.md A)."""

    app_id: str = ""
    secret: SecretStr | None = None
    token: SecretStr | None = None
    aes_key: SecretStr | None = None
    api_base: str = "https://api.weixin.qq.com"
    verified: bool = False
    mode: str = "safe"
    template: str = ""
    template_fields: str = "thing1:title,thing2:text,time3:time"
    template_url: str = ""
    subscription: str = ""
    subscription_fields: str = "thing1:title,thing2:text,time3:time"
    subscription_page: str = ""

    needed: ClassVar[tuple[str, ...]] = ("app_id", "secret", "token", "aes_key")
    long_enough = field_validator("secret", "token")(_secret)
    whole_key = field_validator("aes_key")(_aes_key)

    @field_validator("mode")
    @classmethod
    def safe_only(cls, value: str) -> str:
        if value.lower() not in ("safe", "安全", "安全模式"):
            raise ValueError("只支持安全模式：明文与兼容模式的签名不覆盖正文，任何人都能伪造。请在公众平台把消息加解密方式改为安全模式")
        return "safe"


class DingTalk(_Section):
    """钉钉企业内部应用 (protocols.md C)."""

    client_id: str = ""
    client_secret: SecretStr | None = None
    robot_code: str = ""
    mode: Literal["stream", "http"] = "stream"
    api_base: str = "https://api.dingtalk.com"
    oapi_base: str = "https://oapi.dingtalk.com"
    card_template: str = ""
    agent_id: str = ""
    card_calls: int = Field(0, ge=0)
    group_token: SecretStr | None = None
    group_secret: SecretStr | None = None

    needed: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    long_enough = field_validator("client_secret", "group_token", "group_secret")(_secret)


class ZwDing(_Section):
    """专有钉钉/浙政钉: gateway, keys, tenant, and whatever differs from tenant to tenant (protocols.md D)."""

    gateway: str = ""
    app_key: str = ""
    app_secret: SecretStr | None = None
    tenant_id: str = ""
    prefix: str = ""
    sign_prefix: bool = True
    header_prefix: str = "X-Hmac-Auth-"
    key_header: str = "apiKey"
    caller_ip: str = "127.0.0.1"
    caller_mac: str = "00:00:00:00:00:00"
    ca_file: str = ""
    token_path: str = "/gettoken.json"  # noqa: S105 - a path
    notify_path: str = "/message/workNotification"
    change_path: str = "/message/changeMessageInfo"
    revoke_path: str = "/message/revoke"
    login_path: str = "/rpc/oauth2/dingtalk_app_user.json"
    page: str = ""
    form: Literal["action_card", "link", "text"] = "action_card"
    receivers: int = Field(100, ge=1, le=1000)
    callback_secret: SecretStr | None = None
    sender_field: str = "senderStaffId"

    needed: ClassVar[tuple[str, ...]] = ("gateway", "app_key", "app_secret", "tenant_id")
    long_enough = field_validator("app_secret", "callback_secret")(_secret)


class Web(_Section):
    """Pages of our own."""

    local_chat: bool = False
    font: str = ""


class Limits(_Section):
    """Numbers that protect the service; none of them is a rule about hours (those are policy rows)."""

    freshness_seconds: int = Field(600, ge=60, le=3600)
    callback_bytes: int = Field(65536, ge=4096)
    reply_seconds: float = Field(4.0, gt=0, le=4.5)
    queue: int = Field(20000, ge=10)
    busy_seconds: float = Field(2.0, gt=0, le=4)
    reading_chars_a_minute: int = Field(400, ge=100, le=2000)
    platform: str = ""

    @field_validator("platform")
    @classmethod
    def known_limits(cls, value: str) -> str:
        most_of(value)
        return value


_MOST = re.compile(r"\s*([a-z0-9/]+)\s*=\s*([1-9][0-9]{0,11})\s*")
LEAST_ALLOWED = 2
"""What a platform allows at least, so that the share the house uses of it is not nothing."""


def most_of(said: str) -> dict[str, int]:
    """ "dingtalk/corp/month=205000,dingtalk/app/second=40" by title. Raises ValueError in a sentence for what is none of the limits."""
    found: dict[str, int] = {}
    for part in filter(str.strip, said.split(",")):
        read = _MOST.fullmatch(part)
        if read is None or int(read[2]) < LEAST_ALLOWED:
            raise ValueError(f"「{part.strip()[:40]}」应写作 名称=数字，例如 dingtalk/corp/month=205000，多项用逗号隔开")
        if read[1] not in (known := [limit.title for limit in LIMITS]):
            raise ValueError(f"没有「{read[1][:40]}」这一项，可写的有：{'、'.join(known)}")
        found[read[1]] = int(read[2])
    return found
