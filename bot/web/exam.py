"""The exam on a page: the whole paper at once for whoever opened the link, every answer through the hall, the result as far as it may be told.

An answer is said to the hall as a tap from the person's own chat account (its app is `page`), with an id that the page makes once: a copy that the
network made gets the same reply, and what is recorded is recorded as it is from the chat. Nothing that leaves here before the end holds a key.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlmodel import Session

from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import RESULT_LABELS, Attempt, Exam, when
from bot.domain.exam.paper import shown_as
from bot.domain.links import PageVisitor
from bot.domain.message import Handle, Incoming, Refusal
from bot.services.exam import answers as exam_answers
from bot.services.exam import attempt as exam_attempt
from bot.services.exam import paper_view, question_pool
from bot.services.exam.paper_view import Reviewed, ShownItem, barred, review
from bot.services.library.catalog import Catalog
from bot.storage.db.database import Database
from bot.storage.exam import attempts
from bot.web.sessions import ARRIVED, RequestBody, WebSessions

PURPOSE = "exam"
RECORDED, AGAIN = "已记录", "系统"
"""How the hall's reply begins: recorded once and for all; busy or broken, nothing recorded and to be said again; anything else is a no."""
LONGEST_CHOICE = 2_000
RULES = (
    "点「开始考试」起计时，以服务器的时间为准；中途离开、断网、换手机，时间照走，已保存的答案都在，可以在网页或聊天里接着考。",
    "每题选好后点「确定」才记录；记录后以第一次为准，不能再改。",
    "可以跳着答，交卷前会列出没有答的题；到时间没有交，用已保存的答案自动交卷。",
)

_ID = re.compile(r"page-[0-9a-f]{24}")
State = dict[str, Any]


