"""The exam's web page: the paper for whoever opened the link, answers through the dispatcher, and the result as far as it may be told.

An answer is handed to the dispatcher as a tap from the person's own chat account (its app is `page`), with an id that the page makes once: a copy
made by the network gets the same reply, and answers are recorded as they are from the chat. Nothing sent before the end holds a key.
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
from bot.domain.exam.exam import RESULT_LABELS, Attempt, Exam, date_time_text
from bot.domain.exam.paper import to_shown_letters
from bot.domain.links import PageVisitor
from bot.domain.message import Incoming, IncomingHandler, Refusal
from bot.services.exam import answers as exam_answers
from bot.services.exam import attempt as exam_attempt
from bot.services.exam import paper_view, question_pool
from bot.services.exam.paper_view import ReviewedItem, ShownItem, review_paper, why_not_reviewable
from bot.services.library.catalog import Catalog
from bot.storage.db.database import Database
from bot.storage.exam import attempts
from bot.web.sessions import ARRIVED, RequestBody, WebSessions

PURPOSE = "exam"
RECORDED, TRY_AGAIN = "已记录", "系统"
"""How the dispatcher's reply begins: recorded; busy or broken, to be sent again. Any other reply is a refusal."""
MAX_CHOICE_LENGTH = 2_000
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
        sessions: WebSessions,
        database: Database,
        catalog: Callable[[], Catalog],
        handle: IncomingHandler,
        task: Callable[[int, int], str],
        now: Callable[[], datetime],
    ) -> None:
        """`task` is what a card of an exam says for (sitting, place): the tap of the page is the tap on that card."""
        self._sessions = sessions
        self._database = database
        self._catalog = catalog
        self._handle = handle
        self._task = task
        self._now = now
        self._rng = random.SystemRandom()

    def attach(self, app: web.Application) -> None:
        self._sessions.enter(app, PURPOSE, lambda visitor: f"/exam/{visitor.ref}")
        for path, shown in (("", self._page), ("/state", self._state), ("/progress", self._progress)):
            app.router.add_get(f"/exam/{{ref}}{path}", self._sessions.shows(PURPOSE, shown))
        for path, acted in (("/begin", self._begin), ("/answer", self._answer), ("/hand-in", self._hand_in)):
            app.router.add_post(f"/exam/{{ref}}{path}", self._sessions.acts(PURPOSE, acted))

    # ── Looking ──

    async def _page(self, request: web.Request, visitor: PageVisitor) -> web.Response:
        try:
            exam = await self._database.read(lambda session: exam_attempt.visible_exam(session, visitor.learner.id, int(visitor.ref), self._now()))
        except Refusal as refusal:
            return self._sessions.pages.show("door/closed.html", 404, visitor=visitor, head="没有这场考试", sentence=str(refusal), onward="")
        return self._sessions.pages.show("exam/page.html", visitor=visitor, name=exam.name)

    async def _state(self, request: web.Request, visitor: PageVisitor) -> web.Response:
        return await self._state_response(visitor)

    async def _progress(self, request: web.Request, visitor: PageVisitor) -> web.Response:
        now = self._now()

        def look(session: Session) -> State:
            person_attempts = attempts.of_person_at_exam(session, int(visitor.ref), visitor.learner.id)
            if not person_attempts:
                return {"phase": "ready", "sitting": 0}
            last = person_attempts[-1]
            choices = {
                item.n: to_shown_letters(item.choice, item.shuffle) for item in attempts.items(session, last.sitting_id) if item.choice is not None
            }
            return {"phase": last.state, "sitting": last.sitting_id, "deadline": last.deadline.isoformat(), "choices": choices}

        return web.json_response({"now": now.isoformat(), **await self._database.read(look)})

    async def _state_response(self, visitor: PageVisitor) -> web.Response:
        """Where the exam stands for the visitor now, or a refusal in its own words."""
        now = self._now()
        try:
            state = await self._database.read(lambda session: state_of(session, self._catalog(), visitor.learner.id, int(visitor.ref), now))
        except Refusal as refusal:
            return web.json_response({"say": str(refusal)}, status=409)
        return web.json_response({"now": self._now().isoformat(), **state})

    # ── Doing ──

    async def _act(self, visitor: PageVisitor, do: Callable[[Session], object]) -> web.Response:
        """Do something, and tell where the exam stands after it. The paper is written out on the read side: others wait for the writer."""
        try:
            await self._database.write(do, of=visitor.sender)
        except Refusal as refusal:
            return web.json_response({"say": str(refusal)}, status=409)
        return await self._state_response(visitor)

    async def _begin(self, request: web.Request, visitor: PageVisitor, body: RequestBody) -> web.Response:
        arrived = request[ARRIVED]
        return await self._act(
            visitor, lambda session: exam_attempt.begin(session, self._catalog(), visitor.learner.id, int(visitor.ref), arrived, self._rng)
        )

    async def _answer(self, request: web.Request, visitor: PageVisitor, body: RequestBody) -> web.Response:
        ident, sitting, n, choice = (body.get(name) for name in ("id", "sitting", "n", "choice"))
        if not (isinstance(ident, str) and _ID.fullmatch(ident) and isinstance(choice, str) and 0 < len(choice) <= MAX_CHOICE_LENGTH):
            raise web.HTTPBadRequest
        if not (type(sitting) is int and type(n) is int and 0 < sitting < 10**9 and 0 < n < 10**4):
            raise web.HTTPBadRequest
        reply = await self._handle(Incoming(visitor.sender, choice, ident, request[ARRIVED], "tap", self._task(sitting, n)))
        line = reply.text.partition("\n")[0]
        if line.startswith(TRY_AGAIN):
            raise web.HTTPServiceUnavailable
        return web.json_response({"now": self._now().isoformat(), "recorded": line.startswith(RECORDED), "say": line})

    async def _hand_in(self, request: web.Request, visitor: PageVisitor, body: RequestBody) -> web.Response:
        sitting, arrived = body.get("sitting"), request[ARRIVED]
        if type(sitting) is not int:
            raise web.HTTPBadRequest

        def hand_in(session: Session) -> None:
            last = attempts.of_person_at_exam(session, int(visitor.ref), visitor.learner.id)[-1:]
            if last and last[0].sitting_id == sitting and last[0].state == "open":
                word = Incoming(visitor.sender, "交卷", "", arrived)
                exam_answers.hand_in(session, self._catalog(), visitor.learner.id, sitting, word, arrived)

        return await self._act(visitor, hand_in)


