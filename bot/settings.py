"""The settings of the service: a section for each channel (declared beside it), one for the pages and one for the limits, read at the start.

Environment variables (`BOT_` prefix, `__` between levels) override a TOML file (deploy/docs/operate.md). An unknown key is refused by name, a
secret that is too short to be one is refused before a socket opens, and no secret appears in `repr`, logs or errors.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from bot.channels.config import CallbackLimits, ChannelConfig
from bot.channels.dingtalk.config import DingTalkConfig
from bot.channels.wechat.config import WeChatConfig
from bot.channels.wecom.config import WeComConfig
from bot.channels.zwding.config import ZwDingConfig
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, limits_with

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class WebSettings(_Section):
    """The web pages: the local chat page, and the font of printed certificates."""

    local_chat: bool = False
    font: str = ""


class LimitSettings(CallbackLimits):
    """Numbers that protect the service; none of them is a rule about hours (those are policy rows)."""

    queue: int = Field(20000, ge=10)
    busy_seconds: float = Field(2.0, gt=0, le=4)
    person_a_minute: int = Field(120, ge=20)
    streams_an_address: int = Field(50, ge=1)
    code_minutes: int = Field(10, ge=5, le=10_080)
    reading_chars_a_minute: int = Field(400, ge=100, le=2000)
    platform: str = ""

    @field_validator("platform")
    @classmethod
    def known_limits(cls, value: str) -> str:
        parse_limits(value)
        return value


_LIMIT = re.compile(r"\s*([a-z0-9/]+)\s*=\s*([1-9][0-9]{0,11})\s*")
LOWEST_LIMIT = 2
"""The smallest limit that can be set: the share of it that the service uses (80 %) must not round down to nothing."""


def parse_limits(text: str) -> dict[str, int]:
    """Limits by their title, from "dingtalk/corp/month=205000,dingtalk/app/second=40". ValueError, in a Chinese sentence, for any other text."""
    limits: dict[str, int] = {}
    for part in filter(str.strip, text.split(",")):
        match = _LIMIT.fullmatch(part)
        if match is None or int(match[2]) < LOWEST_LIMIT:
            raise ValueError(f"「{part.strip()[:40]}」应写作 名称=数字，例如 dingtalk/corp/month=205000，多项用逗号隔开")
        if match[1] not in (known := [limit.title for limit in LIMITS]):
            raise ValueError(f"没有「{match[1][:40]}」这一项，可写的有：{'、'.join(known)}")
        limits[match[1]] = int(match[2])
    return limits


def parse_networks(text: str) -> Networks:
    """Networks from "127.0.0.1,10.0.0.0/8". ValueError, in a Chinese sentence, for any other text."""
    networks = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError as wrong:
            raise ValueError(f"「{part[:40]}」不是地址或网段，应写作 10.0.0.5 或 10.0.0.0/8，多个用逗号隔开") from wrong
    return tuple(networks)


_PUBLIC_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")
OWN_PATHS = ("certificates", "channels", "chat", "console", "exam", "healthz", "lesson", "metrics", "readyz", "screen", "static")
"""What the paths of the service begin with."""
PREFIX = "BOT_"
BEIJING_TIME = ("Asia/Shanghai", "Asia/Chongqing", "Asia/Chungking", "Asia/Harbin", "PRC")
PROJECT = Path(__file__).resolve().parents[1]


class BadSettings(Exception):
    """Settings that cannot be used: one Chinese sentence a line, with the key, its fault and the remedy, never the value of a secret."""


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True)

    database_url: SecretStr = SecretStr("sqlite:///var/bot.db")
    listen: str = "127.0.0.1:8080"
    public_url: str = ""
    metrics_listen: str = ""
    trusted_proxies: str = "127.0.0.0/8,::1"
    timezone: str = "Asia/Shanghai"
    operator: str = ""
    wecom: WeComConfig = WeComConfig()
    wechat: WeChatConfig = WeChatConfig()
    dingtalk: DingTalkConfig = DingTalkConfig()
    zwding: ZwDingConfig = ZwDingConfig()
    web: WebSettings = WebSettings()
    limits: LimitSettings = LimitSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @field_validator("trusted_proxies")
    @classmethod
    def known_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("listen", "metrics_listen")
    @classmethod
    def host_and_port(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "metrics_listen":
            return value
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("应写作 地址:端口，例如 127.0.0.1:8080")
        return value

    @field_validator("timezone")
    @classmethod
    def known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as wrong:
            raise ValueError("不是已知的时区，例如 Asia/Shanghai") from wrong
        if value not in BEIJING_TIME:
            # Years, daily caps and deadlines are in Beijing time (bot/docs/rules.md D14); any other zone would be accepted and then ignored.
            raise ValueError("只能是 Asia/Shanghai：年度、每日上限和截止时间都按北京时间计（规则 D14）")
        return value

    @field_validator("public_url")
    @classmethod
    def whole_address(cls, value: str) -> str:
        """An address without query, user or fragment; the path before our own paths must not be read as one of ours."""
        if not value:
            return value
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        except ValueError:
            usable = False
        if not usable or not _PUBLIC_PATH.fullmatch(parts.path) or parts.query or parts.fragment:
            raise ValueError("应写作 https://域名 或 https://域名/路径，例如 https://law.example.gov.cn/xuefa，不带问号、井号和空格")
        if (first := parts.path.strip("/").partition("/")[0]) in OWN_PATHS:
            raise ValueError(f"的路径不能以 /{first} 开头：服务自己用着这个路径，请换一个，例如 https://域名/xuefa")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def known_database(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("sqlite:///", "postgresql://")):
            raise ValueError("应以 sqlite:/// 或 postgresql:// 开头")
        return value

    @model_validator(mode="after")
    def whole_channels(self) -> Settings:
        """A channel has all of its required settings or none; the local chat page is never served on a public address."""
        for name in CHANNELS:
            section = self.channel(name)
            set_keys = [key for key in section.required if section.is_set(key)]
            missing = [key for key in section.required if key not in set_keys]
            if set_keys and missing:
                raise ValueError(f"{name}：还缺 {'、'.join(env_name(name, key) for key in missing)}")
        if self.web.local_chat and not is_loopback(self.host):
            raise ValueError(f"web.local_chat：本地聊天页不能开在公开地址 {self.listen} 上，请把 BOT_LISTEN 改为 127.0.0.1 或关闭该页")
        return self

    @property
    def database(self) -> str:
        """The database's URL; a relative SQLite path is taken from the project's folder, so that a command run elsewhere opens the same file."""
        url = self.database_url.get_secret_value()
        path = url.removeprefix("sqlite:///")
        if path == url or not path or path == ":memory:" or Path(path).is_absolute() or not (PROJECT / "content").is_dir():
            return url
        return f"sqlite:///{PROJECT / path}"

    @property
    def base_path(self) -> str:
        """The path of `public_url`, under which a browser finds the service; empty where there is none."""
        return urlsplit(self.public_url).path

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def platform_limits(self) -> tuple[PlatformLimit, ...]:
        """The platforms' limits for this agency, for quotas and for the forecast of a campaign's cost."""
        return limits_with(parse_limits(self.limits.platform), notifications=bool(self.dingtalk.agent_id))

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def channel(self, name: str) -> ChannelConfig:
        """A channel's settings by its name."""
        section: ChannelConfig = getattr(self, name)
        return section

    def is_on(self, channel: str) -> bool:
        """True when the channel has its settings."""
        return self.channel(channel).is_on

    def secrets(self) -> tuple[str, ...]:
        """Every secret value in use, for the log filter that masks them."""
        values = [self.database_url.get_secret_value()] if "@" in self.database_url.get_secret_value() else []
        for name in CHANNELS:
            section = self.channel(name)
            for key in type(section).model_fields:
                value = getattr(section, key)
                if isinstance(value, SecretStr) and value.get_secret_value():
                    values.append(value.get_secret_value())
        return tuple(values)


