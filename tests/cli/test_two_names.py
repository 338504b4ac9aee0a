"""Acts of two names: by no mix of chat and shell is one person both, the shell is nobody's own word, and the audit says who spoke at which door."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from bot.cli.context import context
from bot.cli.main import main
from bot.dispatch import Dispatcher
from bot.services.exam import attempt
from tests.conftest import NOW, Chat, Clock, enroll
from tests.support.corrections import AFTER, WHY, Board
from tests.support.exams import ExamHarness

Run = Callable[..., tuple[int, str, str]]
NAMES = ("9001", "9002")


@pytest.fixture
def run(dispatcher: Dispatcher, engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`python -m bot …` beside the chat, on the same database; the user of the system is root."""
    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setattr(context, "user", lambda: "root")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bot", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return call


def look(dispatcher: Dispatcher, query: str) -> list[tuple[object, ...]]:
    return dispatcher.database.read_now(lambda session: [tuple(row) for row in session.execute(text(query))])


# ── Extra time ──


@pytest.fixture
def sitting(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> int:
    """1001 sits exam 1; 9001 and 9002 administer it."""
    monkeypatch.setattr(context, "clock", lambda: NOW)
    hall = ExamHarness(dispatcher)
    person = hall.run(lambda session: enroll(session, "1001"))
    for staff_no in NAMES:
        hall.run(lambda session, staff_no=staff_no: enroll(session, staff_no, roles=("admin",)))
    exam = hall.publish()
    begun = hall.run(lambda session: attempt.begin(session, hall.catalog, person, exam, NOW, random.Random(1)))
    return int(begun.status.sitting_id)


ASK = ("exam", "extend", "1", "1001", "10", "--reason", "断网", "--apply")
IN_EFFECT = "SELECT asked_by, approved_by FROM extension WHERE approved_by IS NOT NULL"


@pytest.mark.parametrize("door", [("--as", "9001"), ("--as", "9002"), ()])
async def test_no_two_words_at_the_shell_are_two_names(dispatcher: Dispatcher, run: Run, sitting: int, door: tuple[str, ...]) -> None:
    assert run(*ASK, *door)[0] == 0
    for second in ((), ("--as", "9001"), ("--as", "9002")):
        status, _, err = run("exam", "approve", "1", *second, "--apply")
        assert (status, "批准要由本人说" in err) == (1, True)
    assert look(dispatcher, IN_EFFECT) == []


async def test_who_asked_at_the_shell_cannot_approve_in_the_chat_and_another_can(
    dispatcher: Dispatcher, clock: Clock, run: Run, sitting: int
) -> None:
    assert "还没有生效：请另一位管理员本人在聊天里发「考试 批准 1」" in run(*ASK, "--as", "9001")[1]
    assert "必须是两个人" in await Chat(dispatcher, clock, "9001").say("考试 批准 1")
    assert look(dispatcher, IN_EFFECT) == []
    assert "已批准并生效" in await Chat(dispatcher, clock, "9002").say("考试 批准 1")
    assert look(dispatcher, IN_EFFECT) == [("9001", "9002")]
    spoken = look(dispatcher, "SELECT actor, via, action FROM audit WHERE target = 'extension:1' ORDER BY id")
    assert spoken == [("9001", "cli", "申请加时"), ("9002", "local", "批准加时")]
    told = look(dispatcher, "SELECT content FROM campaign WHERE name LIKE '%以您的名义%'")
    assert "有人在命令行以您的名义为 1001 申请了考试加时" in str(told), "whose name was typed hears of it"


async def test_a_request_without_a_name_needs_two_people_in_the_chat(dispatcher: Dispatcher, clock: Clock, run: Run, sitting: int) -> None:
    assert "申请没有具名，要两位管理员先后在聊天里发「考试 批准 1」" in run(*ASK)[1]
    first, second = Chat(dispatcher, clock, "9001"), Chat(dispatcher, clock, "9002")
    assert "由您具名申请，还没有生效" in await first.say("考试 批准 1")
    assert look(dispatcher, IN_EFFECT) == []
    assert "必须是两个人" in await first.say("考试 批准 1"), "one person is not two by saying it twice"
    assert "已批准并生效" in await second.say("考试 批准 1")
    assert look(dispatcher, IN_EFFECT) == [("9001", "9002")]
    spoken = look(dispatcher, "SELECT actor, via, action FROM audit WHERE target = 'extension:1' ORDER BY id")
    assert spoken == [("cli:root", "cli", "申请加时"), ("9001", "local", "具名申请加时"), ("9002", "local", "批准加时")]


async def test_asked_in_the_chat_it_is_not_approved_at_the_shell(dispatcher: Dispatcher, clock: Clock, run: Run, sitting: int) -> None:
    first = Chat(dispatcher, clock, "9001")
    assert "已申请（编号 1）" in await first.say("考试 加时 1 1001 10 断网")
    for second in ((), ("--as", "9001"), ("--as", "9002")):
        assert run("exam", "approve", "1", *second, "--apply")[0] == 1
    assert "必须是两个人" in await first.say("考试 批准 1")
    assert look(dispatcher, IN_EFFECT) == []


# ── Corrections ──


@pytest.fixture
def board(dispatcher: Dispatcher, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Board:
    made = Board(dispatcher)
    clock.now = AFTER
    monkeypatch.setattr(context, "clock", lambda: AFTER)
    return made


APPLIED = "SELECT proposed_by, decided_by FROM correction WHERE state = 'applied'"


def correct(board: Board) -> tuple[str, ...]:
    return ("exam", "correct", str(board.exam), board.first, f"改 {board.wrong}", "--reason", WHY, "--apply")


async def test_the_shell_proposes_and_waits_for_another_s_own_word(board: Board, dispatcher: Dispatcher, clock: Clock, run: Run) -> None:
    assert "还没有生效" in run(*correct(board), "--as", "9001")[1]
    for door in ((), ("--as", "9001"), ("--as", "9002")):
        run(*correct(board), *door)
        assert look(dispatcher, APPLIED) == []
    assert "须由另一位管理员确认" in await Chat(dispatcher, clock, "9001").say("更正 确认 1")
    assert look(dispatcher, APPLIED) == []
    assert "已生效" in await Chat(dispatcher, clock, "9002").say("更正 确认 1")
    assert look(dispatcher, APPLIED) == [("9001", "9002")]
    spoken = look(dispatcher, "SELECT actor, via, action FROM audit WHERE action LIKE '%更正%' AND outcome = 'done' ORDER BY id")
    assert spoken == [("9001", "cli", "提出更正"), ("9002", "local", "更正题目")]


async def test_a_proposal_without_a_name_needs_two_people_in_the_chat(board: Board, dispatcher: Dispatcher, clock: Clock, run: Run) -> None:
    run(*correct(board))
    first, second = Chat(dispatcher, clock, "9001"), Chat(dispatcher, clock, "9002")
    assert "现在由您具名提出，还没有生效" in await first.say("更正 确认 1")
    assert "须由另一位管理员确认" in await first.say("更正 确认 1")
    assert look(dispatcher, APPLIED) == []
    assert "已生效" in await second.say("更正 确认 1")
    assert look(dispatcher, APPLIED) == [("9001", "9002")]
    spoken = look(dispatcher, "SELECT actor, via, action FROM audit WHERE action LIKE '%更正%' AND outcome = 'done' ORDER BY id")
    assert spoken == [("cli:root", "cli", "提出更正"), ("9001", "local", "具名提出更正"), ("9002", "local", "更正题目")]


# ── Whose rights count ──


@pytest.mark.parametrize("staff_no", ["1001", "7777", "cli:root"])
async def test_a_number_without_the_right_is_refused(dispatcher: Dispatcher, run: Run, sitting: int, staff_no: str) -> None:
    status, _, err = run(*ASK, "--as", staff_no)
    assert (status, f"「{staff_no}」不是在职的管理员" in err) == (1, True)
    assert look(dispatcher, "SELECT id FROM extension") == []


async def test_the_operator_of_the_settings_acts_within_their_own_units(
    dispatcher: Dispatcher, run: Run, sitting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(session: object) -> None:
        enroll(session, "9003", unit="某局/财务处", roles=("admin",))  # type: ignore[arg-type]
        session.execute(  # type: ignore[attr-defined]
            text(
                "UPDATE role SET unit_id = (SELECT id FROM unit WHERE path = '某局/财务处')"
                " WHERE person_id = (SELECT id FROM person WHERE staff_no = '9003')"
            )
        )

    dispatcher.database.write_now(work)
    monkeypatch.setenv("BOT_OPERATOR", "9003")
    status, _, err = run(*ASK)
    assert (status, "没有编号为 1 的考试" in err) == (1, True), "an exam of all is beyond who looks after one unit"
    assert run("exam", "list", "--json")[1] == "[]\n"
    assert "只有全局的管理员可以做" in run("certificate", "list")[2]
    assert run("exam", "list", "--as", "9001", "--json")[1] != "[]\n", "what is typed goes before what is set"