# ── What the page is told ──


def state_of(session: Session, catalog: Catalog, person_id: int, exam_id: int, now: datetime) -> State:
    """Where an exam stands for somebody: `ready` with its rules, `open` with the paper, `over` with what may be told. Raises `Refusal`."""
    exam = exam_attempt.visible_exam(session, person_id, exam_id, now)
    person_attempts = attempts.of_person_at_exam(session, exam_id, person_id)
    common = {"name": exam.name, "sitting": person_attempts[-1].sitting_id if person_attempts else 0}
    if person_attempts and person_attempts[-1].state == "open":
        status = paper_view.attempt_status(session, catalog, person_attempts[-1].sitting_id, now)
        items = [_item(item) for item in paper_view.shown_paper(session, catalog, status.sitting_id)]
        return {**common, "phase": "open", "place": status.place, "deadline": status.attempt.deadline.isoformat(), "items": items}
    common["hindrance"] = exam_attempt.entry_obstacle(session, catalog, exam, person_id, now)
    if not person_attempts:
        return {**common, "phase": "ready", "facts": _facts(exam), "rules": _rules(catalog, exam)}
    return {
        **common,
        "phase": "over",
        **_result(
            exam,
            person_attempts[-1],
            review_paper(session, catalog, exam, person_attempts[-1], now),
            why_not_reviewable(session, person_attempts[-1], now),
        ),
    }


