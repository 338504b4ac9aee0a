"""The subject of a correction: an exam or a contest whose papers can be regraded and whose results are then recomputed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.message import Refusal
from bot.services.library.catalog import Catalog


@dataclass(frozen=True, slots=True)
class PaperStanding:
    """How one paper (in a contest: one person) stands: score in thousandths of a point, place among all, pass, credit in seconds, certificate."""

    person_id: int
    score: int
    place: int | None = None
    passed: bool | None = None
    seconds: int = 0
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class CorrectionAct:
    """Why something is worked out again, by whom and when; a rehearsal is rolled back, so that nothing of it may leave the database."""

    reason: str
    author: Author
    now: datetime
    rehearsal: bool = False


class CorrectionSubject(ABC):
    """One exam or contest, by the name of its scope and its id."""

    scope: ClassVar[str]

    ref: int
    name: str

    @abstractmethod
    def lock(self, session: Session) -> None:
        """Let nobody else change it until this transaction ends. Raises `Refusal` while somebody still sits it."""

    @abstractmethod
    def freeze(self, session: Session, now: datetime | None) -> None:
        """Hold results and certificates back from a moment on, or (None) let them go again."""

    @abstractmethod
    def is_told(self, session: Session) -> bool:
        """Whether results may be told by its rule; before that nobody is told that theirs changed."""

    @abstractmethod
    def standings(self, session: Session) -> dict[int, PaperStanding]:
        """By sitting: how everything stands now. In a contest the first sitting of a person stands for the person."""

    def affected(self, standings: Mapping[int, PaperStanding], touched: Mapping[int, int]) -> set[int]:
        """Which of the standings tell of the papers that were regraded, given as sitting -> person."""
        return set(touched) & set(standings)

    @abstractmethod
    def recompute(self, session: Session, catalog: Catalog, sittings: Collection[int], act: CorrectionAct) -> Mapping[int, str]:
        """Work out results, credit and certificates of these sittings from the grades that count now.

        By sitting: what becomes of its certificate, where a rehearsal must not do it. Called with the results let go (`freeze(None)`).
        """


SubjectLoader = Callable[[Session, Author, int], CorrectionSubject]
SUBJECTS: dict[str, SubjectLoader] = {}
"""By scope (bot/domain/grading/correction.py, `SCOPE_LABELS`): how one is found by who may steer it. Raises `Refusal` for what is not theirs."""


def load_subject(session: Session, author: Author, scope: str, ref: int) -> CorrectionSubject:
    if scope not in SUBJECTS:
        raise Refusal(f"「{scope}」的题目还不能更正。")
    return SUBJECTS[scope](session, author, ref)
