"""A wrong key put right after an exam: rehearsed, applied by a second name, once; all that follows follows, old answers stay.

See bot/docs/reliability.md L8.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.grading.correction import Amendment, sum_grades
from bot.domain.message import Refusal
from bot.services.delivery import correction_messages, reminder_messages
from bot.services.exam import extra_time, manage
from bot.services.grading import corrections
from bot.services.grading.corrections import WantedCorrection
from bot.storage import campaign
from bot.storage.grading import corrections as grading_corrections
from bot.storage.study import grades
from tests.conftest import NOW
from tests.support.corrections import AFTER, WHY, Board, items
from tests.support.corrections import shown as corrections_shown
from tests.support.exams import ADMIN, SECOND


@pytest.fixture
def board(dispatcher: Dispatcher) -> Board:
    return Board(dispatcher)


def test_before_any_correction_two_of_three_have_passed(board: Board) -> None:
    assert board.scores() == [(6000, True), (4000, False), (8000, True)]
    assert board.look("SELECT person_id, credit_seconds FROM ledger ORDER BY person_id") == [(board.people[0], 5400), (board.people[2], 5400)]


def test_a_rehearsal_says_who_changes_and_leaves_nothing(board: Board) -> None:
    before = board.everything()

    impact = board.rehearse(board.wanted("rekey", board.wrong))

    assert board.everything() == before
    assert impact.figures == {
        "papers": 3, "people": 3, "up": 3, "down": 0, "now_pass": 1, "now_fail": 0, "credited": 1, "taken_back": 0, "certificates": 3, "places": 0,
    }  # fmt: skip
    assert [(one.score_before, one.score_after, one.passed_before, one.passed_after, one.seconds_after) for one in impact.effects] == [
        (6000, 8000, True, True, 5400),
        (4000, 6000, False, True, 5400),
        (8000, 10_000, True, True, 5400),
    ]
    assert any("1002" in line and "不合格 → 合格" in line and "补计学时 90 分钟" in line for line in impact.as_text())


def test_what_was_rehearsed_is_what_comes_about(board: Board) -> None:
    wanted = board.wanted("rekey", board.wrong)
    rehearsed = board.rehearse(wanted)

    done = board.apply(board.propose(wanted))

    assert done.figures == rehearsed.figures
    assert [(one.score_after, one.passed_after, one.seconds_after, one.place_after) for one in done.effects] == [
        (one.score_after, one.passed_after, one.seconds_after, one.place_after) for one in rehearsed.effects
    ]
    assert board.scores() == [(8000, True), (6000, True), (10_000, True)]
    assert board.look("SELECT COUNT(*), SUM(credit_seconds) FROM ledger") == [(3, 3 * 5400)]


def test_results_are_held_back_until_a_second_name_has_said_yes(board: Board) -> None:
    number = board.propose(board.wanted("rekey", board.wrong))
    assert board.hall.exam(board.exam).frozen_at is not None
    with pytest.raises(Refusal, match=rf"须由另一位管理员确认：请对方发送「更正 确认 {number}」"):
        board.apply(number, ADMIN)
    assert board.scores()[1] == (4000, False)

    board.apply(number, SECOND)

    assert board.hall.exam(board.exam).frozen_at is None
    detail = str(board.look("SELECT detail FROM audit WHERE action = '更正题目'")[0][0])
    assert detail.startswith("提出 9001，确认 9002；")
    assert WHY in detail


def test_hours_are_booked_with_the_correction_that_gives_them_though_another_still_waits(board: Board) -> None:
    hours = "SELECT SUM(credit_seconds) FROM ledger"
    assert board.look(hours) == [(2 * 5400,)]
    waiting = board.propose(board.wanted("void", question=board.questions[4]))

    impact = board.correct("rekey", board.wrong)

    assert impact.figures["credited"] == 1
    assert board.look(hours) == [(3 * 5400,)]
    assert board.hall.exam(board.exam).frozen_at is not None, "the other one still holds results back"
    board.hall.run(lambda session: corrections.drop(session, SECOND, waiting, AFTER))
    assert board.hall.exam(board.exam).frozen_at is None
    assert board.look(hours) == [(3 * 5400,)]


def test_a_proposal_can_be_taken_back_and_results_go_on(board: Board) -> None:
    number = board.propose(board.wanted("void"))
    board.hall.run(lambda session: corrections.drop(session, ADMIN, number, AFTER))

    assert board.hall.exam(board.exam).frozen_at is None
    with pytest.raises(Refusal, match="已经撤回"):
        board.apply(number)
    assert board.scores()[0] == (6000, True)


def test_applied_three_times_is_applied_once_and_the_history_is_kept(board: Board) -> None:
    board.correct("rekey", board.wrong)
    once = board.everything()
    for _ in range(2):
        again = board.correct("rekey", board.wrong)
        assert not again.is_new
        assert "已经生效过" in "\n".join(again.as_text())

    assert board.everything() == once
    assert board.look("SELECT COUNT(*) FROM remark") == [(3,)]


def test_the_answers_stay_as_they_were_recorded_and_the_note_stands_beside_the_old_text(board: Board) -> None:
    before = board.look("SELECT * FROM answer ORDER BY id")
    board.correct("rekey", board.wrong)

    assert board.look("SELECT * FROM answer ORDER BY id") == before
    found = {one.question.id: one for one in board.review(1)}
    old = board.hall.catalog.library.questions[board.first]
    shown = found[board.first]
    assert (shown.question.stem, shown.reason, shown.mark.earned) == (old.stem, WHY, 1000)
    assert shown.amended is not None
    assert shown.amended.keys == (shown.choice,), "the new key in the letters that this person saw"
    assert shown.question.key != shown.choice, "and beside it the key of then"
    assert [one.amended for question, one in found.items() if question != board.first] == [None] * 4


def test_who_loses_the_pass_loses_the_hours_by_reversal(board: Board) -> None:
    """丙 and 甲 had the second question right; its key turns out to be another."""
    second = board.questions[1]
    question = board.hall.catalog.library.questions[second]
    other = [letter for letter, _ in question.options if letter != question.key][-1]
    board.apply(board.propose(board.wanted("rekey", other, question=second)))

    assert board.scores()[0] == (4000, False)
    assert board.look("SELECT credit_seconds, reverses FROM ledger WHERE person_id = (SELECT MIN(person_id) FROM ledger) ORDER BY id") == [
        (5400, None),
        (-5400, 1),
    ]
    assert board.look("SELECT SUM(seconds) FROM year_total WHERE category = 'exam'") == [(5400,)]

    board.apply(board.propose(board.wanted("accept", question.key, other, question=second)))

    assert board.scores()[0] == (6000, True)
    assert board.look("SELECT source_id, credit_seconds FROM ledger WHERE person_id = (SELECT MIN(person_id) FROM ledger) ORDER BY id") == [
        (str(board.exam), 5400),
        (str(board.exam), -5400),
        (f"{board.exam}#2", 5400),
    ]
    assert board.look("SELECT way, state FROM correction ORDER BY id") == [("rekey", "applied"), ("accept", "applied")]


@pytest.mark.parametrize(
    ("amended", "scores"),
    [
        (("full",), [(8000, True), (6000, True), (10_000, True)]),
        (("void",), [(7500, True), (5000, False), (10_000, True)]),
    ],
)
def test_everybody_gets_the_points_or_the_question_is_taken_out(board: Board, amended: tuple[str, ...], scores: list[Any]) -> None:
    board.correct(*amended)

    assert board.scores() == scores
    total = board.hall.dispatcher.database.read_now(
        lambda session: sum_grades(one.place for one in grades.grades_of_sitting(session, board.sittings[0]))
    )
    assert (total.counted, total.total) == ((8000, 10_000) if amended == ("void",) else (10_000, 10_000))


def test_an_old_mark_comes_back_when_the_correction_itself_was_wrong(board: Board) -> None:
    key = board.hall.catalog.library.questions[board.first].key
    board.correct("full")
    board.correct("rekey", board.wrong)
    board.correct("accept", key, next(letter for letter in "ABCD" if letter not in (key, board.wrong)))

    assert board.scores() == [(6000, True), (4000, False), (8000, True)]
    assert board.look("SELECT COUNT(*) FROM remark") == [(9,)]
    assert board.look("SELECT SUM(seconds) FROM year_total WHERE category = 'exam'") == [(2 * 5400,)]


def test_each_person_whom_it_touches_reads_their_own_notice(board: Board) -> None:
    board.correct("rekey", board.wrong)

    owed = board.look("SELECT d.person_id, d.id, o.campaign_id FROM delivery d JOIN occurrence o ON o.id = d.occurrence_id ORDER BY d.person_id")
    mine = [one for one in owed if one[2] == max(two[2] for two in owed)]
    assert [one[0] for one in mine] == board.people

    def told(session: Session) -> dict[int, Any]:
        content = campaign.get(session, mine[0][2])
        assert content is not None
        assert reminder_messages.is_personal(content.content)
        wanted = {delivery: (person, content.content) for person, delivery, _ in mine}
        return reminder_messages.personal_replies(session, board.hall.catalog, wanted, AFTER)

    said = board.hall.dispatcher.database.read_now(told)
    assert "您的成绩 4 → 6，不合格 → 合格，补计学时 90 分钟" in said[mine[1][1]].text
    assert "您的成绩 6 → 8" in said[mine[0][1]].text
    assert "1002" not in said[mine[0][1]].text
    assert "申诉" in said[mine[0][1]].text


def test_certificates_follow_issued_replaced_and_taken_back(board: Board) -> None:
    """甲 and 丙 hold one with their old score; 乙 gets one; when the correction turns out wrong, it is taken back."""
    held = "SELECT person_id, state, cause FROM certificate ORDER BY id"
    jia, yi, bing = board.people
    assert board.look(held) == [(jia, "valid", None), (bing, "valid", None)]

    impact = board.correct("rekey", board.wrong)

    assert sorted(board.look(held)) == sorted(
        [(jia, "replaced", "correction"), (bing, "replaced", "correction"), (jia, "valid", None), (yi, "valid", None), (bing, "valid", None)]
    )
    numbers = dict(board.look("SELECT person_id, number FROM certificate WHERE state = 'valid'"))
    assert {one.person_id: one.certificate_after for one in impact.effects} == numbers
    board.correct("rekey", board.wrong)
    assert len(board.look(held)) == 5

    key = board.hall.catalog.library.questions[board.first].key
    board.correct("accept", key, next(letter for letter in "ABCD" if letter not in (key, board.wrong)))
    assert board.look(f"SELECT state, cause FROM certificate WHERE person_id = {yi}") == [("revoked", "correction")]


def test_a_notice_keeps_the_key_from_who_sits_another_exam_with_the_question(board: Board) -> None:
    jia, yi, _ = board.people
    window = {"opens_at": AFTER, "closes_at": AFTER + timedelta(hours=2)}
    another = board.hall.publish(f"固定 {board.first}×2；30 分钟；及格 60%", at=AFTER, **window)
    board.hall.begin(yi, another, AFTER)
    board.correct("rekey", board.wrong)

    said = board.hall.dispatcher.database.read_now(lambda session: correction_messages.notices_for(session, board.hall.catalog, 1, (jia, yi)))

    assert f"改标准答案：{board.wrong}" in said[jia].text
    assert "改标准答案" not in said[yi].text
    assert "等您参加的另一场考试结束后可看" in said[yi].text
    assert "您的成绩 4 → 6" in said[yi].text


def test_before_the_release_nobody_is_told_and_nothing_is_credited_but_the_release_tells_the_right_result(dispatcher: Dispatcher) -> None:
    board = Board(dispatcher, results="after_release")
    assert board.look("SELECT COUNT(*) FROM ledger") == [(0,)]

    impact = board.correct("rekey", board.wrong)

    assert (impact.is_told, impact.figures["credited"], impact.figures["certificates"]) == (False, 0, 0)
    assert board.scores()[1] == (6000, True)
    assert board.look("SELECT COUNT(*) FROM ledger") == board.look("SELECT COUNT(*) FROM certificate") == [(0,)]
    assert board.look("SELECT COUNT(*) FROM campaign WHERE name LIKE '成绩更正%'") == [(0,)]

    board.hall.run(lambda session: manage.release(session, ADMIN, board.exam, AFTER))
    board.hall.tick(AFTER)
    assert board.look("SELECT COUNT(*), SUM(credit_seconds) FROM ledger") == [(3, 3 * 5400)]
    assert board.look("SELECT COUNT(*) FROM certificate WHERE state = 'valid'") == [(3,)]


def test_nobody_is_told_of_what_changes_nothing_for_them(board: Board) -> None:
    """Taking out a question that 丙 alone would have gained by leaves 丙's 8 of 8 as the whole paper; the others are told theirs."""
    second = board.questions[4]
    board.apply(board.propose(board.wanted("full", question=second)))

    told = {one.person_id for one in rows_of(board) if one.changes}
    assert told == {board.people[0], board.people[1]}


