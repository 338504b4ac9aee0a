"""What the settings of all channels have in common, and what a channel is given beside its own (bot/channels/<channel>/config.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from bot.channels.base import Clock, Note, Quota
from bot.domain.times import SHANGHAI

if TYPE_CHECKING:
    from bot.channels.outbound.client import Outbound

SHORTEST_SECRET = 8
AES_KEY_LENGTH = 43


class ChannelConfig(BaseModel):
    """One channel's settings: a key that is not declared is refused, and no fault shows what was written."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    required: ClassVar[tuple[str, ...]]
    """The keys without which the channel is off."""

    @property
    def is_on(self) -> bool:
        return all(self.is_set(key) for key in self.required)

    def is_set(self, key: str) -> bool:
        value = getattr(self, key)
        return bool(value.get_secret_value()) if isinstance(value, SecretStr) else bool(value)


class CallbackLimits(BaseModel):
    """Numbers that protect whoever answers callbacks: how old one may be, how large, and how long its reply is waited for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    freshness_seconds: int = Field(600, ge=60, le=3600)
    callback_bytes: int = Field(65536, ge=4096)
    reply_seconds: float = Field(4.0, gt=0, le=4.5)


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What a channel is given beside its own settings."""

    outbound: Outbound
    clock: Clock
    note: Note
    quota: Quota
    limits: CallbackLimits = field(default_factory=CallbackLimits)


class FormerKeys(BaseModel):
    """Settings of a channel whose token and keys are being changed: until `former_until`, by the service's clock, the old ones are taken too."""

    former_until: datetime | None = None

    @field_validator("former_until")
    @classmethod
    def with_zone(cls, value: datetime | None) -> datetime | None:
        """A moment without a zone is one of Beijing's."""
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=SHANGHAI)

    def former_is_taken(self, now: datetime) -> bool:
        """True inside the window."""
        return self.former_until is not None and now < self.former_until

    @model_validator(mode="after")
    def with_an_end(self) -> FormerKeys:
        """Old keys that nobody takes away again would be worse than none: the window has to say when it ends."""
        written = [key for key in type(self).model_fields if key.startswith("former_") and key != "former_until" and getattr(self, key) is not None]
        if written and self.former_until is None:
            raise ValueError(f"写了 {'、'.join(written)} 就要写 former_until（旧的用到什么时候，例如 2026-12-31T18:00），到时旧的不再接受")
        return self


def reveal(secret: SecretStr | None) -> str:
    """The secret's text, empty where there is none."""
    return secret.get_secret_value() if secret is not None else ""


def check_secret(value: SecretStr | None) -> SecretStr | None:
    """A validator for secrets, which are refused before a socket opens where they are too short to be one."""
    if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"太短（至少 {SHORTEST_SECRET} 个字符），请从平台后台重新复制")
    return value


def check_aes_key(value: SecretStr | None) -> SecretStr | None:
    """A validator for an EncodingAESKey."""
    if value is not None and len(value.get_secret_value()) != AES_KEY_LENGTH:
        raise ValueError(f"应为 {AES_KEY_LENGTH} 个字符的 EncodingAESKey")
    return value
