"""The settings of 专有钉钉/浙政钉 (bot/docs/protocols.md#zwding)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from bot.channels.config import ChannelConfig, check_secret

NotificationForm = Literal["action_card", "link", "text"]


class ZwDingConfig(ChannelConfig):
    """One app at one tenant's gateway, and whatever differs from tenant to tenant.

    `prefix` is a path before every call, and signed unless `sign_prefix` is off; `page` is the H5 address that notifications open; `receivers`
    how many accounts go into one call; `sender_field` names the account in a callback.
    """

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
    form: NotificationForm = "action_card"
    receivers: int = Field(100, ge=1, le=1000)
    callback_secret: SecretStr | None = None
    sender_field: str = "senderStaffId"

    required: ClassVar[tuple[str, ...]] = ("gateway", "app_key", "app_secret", "tenant_id")
    long_enough = field_validator("app_secret", "callback_secret")(check_secret)