def rows_of(board: Board) -> list[grading_corrections.CorrectionEffect]:
    return board.hall.dispatcher.database.read_now(lambda session: grading_corrections.list_effects(session, 1))


def test_a_running_exam_and_a_question_that_is_not_in_it_are_refused(board: Board) -> None:
    running = board.hall.publish("固定 " + f"{board.first}×2；30 分钟；及格 60%", at=NOW)
    with pytest.raises(Refusal, match="还没有结束"):
        board.rehearse(WantedCorrection("exam", running, board.first, Amendment("void"), WHY))
    with pytest.raises(Refusal, match="答卷里没有题目 nothing"):
        board.rehearse(board.wanted("void", question="nothing"))
    with pytest.raises(Refusal, match="没有编号为 99 的考试"):
        board.rehearse(WantedCorrection("exam", 99, board.first, Amendment("void"), WHY))
    with pytest.raises(Refusal, match="原因"):
        board.rehearse(WantedCorrection("exam", board.exam, board.first, Amendment("void"), "  "))


def test_an_administrator_of_a_unit_puts_nothing_right_beyond_it(board: Board) -> None:
    of_unit = Author("9003", "test", ("某局/财务处",))
    number = board.propose(board.wanted("void"))

    with pytest.raises(Refusal, match="没有编号"):
        board.rehearse(board.wanted("void"), of_unit)
    with pytest.raises(Refusal, match="没有编号为 1 的更正"):
        board.apply(number, of_unit)


