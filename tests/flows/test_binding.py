"""A stranger says who they are; from then on three channels are one person."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.services.people import binding
from bot.storage.db.database import Database
from bot.storage.people import accounts, roster
from bot.storage.people.accounts import lock_people
from bot.storage.tables.people import AccountRow
from tests.conftest import NOW, Chat, Clock, enroll


@pytest.fixture
def wechat(dispatcher: Dispatcher, clock: Clock) -> Chat:
    """A follower nobody knows; 1001 is on the roll and known in WeCom only."""
    dispatcher.database.write_now(lambda session: enroll(session, "1001", "张三", channel="wecom"))
    return Chat(dispatcher, clock, "o-openid", channel="wechat")


def code_for(chat: Chat, staff_no: str) -> str:
    made = chat.dispatcher.database.write_now(lambda session: binding.issue_codes(session, chat.clock.now, actor="cli:test", via="cli"))
    return next(one.code for one in made if one.staff_no == staff_no)


def count(chat: Chat, table: str) -> int:
    def read(session: Session) -> int:
        return int(session.connection().execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())

    return chat.dispatcher.database.read_now(read)


async def test_a_follower_binds_and_is_greeted_with_what_to_do_next(wechat: Chat) -> None:
    assert "绑定 工号 验证码" in await wechat.say("你好")
    assert count(wechat, "inbox") == 0

    said = await wechat.say(f"绑定 1001 {code_for(wechat, '1001')}")

    assert "已绑定：张三（工号 1001，某局/办公室）" in said
    assert [button.label for button in wechat.last.buttons] == ["每日一练", "学习", "我的学时"]
    assert "张三" in await wechat.say("我的学时")


@pytest.mark.parametrize("form", ["绑定 1001 {}", "绑定1001 {}", "绑定\u3000\uff11\uff10\uff10\uff11\u3000{}", " 绑定:1001,{} ", "/绑定 1001+{}"])
async def test_binding_is_understood_as_people_type_it(wechat: Chat, form: str) -> None:
    assert "已绑定" in await wechat.say(form.format(code_for(wechat, "1001")))


@pytest.mark.parametrize("words", ["绑定", "绑定 1001", "绑定 1001 1234", "绑定 12345678", "绑定 张 三 12345678", "绑定 1001 abcdefgh"])
async def test_what_is_no_attempt_is_explained_and_not_counted(wechat: Chat, words: str) -> None:
    assert "8 位数字" in await wechat.say(words)
    assert count(wechat, "bind_guard") == 0


async def test_a_wrong_number_a_wrong_code_and_no_code_read_the_same(wechat: Chat) -> None:
    dispatcher, clock = wechat.dispatcher, wechat.clock
    right = code_for(wechat, "1001")
    dispatcher.database.write_now(lambda session: enroll(session, "1002", channel="wecom"))
    wrong = f"{(int(right) + 1) % 10**8:08}"
    said = {
        await Chat(dispatcher, clock, f"o-{n}", "wechat").say(words)
        for n, words in enumerate((f"绑定 1001 {wrong}", f"绑定 9 {wrong}", f"绑定 1002 {wrong}"))
    }
    assert len(said) == 1
    assert said.pop().startswith("未绑定：工号或验证码不对")


async def test_guesses_are_counted_although_refused_and_the_guesser_waits(wechat: Chat) -> None:
    right = code_for(wechat, "1001")
    wrong = f"{(int(right) + 1) % 10**8:08}"
    said = [await wechat.say(f"绑定 1001 {wrong}") for _ in range(100)]
    assert len([one for one in said if one.startswith("未绑定：工号或验证码不对")]) == 5
    assert "请在 09:10 之后再试" in said[4]
    assert all("不对的次数太多" in one for one in said[4:])
    assert "未绑定" in await wechat.say(f"绑定 1001 {right}")
    assert count(wechat, "account") == 1


async def test_four_copies_of_the_message_bind_once_and_read_the_same(wechat: Chat) -> None:
    message = wechat.message(f"绑定 1001 {code_for(wechat, '1001')}")
    said = await asyncio.gather(*(wechat.dispatcher.handle(message) for _ in range(4)))
    assert len(set(said)) == 1
    assert said[0].text.startswith("✅ 已绑定")
    assert count(wechat, "account") == 2


async def test_copies_that_reach_two_replicas_bind_once_and_read_the_same(wechat: Chat) -> None:
    database = Database(wechat.dispatcher.database.engine, prelock=lock_people)
    database.start()
    houses = (wechat.dispatcher, Dispatcher(database, wechat.dispatcher.catalog))
    try:
        for _ in range(10):
            message = wechat.message(f"绑定 1001 {code_for(wechat, '1001')}")
            said = await asyncio.gather(*(houses[turn % 2].handle(message) for turn in range(4)))
            assert {one.text[:5] for one in said} == {"✅ 已绑定"}
            assert len(set(said)) == 1
            database.write_now(lambda session: accounts.unbind_account(session, "wechat", "o-openid"))
    finally:
        await asyncio.to_thread(database.stop)


async def test_two_accounts_with_one_code_at_once_have_one_winner(wechat: Chat) -> None:
    code = code_for(wechat, "1001")
    chats = [Chat(wechat.dispatcher, wechat.clock, f"o-{n}", "wechat") for n in range(20)]
    said = await asyncio.gather(*(chat.say(f"绑定 1001 {code}", after=0) for chat in chats))
    assert sorted(one.startswith("✅ 已绑定") for one in said) == [False] * 19 + [True]
    assert count(wechat, "account") == 2


async def test_a_bound_account_cannot_become_somebody_else(wechat: Chat) -> None:
    wechat.dispatcher.database.write_now(lambda session: enroll(session, "1002", "李四", channel="wecom"))
    code = code_for(wechat, "1002")
    await wechat.say(f"绑定 1001 {code_for(wechat, '1001')}")
    said = await wechat.say(f"绑定 1002 {code}")
    assert "已绑定 张三（工号 1001）" in said
    assert "李四" not in said
    assert "不用再绑" in await wechat.say("绑定 1001 12345678")
    assert "不用再绑" in await wechat.say("绑定")


async def test_a_second_account_for_a_person_is_refused_clearly(wechat: Chat) -> None:
    code = code_for(wechat, "1001")
    other = Chat(wechat.dispatcher, wechat.clock, "somebody", "wecom")
    assert "在这个平台上已绑定了另一个账号" in await other.say(f"绑定 1001 {code}")


async def test_one_person_on_three_channels_is_one_record(wechat: Chat) -> None:
    dispatcher, clock = wechat.dispatcher, wechat.clock
    await wechat.say(f"绑定 1001 {code_for(wechat, '1001')}")
    dispatcher.database.write_now(
        lambda session: session.add(AccountRow(channel="dingtalk", user="zhang", person_id=1, bound_at=NOW, bound_by="roster"))
    )
    work, ding = Chat(dispatcher, clock, "1001", "wecom"), Chat(dispatcher, clock, "zhang", "dingtalk")
    await wechat.say("每日")
    assert wechat.last.card is not None
    await work.say("继续")
    assert work.last.card is not None
    assert work.last.card.stem == wechat.last.card.stem
    await work.tap(work.last.card.options[0].say)
    await ding.say("继续")
    assert ding.last.card is not None
    assert ding.last.card.stem != wechat.last.card.stem
    assert count(wechat, "answer") == 1


async def test_a_leaver_is_a_stranger_from_the_next_day(wechat: Chat) -> None:
    await wechat.say(f"绑定 1001 {code_for(wechat, '1001')}")
    wechat.dispatcher.database.write_now(lambda session: roster.update_person(session, 1, "张三", "公务员", None, NOW.date()))
    assert "张三" in await wechat.say("我的学时")
    wechat.clock.pass_(days=1)
    assert "还没有和花名册对上" in await wechat.say("我的学时")


def test_the_operator_imports_a_roster_and_prints_codes(tmp_path: Path) -> None:
    def bot(*words: str) -> tuple[int, str, str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("BOT_")}
        environ |= {"BOT_DATABASE_URL": f"sqlite:///{tmp_path}/bot.db", "PATH": "", "PYTHONUTF8": "1"}
        done = subprocess.run([sys.executable, "-m", "bot", *words], capture_output=True, text=True, env=environ, cwd=root, timeout=300, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    root = Path(__file__).parents[2]
    file = tmp_path / "people.csv"
    file.write_text("工号,姓名,单位,角色\n1001,张三,某局/办公室,管理员\n1002,李四,某局/法规处,\n", encoding="gbk")
    bot("migrate")

    status, said, _ = bot("roster", "import", str(file))
    assert (status, "新进 2" in said, "什么都没有写" in said) == (0, True, True)
    status, said, _ = bot("roster", "import", str(file), "--apply", "--json")
    assert (status, json.loads(said)["changed"]) == (0, 2)
    status, said, _ = bot("roster", "import", str(file), "--apply")
    assert (status, "没有变化" in said) == (0, True)

    status, said, _ = bot("roster", "codes")
    assert (status, said.splitlines()[0], "以上是预演" in said) == (0, "1001 张三", True), "a rehearsal prints no code"
    assert not re.search(r"\d{8}", said)
    status, said, _ = bot("roster", "codes", "--apply")
    assert status == 0
    assert [bool(re.fullmatch(r"100[12] (?:张三|李四) \d{8} 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", line)) for line in said.splitlines()] == [
        True,
        True,
    ]
    status, said, _ = bot("roster", "codes", "--unit", "法规处", "--apply", "--json")
    assert [(one["staff_no"], sorted(one)) for one in json.loads(said)] == [("1002", ["code", "expires_at", "name", "staff_no"])]

    file.write_text("工号,姓名,单位,层级\n,张三,某局,\n1002,李四,某局,科员\n", encoding="utf-8")
    status, _, wrong = bot("roster", "import", str(file), "--apply")
    assert status == 1
    assert "第 2 行「工号」：没有填" in wrong
    assert "第 3 行「层级」" in wrong
    status, said, _ = bot("roster", "import", str(file), "--apply", "--json")
    assert (status, [one["row"] for one in json.loads(said)["faults"]]) == (1, [2, 3])

    file.write_text("工号,姓名,单位\n1009,新人,某局\n", encoding="utf-8")
    status, said, wrong = bot("roster", "import", str(file), "--apply")
    assert (status, "--leavers-ok" in wrong) == (1, True)
    assert bot("roster", "import", str(file), "--apply", "--leavers-ok")[0] == 0
    assert bot("roster", "import")[0] == 2