class ExamPage:
    """The page under `/exam/{ref}`, where `ref` is the exam's number."""

    def __init__(
        self,
        door: WebSessions,
        database: Database,
        catalog: Callable[[], Catalog],
        handle: Handle,
        task: Callable[[int, int], str],
        now: Callable[[], datetime],
    ) -> None:
        """`task` is what a card of an exam says for (sitting, place): the tap of the page is the tap on that card."""
        self._door = door
        self._desk = database
        self._shelf = catalog
        self._handle = handle
        self._task = task
        self._now = now
        self._rng = random.SystemRandom()

    def attach(self, app: web.Application) -> None:
        self._door.enter(app, PURPOSE, lambda visitor: f"/exam/{visitor.ref}")
        for path, shown in (("", self._page), ("/state", self._state), ("/progress", self._progress)):
            app.router.add_get(f"/exam/{{ref}}{path}", self._door.shows(PURPOSE, shown))
        for path, acted in (("/begin", self._begin), ("/answer", self._answer), ("/hand-in", self._hand_in)):
            app.router.add_post(f"/exam/{{ref}}{path}", self._door.acts(PURPOSE, acted))

    # ── Looking ──

    async def _page(self, request: web.Request, visitor: PageVisitor) -> web.Response:
        try:
            exam = await self._desk.read(lambda session: exam_attempt.visible(session, visitor.learner.id, int(visitor.ref), self._now()))
        except Refusal as refusal:
            return self._door.pages.show("door/closed.html", 404, visitor=visitor, head="没有这场考试", sentence=str(refusal), onward="")
        return self._door.pages.show("exam/page.html", visitor=visitor, name=exam.name)

    async def _state(self, request: web.Request, visitor: PageVisitor) -> web.Response:
        return await self._told(visitor)

    async def _progress(self, request: web.Request, visitor: PageVisitor) -> web.Response:
        now = self._now()

        def look(session: Session) -> State:
            tried = attempts.attempts(session, int(visitor.ref), visitor.learner.id)
            if not tried:
                return {"phase": "ready", "sitting": 0}
            last = tried[-1]
            choices = {one.n: shown_as(one.choice, one.shuffle) for one in attempts.items(session, last.sitting_id) if one.choice is not None}
            return {"phase": last.state, "sitting": last.sitting_id, "deadline": last.deadline.isoformat(), "choices": choices}

        return web.json_response({"now": now.isoformat(), **await self._desk.read(look)})

    async def _told(self, visitor: PageVisitor) -> web.Response:
        """Where the exam stands for the visitor now, or a refusal in its own words."""
        now = self._now()
        try:
            state = await self._desk.read(lambda session: state_of(session, self._shelf(), visitor.learner.id, int(visitor.ref), now))
        except Refusal as refusal:
            return web.json_response({"say": str(refusal)}, status=409)
        return web.json_response({"now": self._now().isoformat(), **state})

    # ── Doing ──

    async def _done(self, visitor: PageVisitor, do: Callable[[Session], object]) -> web.Response:
        """Do something, and tell where the exam stands after it. The paper is written out on the read side: others wait for the writer."""
        try:
            await self._desk.write(do, of=visitor.sender)
        except Refusal as refusal:
            return web.json_response({"say": str(refusal)}, status=409)
        return await self._told(visitor)

    async def _begin(self, request: web.Request, visitor: PageVisitor, said: RequestBody) -> web.Response:
        arrived = request[ARRIVED]
        return await self._done(
            visitor, lambda session: exam_attempt.begin(session, self._shelf(), visitor.learner.id, int(visitor.ref), arrived, self._rng)
        )

    async def _answer(self, request: web.Request, visitor: PageVisitor, said: RequestBody) -> web.Response:
        ident, sitting, n, choice = (said.get(name) for name in ("id", "sitting", "n", "choice"))
        if not (isinstance(ident, str) and _ID.fullmatch(ident) and isinstance(choice, str) and 0 < len(choice) <= LONGEST_CHOICE):
            raise web.HTTPBadRequest
        if not (type(sitting) is int and type(n) is int and 0 < sitting < 10**9 and 0 < n < 10**4):
            raise web.HTTPBadRequest
        reply = await self._handle(Incoming(visitor.sender, choice, ident, request[ARRIVED], "tap", self._task(sitting, n)))
        line = reply.text.partition("\n")[0]
        if line.startswith(AGAIN):
            raise web.HTTPServiceUnavailable
        return web.json_response({"now": self._now().isoformat(), "recorded": line.startswith(RECORDED), "say": line})

    async def _hand_in(self, request: web.Request, visitor: PageVisitor, said: RequestBody) -> web.Response:
        sitting, arrived = said.get("sitting"), request[ARRIVED]
        if type(sitting) is not int:
            raise web.HTTPBadRequest

        def hand_in(session: Session) -> None:
            last = attempts.attempts(session, int(visitor.ref), visitor.learner.id)[-1:]
            if last and last[0].sitting_id == sitting and last[0].state == "open":
                word = Incoming(visitor.sender, "交卷", "", arrived)
                exam_answers.hand_in(session, self._shelf(), visitor.learner.id, sitting, word, arrived)

        return await self._done(visitor, hand_in)


# ── What the page is told ──


def state_of(session: Session, catalog: Catalog, person_id: int, exam_id: int, now: datetime) -> State:
    """Where an exam stands for somebody: `ready` with its rules, `open` with the paper, `over` with what may be told. Raises `Refusal`."""
    exam = exam_attempt.visible(session, person_id, exam_id, now)
    tried = attempts.attempts(session, exam_id, person_id)
    common = {"name": exam.name, "sitting": tried[-1].sitting_id if tried else 0}
    if tried and tried[-1].state == "open":
        found = paper_view.status(session, catalog, tried[-1].sitting_id, now)
        items = [_item(one) for one in paper_view.paper_of(session, catalog, found.sitting_id)]
        return {**common, "phase": "open", "place": found.place, "deadline": found.attempt.deadline.isoformat(), "items": items}
    common["hindrance"] = exam_attempt.hindrance(session, catalog, exam, person_id, now)
    if not tried:
        return {**common, "phase": "ready", "facts": _facts(exam), "rules": _rules(catalog, exam)}
    return {**common, "phase": "over", **_result(exam, tried[-1], review(session, catalog, exam, tried[-1], now), barred(session, tried[-1], now))}