_LINE_AND_COLUMN = re.compile(r"at line (\d+), column (\d+)")
CHANNELS = ("wecom", "wechat", "dingtalk", "zwding")


def env_name(*path: str) -> str:
    """("wecom", "corp_id") -> "BOT_WECOM__CORP_ID"."""
    return PREFIX + "__".join(part.upper() for part in path)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(config: Path | None = None, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """The settings of this process, or `BadSettings` with one Chinese sentence a fault."""
    path = config or (Path(environ["BOT_CONFIG"]) if environ.get("BOT_CONFIG") else None)
    known = {env_name(name) for name in Settings.model_fields} | {"BOT_CONFIG"}
    unknown = [key for key in environ if key.startswith(PREFIX) and key.split("__")[0] not in known]
    if unknown:
        raise BadSettings("\n".join(f"不认识的设置 {key}，请检查拼写（可用的设置见 README）" for key in sorted(unknown)))
    file_values = _read_file(path)
    try:
        return Settings(**{**file_values, **overrides})
    except SettingsError:
        # A whole section in one variable is parsed as JSON, and the error of a text that is none may quote a secret.
        sections = [env_name(name) for name, field in Settings.model_fields.items() if isinstance(field.default, BaseModel)]
        broken = [key for key in environ if key.upper() in sections]
        raise BadSettings("\n".join(f"设置 {key} 读不了，请逐项写作 {key}__…（各项见 README）" for key in sorted(broken))) from None
    except ValidationError as wrong:
        errors = wrong.errors(include_input=False, include_url=False)
        raise BadSettings("\n".join(_describe_error(error, _setting_name(error["loc"], environ, path, file_values)) for error in errors)) from None


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSettings(f"找不到配置文件 {path}") from None
    except tomllib.TOMLDecodeError as wrong:
        place = _LINE_AND_COLUMN.search(str(wrong))
        position = f"第 {place[1]} 行第 {place[2]} 列" if place else "末尾"
        raise BadSettings(f"配置文件 {path} {position}写得不对，应为 TOML 格式") from None
    except UnicodeDecodeError:
        raise BadSettings(f"配置文件 {path} 读不了，应为 UTF-8 编码") from None
    except OSError as wrong:
        raise BadSettings(f"配置文件 {path} 读不了（{wrong.strerror}），请检查路径和权限") from None


def blank_setting_faults(settings: Settings) -> list[str]:
    """One sentence for each required setting that is written but empty, so that its channel stays off; for the command `check`."""
    sentences = []
    for name in CHANNELS:
        section = settings.channel(name)
        empty = [key for key in section.required if key in section.model_fields_set and not section.is_set(key)]
        sentences += [f"{env_name(name, key)} 写了却是空的，这个通道没有开启：请填好，或把这一项删掉" for key in empty]
    return sentences


def _setting_name(loc: Sequence[int | str], environ: Mapping[str, str], path: Path | None, file_values: Mapping[str, Any]) -> str:
    """The name a setting was written under: the environment variable, or the key in the file where only the file has it."""
    words = [str(part) for part in loc]
    names = {env_name(*words[: count + 1]) for count in range(len(words))}
    inside: Any = file_values
    for word in words:
        inside = inside.get(word) if isinstance(inside, Mapping) else None
    if not words or inside is None or any(key.upper() in names for key in environ):
        return env_name(*words) if words else ""
    section = f"[{'.'.join(words[:-1])}] " if words[1:] else ""
    return f"{section}{words[-1]}（配置文件 {path}）"


def _describe_error(error: Any, place: str) -> str:
    match error["type"]:
        case "extra_forbidden":
            return f"不认识的设置 {place}，请检查拼写（可用的设置见 README）"
        case "value_error":
            return f"设置 {place} {error['ctx']['error']}" if place else f"设置 {error['ctx']['error']}"
        case "literal_error":
            return f"设置 {place} 只能是 {error['ctx']['expected'].replace(' or ', '、')}"
        case kind:
            return f"设置 {place} 的值不对，{_EXPECTED.get(kind, _SEE_README).format(**error.get('ctx', {}))}"


_SEE_README = "请对照 README 检查"
_NUMBER, _INTEGER, _FLAG, _TEXT = "应为数字", "应为整数", "应为 true 或 false", "应为文字"
_EXPECTED = {
    "int_parsing": _INTEGER,
    "int_type": _INTEGER,
    "int_from_float": _INTEGER,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _FLAG,
    "bool_type": _FLAG,
    "string_type": _TEXT,
    "greater_than": "应大于 {gt:g}",
    "greater_than_equal": "不能小于 {ge:g}",
    "less_than_equal": "不能大于 {le:g}",
}
"""What the value should be, by pydantic's type of error."""
