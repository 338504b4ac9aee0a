"""A wrong key of a contest put right after its close: the frozen board is counted again, once; hours for taking part stay.

See bot/docs/reliability.md L8.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.grading.correction import Amendment
from bot.domain.message import Refusal
from bot.services.grading import corrections
from bot.services.grading.correction_impact import CorrectionImpact
from bot.services.grading.corrections import WantedCorrection
from tests.conftest import NOW, Clock
from tests.services.test_contest import (
    ADMIN,
    Field,
    field,  # noqa: F401
)
from tests.support.live_contests import opened

SECOND = Author("9002", "local")


class Played:
    """A closed contest of one set each: both got four of five right, 甲 was done before 乙."""

    def __init__(self, field: Field) -> None:  # noqa: F811
        self.field = field
        self.people = [field.person("1001"), field.person("1002")]
        self.contest = field.open()
        for me, right in zip(self.people, (4, 4), strict=True):
            field.play(me, self.contest, right)
        field.now = NOW + timedelta(days=7, seconds=6)
        field.close(self.contest)

    def missed(self) -> tuple[str, str]:
        """(question, choice) of what 乙 got wrong first and 甲 did not have wrong."""
        wrong = self.look("SELECT question, choice FROM answer WHERE correct = 0 AND person_id = :p ORDER BY id", p=self.people[1].id)
        others = {row[0] for row in self.look("SELECT question FROM answer WHERE person_id = :p", p=self.people[0].id)}
        return next((question, choice) for question, choice in wrong if question not in others)

    def correct(self, question: str, amended: Amendment) -> CorrectionImpact:
        wanted = WantedCorrection("contest", self.contest, question, amended, "答案印错")

        def work(session: Any) -> CorrectionImpact:
            made = corrections.propose(session, self.field.catalog, ADMIN, wanted, self.field.now)
            return corrections.apply(session, self.field.catalog, SECOND, made.id, self.field.now)

        made: CorrectionImpact = self.field.do(work)
        return made

    def look(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.field.do(lambda session: [tuple(row) for row in session.execute(text(query), values)])
        return found

    def everything(self) -> list[list[tuple[Any, ...]]]:
        return [
            self.look(f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("participation", "contest_set", "remark", "ripple", "ledger", "audit")
        ]


@pytest.fixture
def played(field: Field) -> Played:  # noqa: F811
    return Played(field)


def test_the_board_is_counted_again_once_however_often_it_is_applied(played: Played) -> None:
    question, choice = played.missed()
    places = "SELECT person_id, place FROM participation ORDER BY place, person_id"
    first, second = played.people
    assert played.look(places) == [(first.id, 1), (second.id, 2)]
    answers, hours = played.look("SELECT * FROM answer ORDER BY id"), played.look("SELECT * FROM ledger ORDER BY id")

    impact = played.correct(question, Amendment("rekey", (choice,)))

    found = [(one.person_id, one.score_after > one.score_before, one.place_before, one.place_after) for one in impact.effects]
    assert found == [(second.id, True, 2, 1)]
    assert impact.moved == 1
    points = dict(played.look("SELECT person_id, points FROM participation"))
    assert impact.effects[0].score_after == points[second.id]
    assert played.look(places) == [(second.id, 1), (first.id, 2)]
    board = json.loads(played.look("SELECT board FROM contest")[0][0])
    assert board["took_part"] == 2
    once = played.everything()
    for _ in range(2):
        assert not played.correct(question, Amendment("rekey", (choice,))).is_new
    assert played.everything() == once
    assert played.look("SELECT * FROM answer ORDER BY id") == answers
    assert played.look("SELECT * FROM ledger ORDER BY id") == hours
    assert impact.summary.startswith("重判 1 份答卷，成绩有变化 1 人（升 1 份、降 0 份），名次变动 2 人")
    assert len(played.look("SELECT 1 FROM delivery d JOIN campaign c ON c.id = d.campaign_id WHERE c.name LIKE '成绩更正%'")) == 1


def test_a_rehearsal_leaves_the_frozen_board_alone(played: Played) -> None:
    question, _ = played.missed()
    before = [*played.everything(), played.look("SELECT * FROM contest"), played.look("SELECT * FROM correction")]
    wanted = WantedCorrection("contest", played.contest, question, Amendment("full"), "答案印错")

    impact = played.field.do(lambda session: corrections.rehearse(session, played.field.catalog, ADMIN, wanted, played.field.now))

    assert impact.figures["people"] == 1
    assert [*played.everything(), played.look("SELECT * FROM contest"), played.look("SELECT * FROM correction")] == before


def test_a_contest_that_runs_is_put_right_after_its_close(field: Field) -> None:  # noqa: F811
    me, number = field.person("1001"), field.open()
    field.play(me, number, 2)
    wanted = WantedCorrection("contest", number, "x", Amendment("void"), "题干有歧义")

    with pytest.raises(Refusal, match="还没有结束"):
        field.do(lambda session: corrections.rehearse(session, field.catalog, ADMIN, wanted, field.now))


async def test_a_key_of_a_live_contest_is_put_right_after_its_end(dispatcher: Dispatcher, clock: Clock) -> None:
    """Three in the room: the first has both questions right, the others chose another answer to the first, which turns out to be the right one."""
    room = opened(dispatcher, clock, questions=2)
    for player in room.players:
        await player.say(f"竞赛 {room.code}")
    best, *others = room.players
    wrong = room.wrong(1)
    for n in (1, 2):
        await room.host.say("主持 下一题")
        await best.say(room.question(n).key)
        for player in others:
            await player.say(wrong if n == 1 else room.question(2).key)
        await room.host.say("主持 收题")
    await room.host.say("主持 结束 确认")
    points = "SELECT points, place FROM participation ORDER BY person_id"

    def look(session: Session) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in session.execute(text(points))]

    assert dispatcher.database.read_now(look) == [(2000, 1), (1000, 2), (1000, 3)]

    def correct(session: Session) -> CorrectionImpact:
        wanted = WantedCorrection("contest", room.id, room.question(1).id, Amendment("rekey", (wrong,)), "答案印错")
        made = corrections.propose(session, dispatcher.catalog(), ADMIN, wanted, clock.now)
        return corrections.apply(session, dispatcher.catalog(), SECOND, made.id, clock.now)

    impact = dispatcher.database.write_now(correct)

    assert dispatcher.database.read_now(look) == [(1000, 3), (2000, 1), (2000, 2)]
    assert impact.figures["people"] == 3
    assert (impact.figures["up"], impact.figures["down"]) == (2, 1)