def test_the_shell_is_neither_of_two_names(board: Board) -> None:
    shell, named = Author("cli:root", "cli"), Author("9002", "cli")
    number = board.propose(board.wanted("void"), shell)
    for typed in (shell, named):
        with pytest.raises(Refusal, match="确认要由本人说，命令行不能代"):
            board.apply(number, typed)
    with pytest.raises(Refusal, match="只有一个名字"):
        board.apply(number, SECOND)

    assert board.hall.run(lambda session: corrections.adopt(session, board.hall.catalog, ADMIN, number, AFTER)) is True
    board.apply(number, SECOND)

    assert board.look("SELECT proposed_by, decided_by, state FROM correction") == [("9001", "9002", "applied")]


def test_a_second_proposal_for_the_same_question_waits_for_the_first(board: Board) -> None:
    board.propose(board.wanted("void"))
    assert board.propose(board.wanted("void")) == 1
    with pytest.raises(Refusal, match="已有一次更正等确认"):
        board.propose(board.wanted("full"))


def test_a_pass_in_the_make_up_keeps_the_hours_that_the_exam_no_longer_gives(board: Board) -> None:
    """乙 passes the make-up; when a correction makes 乙 pass the exam itself, nothing is credited twice."""

    def make_up(session: Session) -> int:
        return manage.create_makeup(session, board.hall.catalog, ADMIN, board.exam, AFTER, AFTER + timedelta(hours=2), AFTER)

    second = int(board.hall.run(make_up))
    board.hall.run(lambda session: manage.publish(session, board.hall.catalog, ADMIN, second, AFTER))
    begun = board.hall.begin(board.people[1], second, AFTER).status
    board.hall.answer_all(board.people[1], begun.sitting_id, AFTER)
    board.hall.hand_in(board.people[1], begun.sitting_id, AFTER)
    board.hall.tick(AFTER + timedelta(hours=3))
    assert board.look("SELECT source_kind FROM ledger ORDER BY id DESC LIMIT 1") == [("makeup",)]

    board.correct("rekey", board.wrong)

    assert board.scores()[1] == (6000, True)
    assert board.look("SELECT SUM(credit_seconds) FROM ledger") == [(3 * 5400,)]


