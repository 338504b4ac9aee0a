"""A contest as the subject of a correction: its board is counted again from the marks that count; hours are for taking part and stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign import Author
from bot.domain.message import Refusal
from bot.services import contest
from bot.services.correction.base import SUBJECTS, Deed, Standing, Subject
from bot.services.live import results
from bot.services.shelf import Shelf
from bot.storage import contest as rows
from bot.storage import correction
from bot.storage.live import stage


class OfContest(Subject):
    scope = "contest"
    papers = """SELECT c.sitting_id FROM contest_set c WHERE c.contest_id = :ref
                UNION SELECT s.id FROM sitting s WHERE s.kind = 'live' AND s.scope = CAST(:ref AS TEXT)"""

    def __init__(self, session: Session, author: Author, ref: int) -> None:
        found = contest.own(session, author, ref)
        self.ref, self.name = ref, found.name

    def hold(self, session: Session) -> None:
        found = rows.held(session, self.ref)
        if found is None or found.state != "closed":
            raise Refusal(f"竞赛「{self.name}」还没有结束，结束后再更正；现场竞赛进行中请由主持人作废这道题。")

    def freeze(self, session: Session, now: datetime | None) -> None:
        """A closed contest's board is frozen already; it is counted again while its row is held."""

    def is_told(self, session: Session) -> bool:
        return True

    def standings(self, session: Session) -> dict[int, Standing]:
        return {sitting: Standing(person, points, place) for person, sitting, points, place in correction.contest_standings(session, self.ref)}

    def keys(self, standings: Mapping[int, Standing], touched: Mapping[int, int]) -> set[int]:
        return {sitting for sitting, one in standings.items() if one.person_id in touched.values()}

    def redo(self, session: Session, shelf: Shelf, sittings: Collection[int], deed: Deed) -> Mapping[int, str]:
        if (of := stage.held(session, self.ref)) is not None:
            results.keep(session, of)
        contest.recount(session, self.ref, deed.now)
        return {}


SUBJECTS["contest"] = OfContest
