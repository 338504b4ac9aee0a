"""Whoever makes many messages asks the platforms' quotas first: each act is refused the same in chat and at the command line, and changes nothing.

120 people can be reached by DingTalk only, and the agency may make two calls a month, of which the service uses one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.cli.context import context
from bot.cli.main import main
from bot.dispatch import Dispatcher
from bot.domain.delivery.platform_limits import LIMITS, limits_with
from tests.conftest import NOW, Chat, Clock, enroll

PEOPLE = 120
MONTH = "dingtalk/corp/month"
SHORT = re.compile(r"额度：\n.*本月需 \d+ 次调用，还剩 1，不够", re.DOTALL)
EXAM = "考试 新建 年度学法考试；2026-03-02 09:00 至 11:00；层级=公务员；单选 4×2、判断 2×1；案例≥30%；30 分钟；及格 60%"
TABLES = ("campaign", "occurrence", "delivery", "exam", "contest", "team", "audit")
CONTEST = """
name: 七一知识竞赛
opens: 2026-03-02 09:00
closes: 2026-03-09 18:00
of: [监察法]
to: 层级=公务员
rules: {size: 5, board: upper, teams: unit, best: 2}
"""


@pytest.fixture
def boss(dispatcher: Dispatcher, clock: Clock) -> Chat:
    """9001, who looks after 120 people on DingTalk."""

    def work(session: Session) -> None:
        enroll(session, "9001", "管理员王", tier="领导干部", roles=("admin",))
        for n in range(PEOPLE):
            enroll(session, f"{2000 + n}", f"学员{n}", channel="dingtalk")

    dispatcher.database.write_now(work)
    clock.now = NOW
    return Chat(dispatcher, clock, "9001")


def rows(chat: Chat) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that an act of an administrator writes; that it was refused is a line of the audit beside it."""

    def work(session: Session) -> dict[str, list[tuple[Any, ...]]]:
        found = {table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table} ORDER BY 1"))] for table in TABLES}
        return {**found, "audit": [line for line in found["audit"] if "refused" not in line]}

    return chat.dispatcher.database.read_now(work)


async def drafted(boss: Chat, words: str, pattern: str) -> str:
    said = await boss.say(words)
    number = re.search(pattern, "\n".join([said, *(button.say for button in boss.last.buttons)]))
    assert number is not None, said
    return number[1]


async def campaign(boss: Chat) -> str:
    return await drafted(boss, "活动 新建 每日一练；每个工作日 10:00；层级=公务员；每日", r"(活动 启动 \d+)")


async def push(boss: Chat) -> str:
    return await drafted(boss, "推送 层级=公务员 内容：请大家学习民法典", r"(推送 确认 \d+)")


async def exam(boss: Chat) -> str:
    return await drafted(boss, EXAM, r"(考试 发布 \d+)")


async def pack(boss: Chat) -> str:
    return await drafted(boss, "活动 包 国家宪法日", r"(活动 启动 \d+)")


async def nudge(boss: Chat) -> str:
    """About a poll that all have got already."""
    await boss.say(await drafted(boss, "推送 层级=公务员 投票：去哪里参观/法院/检察院", r"(推送 确认 \d+)"))
    boss.dispatcher.database.write_now(lambda session: session.execute(text("UPDATE delivery SET state = 'sent', sent_at = created_at")))
    about = await drafted(boss, "催学", r"编号 (\d+)")
    return await drafted(boss, f"催学 {about}", r"(催学 确认 \d+)")


async def wider(boss: Chat) -> str:
    """A running campaign for two people becomes one for all."""
    n = await drafted(boss, "活动 新建 每日一练；每个工作日 10:00；工号=9001；每日", r"活动 启动 (\d+)")
    await boss.say(f"活动 启动 {n}")
    return f"活动 改 {n} 对象=层级=公务员"


@pytest.mark.parametrize("prepare", [campaign, push, exam, pack, nudge, wider])
async def test_the_chat_refuses_what_the_quota_of_the_month_does_not_carry(boss: Chat, prepare: Callable[[Chat], Any]) -> None:
    catalog = boss.dispatcher.catalog()
    words = await prepare(boss)
    before = rows(boss)

    catalog.limits = limits_with({MONTH: 2})
    assert SHORT.search(refused := await boss.say(words)), refused
    assert rows(boss) == before

    catalog.limits = LIMITS
    assert "额度" not in await boss.say(words)
    assert rows(boss) != before


@pytest.fixture
def shell(boss: Chat, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """`python -m bot …` over the same database, with the limits of `BOT_LIMITS__PLATFORM`."""
    engine = boss.dispatcher.database.engine
    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setenv("BOT_LIMITS__PLATFORM", f"{MONTH}=2")
    monkeypatch.setattr(context, "clock", lambda: boss.clock.now)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bot", *words])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        return status, *capsys.readouterr()

    return run


ACTS: dict[str, Callable[[Chat, str], list[str]]] = {
    "campaign": lambda boss, words: ["campaign", "start", words.split()[-1], "--apply"],
    "exam": lambda boss, words: ["exam", "publish", words.split()[-1], "--apply"],
    "pack": lambda boss, words: ["campaign", "start", words.split()[-1], "--apply"],
    "push": lambda boss, words: ["campaign", "push", "--to", "层级=公务员", "--send", "通知 请大家学习民法典", "--apply"],
    "nudge": lambda boss, words: ["campaign", "nudge", str(about_of(boss)), "--apply"],
}


def about_of(boss: Chat) -> int:
    return int(boss.dispatcher.database.read_now(lambda session: session.execute(text("SELECT MAX(campaign_id) FROM delivery")).scalar_one()))


@pytest.mark.parametrize("prepare", [campaign, exam, pack, push, nudge])
async def test_the_command_line_refuses_it_as_well(
    boss: Chat, shell: Callable[..., tuple[int, str, str]], prepare: Callable[[Chat], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    act = ACTS[prepare.__name__](boss, await prepare(boss))
    before = rows(boss)

    status, _, refused = shell(*act)
    assert (status, bool(SHORT.search(refused))) == (1, True), refused
    assert rows(boss) == before

    monkeypatch.setenv("BOT_LIMITS__PLATFORM", f"{MONTH}=205000")
    assert shell(*act)[0] == 0
    assert rows(boss) != before


def test_a_contest_is_opened_within_the_quota_for_its_invitation_and_its_reminder_together(
    boss: Chat, shell: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "竞赛.yaml"
    file.write_text(CONTEST, encoding="utf-8")
    status, _, fault = shell("contest", "new", str(file), "--apply")
    assert status == 0, fault
    number = boss.dispatcher.database.read_now(lambda session: str(session.execute(text("SELECT id FROM contest")).scalar_one()))
    before = rows(boss)
    # 120 people take six calls a message, an invitation is two messages: the first alone would have gone.
    for allowed in (2, 20):
        monkeypatch.setenv("BOT_LIMITS__PLATFORM", f"{MONTH}={allowed}")
        status, _, refused = shell("contest", "open", number, "--apply")
        assert (status, "本月需 24 次调用" in refused) == (1, True), refused
        assert rows(boss) == before

    monkeypatch.setenv("BOT_LIMITS__PLATFORM", f"{MONTH}=30")
    assert shell("contest", "open", number, "--apply")[0] == 0