def test_a_paper_that_is_reopened_after_a_correction_is_marked_by_it(board: Board) -> None:
    """丙 leaves the first question open, is marked, and answers it when the paper is opened again: by the key that holds now."""
    hall = board.hall
    exam = hall.publish("固定 " + "、".join(f"{one}×2" for one in board.questions) + "；30 分钟；及格 60%", at=NOW, results="after_release")
    person = board.people[2]
    sitting = int(hall.begin(person, exam, NOW, random.Random(1)).status.sitting_id)
    found = hall.dispatcher.database.read_now(lambda session: [(one.n, one.question, one.shuffle) for one in items(session, sitting)])
    place = next(n for n, question, _ in found if question == board.first)
    hall.hand_in(person, sitting)
    hall.tick(AFTER)
    wanted = WantedCorrection("exam", exam, board.first, Amendment("rekey", (board.wrong,)), WHY)
    board.apply(board.propose(wanted))
    assert hall.attempt(sitting).score == 0

    asked = hall.run(lambda session: extra_time.request_extra_time(session, ADMIN, exam, "1003", "reopen", 20, "断网", AFTER))
    hall.run(lambda session: extra_time.approve(session, SECOND, asked.id, AFTER))
    hall.answer(person, sitting, place, corrections_shown(found, place, board.wrong), AFTER)
    hall.hand_in(person, sitting, AFTER)

    assert hall.attempt(sitting).score == 2000