def _rules(catalog: Catalog, exam: Exam) -> list[str]:
    half = "多选题少选且没有选错得一半分；" if question_pool.may_contain_kind(catalog, exam.blueprint, "multiple") else ""
    return [*RULES, f"{half}{exam.keys_withheld_until}。"]


def _item(item: ShownItem) -> State:
    return {
        "n": item.n,
        "kind": item.kind,
        "label": item.label,
        "stem": item.stem,
        "options": item.options,
        "several": item.several,
        "points": exact_points_text(item.points),
        "choice": item.choice,
    }


def _facts(exam: Exam) -> list[tuple[str, str]]:
    cap = [] if exam.cap is None else [("补考", f"成绩最多按 {exact_points_text(exam.cap)} 分计")]
    return [
        ("时间", f"{date_time_text(exam.opens_at)} 至 {date_time_text(exam.closes_at)}"),
        ("题量", f"{exam.blueprint.size} 题，满分 {exact_points_text(exam.total)} 分"),
        ("及格线", f"{exact_points_text(exam.pass_line)} 分"),
        ("限时", f"{exam.minutes} 分钟"),
        ("次数", f"{exam.attempts} 次"),
        ("出分", RESULT_LABELS[exam.results]),
        *cap,
    ]


ENDED = {"self": "您已于 {at} 交卷。", "clock": "{at} 到时自动交卷，用的是已保存的答案。", "staff": "{at} 由监考人员收卷，用的是已保存的答案。"}
VERDICTS = {True: ("合格", "good"), False: ("不合格", "bad"), None: ("有简答题待阅，分数暂定", "warn")}


def _result(exam: Exam, attempt: Attempt, answers: Sequence[ReviewedItem], review_obstacle: str) -> State:
    ended_at = attempt.closed_at if attempt.closed_by == "self" and attempt.closed_at is not None else attempt.deadline
    ended = ENDED[attempt.closed_by or "clock"].format(at=date_time_text(ended_at))
    score = None
    if exam.tells_score and attempt.score is not None:
        verdict, tone = VERDICTS[attempt.passed]
        score = {"got": exact_points_text(attempt.score), "total": exact_points_text(exam.total), "verdict": verdict, "tone": tone}
    notice = review_obstacle if exam.tells_keys and review_obstacle else _results_notice(exam)
    return {"ended": ended, "score": score, "told": notice, "answers": [_answer(item) for item in answers]}


def _results_notice(exam: Exam) -> str:
    if exam.frozen_at is not None:
        return "这场考试有题目正在更正，更正完再出分。"
    if exam.tells_keys:
        return "下面是逐题对照。对评分有疑问，可在聊天里发「申诉」。"
    if exam.tells_score:
        return f"考试 {date_time_text(exam.closes_at)} 结束，之后可以看逐题对照：发「考试 {exam.id}」重新打开网页。"
    if exam.results == "after_release":
        return f"成绩公布后会通知您，届时发「考试 {exam.id}」查看。"
    return f"考试 {date_time_text(exam.closes_at)} 结束后出分，届时发「考试 {exam.id}」查看。"


def _answer(item: ReviewedItem) -> State:
    mark, question = item.mark, item.question
    if not mark.counts:
        verdict, tone = "本题不计", "warn"
    elif mark.waits:
        verdict, tone = "待人工阅卷", "warn"
    elif item.choice is None and not mark.earned:
        verdict, tone = "没有答", "bad"
    else:
        verdict, tone = ("✓ 答对", "good") if mark.earned == 1000 else ("部分得分", "warn") if mark.earned else ("✗ 答错", "bad")
    return {
        "n": item.n,
        "label": question.label,
        "verdict": f"{verdict} · {exact_points_text(round(mark.points * mark.earned / 1000))}/{exact_points_text(mark.points)} 分",
        "tone": tone,
        "stem": question.stem,
        "mine": "" if item.choice is None else question.show(item.choice),
        "key": question.show_key(),
        "explanation": question.explanation,
        "source": question.citation,
        "note": "" if item.amended is None else f"本题已更正（{item.amended}）：{item.reason}",
    }
