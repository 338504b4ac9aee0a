"""What an operator writes into the environment or the file: taken, or refused with the key's name and never with a secret's value."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

import pytest

from bot.domain.delivery.platform_limits import LIMITS
from bot.settings import CHANNELS, BadSettings, Settings, blank_setting_faults, load

SECRET, TOKEN, KEY = "canary-secret-4711", "canary-token-4712", "canaryKey" + "k" * 34
WECOM = {"CORP_ID": "ww1", "AGENT_ID": "1000002", "SECRET": SECRET, "TOKEN": TOKEN, "AES_KEY": KEY}
WECHAT = {"APP_ID": "wx1", "SECRET": SECRET, "TOKEN": TOKEN, "AES_KEY": KEY}
DINGTALK = {"CLIENT_ID": "ding1", "CLIENT_SECRET": SECRET}
ZWDING = {"GATEWAY": "https://openplatform.example", "APP_KEY": "k", "APP_SECRET": SECRET, "TENANT_ID": "1"}
SECTIONS = {"WECOM": WECOM, "WECHAT": WECHAT, "DINGTALK": DINGTALK, "ZWDING": ZWDING}
Env = dict[str, str]


def section(name: str, **over: str | None) -> Env:
    """The variables of one channel; None takes one away."""
    given: dict[str, str | None] = {**SECTIONS[name], **over}
    return {f"BOT_{name}__{key}": value for key, value in given.items() if value is not None}


def read(monkeypatch: pytest.MonkeyPatch, env: Env, config: Path | None = None) -> Settings:
    for name in [name for name in os.environ if name.upper().startswith("BOT_")]:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return load(config)


def refusal(monkeypatch: pytest.MonkeyPatch, env: Env, config: Path | None = None) -> str:
    """The sentence, once it is sure that neither it nor its stack trace tells a secret."""
    with pytest.raises(BadSettings) as caught:
        read(monkeypatch, env, config)
    trace = "".join(traceback.format_exception(caught.value))
    for secret in (SECRET, TOKEN, KEY, "canary"):
        assert secret not in trace
    return str(caught.value)


def test_without_a_word_it_runs_on_sqlite_on_the_loopback_with_all_channels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(monkeypatch, {})
    assert found.database_url.get_secret_value() == "sqlite:///var/bot.db"
    assert (found.host, found.port, str(found.zone)) == ("127.0.0.1", 8080, "Asia/Shanghai")
    assert not any(found.is_on(name) for name in CHANNELS)
    assert found.web.local_chat is False
    assert found.wecom.api_base == "https://qyapi.weixin.qq.com"
    assert found.wechat.api_base == "https://api.weixin.qq.com"
    assert (found.dingtalk.api_base, found.dingtalk.mode) == ("https://api.dingtalk.com", "stream")
    assert found.dingtalk.oapi_base == "https://oapi.dingtalk.com"


@pytest.mark.parametrize("name", SECTIONS)
def test_a_channel_with_its_settings_is_on_and_the_others_stay_off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found = read(monkeypatch, section(name))
    assert [channel for channel in CHANNELS if found.is_on(channel)] == [name.lower()]


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in SECTIONS.items() for key in keys])
def test_a_channel_short_of_one_setting_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch, name: str, key: str) -> None:
    assert f"BOT_{name}__{key}" in refusal(monkeypatch, section(name, **{key: None}))


GOOD: list[tuple[Env, str, object]] = [
    ({"BOT_LISTEN": "0.0.0.0:80"}, "host", "0.0.0.0"),
    ({"BOT_LISTEN": "[::1]:8080"}, "host", "::1"),
    ({"BOT_LISTEN": "localhost:0"}, "port", 0),
    ({"BOT_LISTEN": "[::1]:9", "BOT_WEB__LOCAL_CHAT": "true"}, "port", 9),
    ({"BOT_TIMEZONE": "PRC"}, "timezone", "PRC"),
    ({}, "platform_limits", LIMITS),
    ({"BOT_PUBLIC_URL": "https://xuefa.example"}, "public_url", "https://xuefa.example"),
    ({"bot_public_url": "https://xuefa.example"}, "public_url", "https://xuefa.example"),
]


@pytest.mark.parametrize(("env", "name", "value"), GOOD, ids=lambda one: str(one)[:40])
def test_what_is_right_is_taken(monkeypatch: pytest.MonkeyPatch, env: Env, name: str, value: object) -> None:
    assert getattr(read(monkeypatch, env), name) == value


BAD: list[tuple[Env, str]] = [
    ({"BOT_WECOMM__CORP_ID": "ww1"}, "BOT_WECOMM__CORP_ID"),
    ({"BOT_DATABSE_URL": "sqlite:///x"}, "BOT_DATABSE_URL"),
    ({"BOT_": "x"}, "BOT_"),
    ({**section("WECOM"), "BOT_WECOM__CORPID": "ww1"}, "BOT_WECOM__CORPID"),
    ({"BOT_LIMITS__QUEU": "10"}, "BOT_LIMITS__QUEU"),
    ({"BOT_WECOM": "canary"}, "BOT_WECOM"),
    ({"BOT_WECOM": '{"secret": "canary"'}, "BOT_WECOM"),
    ({"BOT_WECOM": "[1]"}, "BOT_WECOM"),
    (section("WECOM", SECRET=""), "BOT_WECOM__SECRET"),
    (section("WECOM", SECRET="canary"), "BOT_WECOM__SECRET"),
    (section("WECOM", TOKEN=""), "BOT_WECOM__TOKEN"),
    (section("WECOM", TOKEN="canary"), "BOT_WECOM__TOKEN"),
    (section("WECOM", AES_KEY=KEY[:-1]), "BOT_WECOM__AES_KEY"),
    (section("WECOM", AES_KEY=KEY + "="), "BOT_WECOM__AES_KEY"),
    (section("WECHAT", TOKEN=""), "BOT_WECHAT__TOKEN"),
    (section("WECHAT", AES_KEY=""), "BOT_WECHAT__AES_KEY"),
    (section("WECHAT", MODE="plain"), "安全模式"),
    (section("WECHAT", MODE="兼容模式"), "安全模式"),
    (section("WECHAT", VERIFIED="maybe"), "BOT_WECHAT__VERIFIED"),
    (section("DINGTALK", CLIENT_SECRET="canary"), "BOT_DINGTALK__CLIENT_SECRET"),
    (section("DINGTALK", MODE="carrier pigeon"), "BOT_DINGTALK__MODE"),
    (section("ZWDING", APP_SECRET=""), "BOT_ZWDING__APP_SECRET"),
    ({"BOT_LISTEN": "8080"}, "BOT_LISTEN"),
    ({"BOT_LISTEN": ":8080"}, "BOT_LISTEN"),
    ({"BOT_LISTEN": "127.0.0.1:http"}, "BOT_LISTEN"),
    ({"BOT_LISTEN": "127.0.0.1:65536"}, "BOT_LISTEN"),
    ({"BOT_TIMEZONE": "Asia/Beijing"}, "BOT_TIMEZONE"),
    ({"BOT_TIMEZONE": "Asia/Urumqi"}, "BOT_TIMEZONE"),
    ({"BOT_TIMEZONE": "UTC"}, "BOT_TIMEZONE"),
    ({"BOT_TIMEZONE": "../etc/passwd"}, "BOT_TIMEZONE"),
    ({"BOT_TIMEZONE": ""}, "BOT_TIMEZONE"),
    ({"BOT_DATABASE_URL": "mysql://bot:canary-secret-4711@db/bot"}, "BOT_DATABASE_URL"),
    ({"BOT_DATABASE_URL": ""}, "BOT_DATABASE_URL"),
    ({"BOT_WEB__LOCAL_CHAT": "true", "BOT_LISTEN": "0.0.0.0:8080"}, "0.0.0.0:8080"),
    ({"BOT_WEB__LOCAL_CHAT": "true", "BOT_LISTEN": "[::]:8080"}, "local_chat"),
    ({"BOT_WEB__LOCAL_CHAT": "true", "BOT_LISTEN": "example.org:8080"}, "local_chat"),
    ({"BOT_LIMITS__FRESHNESS_SECONDS": "86400"}, "BOT_LIMITS__FRESHNESS_SECONDS"),
    ({"BOT_LIMITS__REPLY_SECONDS": "5"}, "BOT_LIMITS__REPLY_SECONDS"),
    ({"BOT_LIMITS__QUEUE": "many"}, "BOT_LIMITS__QUEUE"),
    ({"BOT_LIMITS__PLATFORM": "dingtalk/month=9000"}, "没有「dingtalk/month」这一项，可写的有：wecom/corp/minute、"),
    ({"BOT_LIMITS__PLATFORM": "dingtalk/corp/month=1"}, "BOT_LIMITS__PLATFORM"),
    ({"BOT_LIMITS__PLATFORM": "dingtalk/corp/month"}, "dingtalk/corp/month=205000"),
    ({"BOT_LIMITS__PLATFORM": "dingtalk/corp/month=-5"}, "BOT_LIMITS__PLATFORM"),
]


def test_an_agency_s_own_quotas_stand_over_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"BOT_LIMITS__PLATFORM": " dingtalk/corp/month = 205000, dingtalk/app/second=40,"}
    found = {limit.title: limit for limit in read(monkeypatch, said).platform_limits}

    assert (found["dingtalk/corp/month"].usable(), found["dingtalk/app/second"].usable(), found["wecom/corp/hour"].allowed) == (164_000, 32, 150_000)
    assert found["dingtalk/corp/month"].usage(people=45) == 3
    notified = {limit.title: limit for limit in read(monkeypatch, section("DINGTALK") | {"BOT_DINGTALK__AGENT_ID": "7"} | said).platform_limits}
    assert notified["dingtalk/corp/month"].usage(people=145, messages=1) == 2 * (1 + 2), "two notifications, each asked after twice"
    assert notified["dingtalk/app/second"].usage(people=145, messages=1) == 2, "the asking has a limit of its own"


@pytest.mark.parametrize(("env", "named"), BAD, ids=lambda one: " ".join(one)[:60] if isinstance(one, dict) else one)
def test_what_is_wrong_is_refused_by_name_in_one_sentence(monkeypatch: pytest.MonkeyPatch, env: Env, named: str) -> None:
    said = refusal(monkeypatch, env)
    assert named in said
    assert len(said.splitlines()) == 1
    assert not re.search(r"[a-z]+ [a-z]+ [a-z]+", said), "whoever reads it reads Chinese"


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, {"BOT_LISTEN": "8080", "BOT_TIMEZONE": "Mars", "BOT_LIMITS__QUEUE": "0"})
    assert [name for name in ("BOT_LISTEN", "BOT_TIMEZONE", "BOT_LIMITS__QUEUE") if name in said] == [
        "BOT_LISTEN",
        "BOT_TIMEZONE",
        "BOT_LIMITS__QUEUE",
    ]
    assert len(said.splitlines()) == 3


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "bot.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


FILE = f"""
listen = "127.0.0.1:9000"
[wecom]
corp_id = "ww1"
agent_id = "1000002"
secret = "{SECRET}"
token = "{TOKEN}"
aes_key = "{KEY}"
"""


def test_the_file_is_read_and_the_environment_stands_over_it_key_by_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = written(tmp_path, FILE)
    assert read(monkeypatch, {}, config).port == 9000
    found = read(monkeypatch, {"BOT_LISTEN": "127.0.0.1:9001", "BOT_WECOM__CORP_ID": "ww2"}, config)
    assert (found.port, found.wecom.corp_id, found.wecom.agent_id) == (9001, "ww2", "1000002")
    assert found.is_on("wecom")
    assert read(monkeypatch, {"BOT_CONFIG": str(config)}).port == 9000


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('listne = "127.0.0.1:1"', "listne（配置文件 "),
        ("listen = 8080", "设置 listen（配置文件 "),
        ('[wecomm]\ncorp_id = "x"', "不认识的设置 wecomm（配置文件 "),
        (f'{FILE}corpid = "x"', "[wecom] corpid（配置文件 "),
        ('wecom = "canary"', "wecom（配置文件 "),
        ("[wecom]\nsecret = 12345678", "[wecom] secret（配置文件 "),
        ('[wecom]\nsecret = "canary-secret-4711', "bot.toml"),
        ("[wecom]\n[wecom]", "bot.toml"),
        (b"\xff\xfe\x00", "bot.toml"),
        (b"\x00", "bot.toml"),
    ],
    ids=range(10),
)
def test_a_fault_in_the_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | bytes, named: str) -> None:
    said = refusal(monkeypatch, {}, written(tmp_path, text))
    assert named in said
    assert "bot.toml" in said
    assert "BOT_" not in said


def test_what_the_environment_says_wrongly_over_the_file_is_named_as_the_environment_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "设置 BOT_LISTEN " in refusal(monkeypatch, {"BOT_LISTEN": "8080"}, written(tmp_path, FILE))


def test_a_channel_that_is_off_because_its_settings_are_empty_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert blank_setting_faults(read(monkeypatch, {})) == []
    (said,) = blank_setting_faults(read(monkeypatch, {"BOT_WECOM__CORP_ID": ""}))
    assert "BOT_WECOM__CORP_ID" in said


def test_a_file_that_is_not_there_or_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "absent.toml" in refusal(monkeypatch, {}, tmp_path / "absent.toml")
    assert str(tmp_path) in refusal(monkeypatch, {}, tmp_path)


def test_no_secret_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(
        monkeypatch,
        {
            "BOT_DATABASE_URL": f"postgresql://bot:{SECRET}@db/bot",
            **section("WECOM"),
            **section("WECHAT"),
            **section("DINGTALK"),
            **section("ZWDING"),
        },
    )
    for shown in (repr(found), str(found), f"{found.wecom!r} {found.zwding}", str(found.model_dump()), found.model_dump_json()):
        assert "canary" not in shown
    assert set(found.secrets()) >= {SECRET, TOKEN, KEY, f"postgresql://bot:{SECRET}@db/bot"}


def test_a_secret_that_is_right_stays_hidden_when_another_key_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "BOT_WECOM__CARDS" in refusal(monkeypatch, section("WECOM", CARDS="perhaps"))