def _rules(catalog: Catalog, exam: Exam) -> list[str]:
    half = "多选题少选且没有选错得一半分；" if question_pool.may_hold(catalog, exam.blueprint, "multiple") else ""
    return [*RULES, f"{half}{exam.keys_kept}。"]


def _item(one: ShownItem) -> State:
    return {
        "n": one.n,
        "kind": one.kind,
        "label": one.label,
        "stem": one.stem,
        "options": one.options,
        "several": one.several,
        "points": exact_points_text(one.points),
        "choice": one.choice,
    }


def _facts(exam: Exam) -> list[tuple[str, str]]:
    cap = [] if exam.cap is None else [("补考", f"成绩最多按 {exact_points_text(exam.cap)} 分计")]
    return [
        ("时间", f"{when(exam.opens_at)} 至 {when(exam.closes_at)}"),
        ("题量", f"{exam.blueprint.size} 题，满分 {exact_points_text(exam.total)} 分"),
        ("及格线", f"{exact_points_text(exam.pass_line)} 分"),
        ("限时", f"{exam.minutes} 分钟"),
        ("次数", f"{exam.attempts} 次"),
        ("出分", RESULT_LABELS[exam.results]),
        *cap,
    ]


ENDED = {"self": "您已于 {at} 交卷。", "clock": "{at} 到时自动交卷，用的是已保存的答案。", "staff": "{at} 由监考人员收卷，用的是已保存的答案。"}
VERDICTS = {True: ("合格", "good"), False: ("不合格", "bad"), None: ("有简答题待阅，分数暂定", "warn")}


def _result(exam: Exam, attempt: Attempt, answers: Sequence[Reviewed], why_not: str) -> State:
    at = attempt.closed_at if attempt.closed_by == "self" and attempt.closed_at is not None else attempt.deadline
    ended = ENDED[attempt.closed_by or "clock"].format(at=when(at))
    score = None
    if exam.tells_score and attempt.score is not None:
        verdict, tone = VERDICTS[attempt.passed]
        score = {"got": exact_points_text(attempt.score), "total": exact_points_text(exam.total), "verdict": verdict, "tone": tone}
    told = why_not if exam.tells_keys and why_not else _when_told(exam)
    return {"ended": ended, "score": score, "told": told, "answers": [_answer(one) for one in answers]}


def _when_told(exam: Exam) -> str:
    if exam.frozen_at is not None:
        return "这场考试有题目正在更正，更正完再出分。"
    if exam.tells_keys:
        return "下面是逐题对照。对评分有疑问，可在聊天里发「申诉」。"
    if exam.tells_score:
        return f"考试 {when(exam.closes_at)} 结束，之后可以看逐题对照：发「考试 {exam.id}」重新打开网页。"
    if exam.results == "after_release":
        return f"成绩公布后会通知您，届时发「考试 {exam.id}」查看。"
    return f"考试 {when(exam.closes_at)} 结束后出分，届时发「考试 {exam.id}」查看。"


def _answer(one: Reviewed) -> State:
    mark, question = one.mark, one.question
    if not mark.counts:
        verdict, tone = "本题不计", "warn"
    elif mark.waits:
        verdict, tone = "待人工阅卷", "warn"
    elif one.choice is None and not mark.earned:
        verdict, tone = "没有答", "bad"
    else:
        verdict, tone = ("✓ 答对", "good") if mark.earned == 1000 else ("部分得分", "warn") if mark.earned else ("✗ 答错", "bad")
    return {
        "n": one.n,
        "label": question.label,
        "verdict": f"{verdict} · {exact_points_text(round(mark.points * mark.earned / 1000))}/{exact_points_text(mark.points)} 分",
        "tone": tone,
        "stem": question.stem,
        "mine": "" if one.choice is None else question.show(one.choice),
        "key": question.show_key(),
        "explanation": question.explanation,
        "source": question.cited,
        "note": "" if one.amended is None else f"本题已更正（{one.amended}）：{one.reason}",
    }
