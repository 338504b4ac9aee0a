"""What the big screen and the host's console show: plain values for a page, made from the rows; no key before the question is closed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.contest import contest, leaderboard
from bot.domain.contest.live_state import PHASE_LABELS
from bot.domain.contest.stage_rounds import ROUND_LABELS, delta, read_aloud, risk_order
from bot.domain.library.question import Question
from bot.domain.text.numbers import points_text
from bot.domain.times import SHANGHAI
from bot.services.contest import live_broadcast, live_host, live_results
from bot.services.contest.live_results import LiveStanding
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_answers, live_state, players, teams
from bot.storage.contest.live_state import LiveItem, LiveState

SHOWN = 10
LOGGED = 100
OVER = ("closed", "board", "finished")

Shown = dict[str, Any]


def screen(session: Session, catalog: Catalog, of: LiveState, now: datetime, found: LiveStanding | None, *, named: bool) -> Shown:
    """Everything on the big screen. `named` is true for who has the screen's whole address; others are shown no person's name.

    `found` is how everybody stands, needed in the phases that show it (`shows_board`).
    """
    course = of.course
    item = live_state.item(session, of.id, course.item) if course.item else None
    shown: Shown = {
        "version": of.version,
        "now": _iso(now),
        "name": of.name,
        "phase": course.phase,
        "label": PHASE_LABELS[course.phase],
        "paused": course.paused,
        "n": course.item,
        "total": of.items,
        "code": of.code,
        "players": players.joined(session, of.id),
        "rules": rules_lines(session, of) if course.phase == "lobby" else [],
    }
    if item is not None and course.phase != "lobby":
        shown["item"] = _item(session, catalog, of, item, now)
    if found is not None and shows_board(of):
        shown["board"] = board(of, found, named=named)
    return shown


def aged(shown: Shown, by: timedelta) -> Shown:
    """What was made some time ago, as it is to be sent now: the clock of the question has gone on meanwhile."""
    item = shown.get("item")
    if item is None or item["left"] is None or shown["paused"]:
        return shown
    return {**shown, "item": {**item, "left": max(0.0, item["left"] - by / timedelta(milliseconds=1))}}


def shows_board(of: LiveState) -> bool:
    return of.course.phase in ("board", "finished")


def address(of: LiveState) -> str:
    """Where the big screen stands, with what lets it show names."""
    return f"/screen/{of.id}?k={of.secret}"


def rules_lines(session: Session, of: LiveState) -> list[str]:
    """The rules as they are shown before the first question."""
    if of.scheme is not None:
        return read_aloud(of.scheme)
    rules = live_results.rules_of(of)
    worth = {one.points for one in live_state.programme(session, of.id)}
    first, *others = contest.describe_rules(replace(rules, base=max(worth)), windowed=False)
    if len(worth) > 1:
        first = first.replace(f"每题 {points_text(max(worth))} 分", "各题分值见题面", 1)
    return [f"共 {of.items} 题，每题 {rules.seconds} 秒。", first, *others]


def _item(session: Session, catalog: Catalog, of: LiveState, item: LiveItem, now: datetime) -> Shown:
    question = catalog.question(session, item.version_id)
    is_over = of.course.phase in OVER
    left = item.window.left(now)
    shown: Shown = {
        "n": item.n,
        "round": ROUND_LABELS[item.round] if item.round != "all" else "",
        "kind": question.label,
        "law": question.law,
        "stem": question.stem,
        "options": [{"say": say, "label": label} for say, label in question.choices],
        "worth": points_text(_worth(of, item)),
        "seconds": item.seconds,
        "left": None if left is None or is_over else left / timedelta(milliseconds=1),
        "answered": live_answers.answered(session, of.id, item.n),
        "void": item.void,
    }
    if item.team_id is not None:
        shown["team"] = teams.names(session, of.id).get(item.team_id, "")
    if item.round == "buzzer":
        shown |= _buzzers(session, of, item)
    if is_over and not item.void:
        shown |= _solved(session, of, item, question)
    return shown


def _worth(of: LiveState, item: LiveItem) -> int:
    """What a right answer brings, in thousandths: a person by the programme, a team by the rules of the stage."""
    if of.scheme is None or item.round == "all":
        return item.points
    return delta(of.scheme, item.round, True, item.stake // 1000) * 1000


def _buzzers(session: Session, of: LiveState, item: LiveItem) -> Shown:
    """Who pressed, in the order of arrival, with what lies between."""
    pressed = live_answers.buzzes(session, of.id, item.n)
    valid = [one for one in pressed if not one.fault]
    first = valid[0].arrived if valid else None
    out = live_answers.out(session, of.id, item.n)
    return {
        "reading": of.course.phase == "reading",
        "holder": teams.names(session, of.id).get(item.holder_id, "") if item.holder_id is not None else "",
        "buzzes": [
            {
                "team": one.team,
                "fault": one.fault,
                "out": one.buzz.team in out,
                "behind": 0 if first is None or one.fault else round((one.arrived - first) / timedelta(milliseconds=1), 1),
            }
            for one in pressed
        ],
    }


def _solved(session: Session, of: LiveState, item: LiveItem, question: Question) -> Shown:
    """The key, why, and who chose what; only once the question is closed."""
    chosen: Counter[str] = Counter()
    answered = right = 0
    for choice, count, rights in live_answers.spread(session, of.id, item.n):
        answered += count
        right += rights
        # Of several options each is counted for itself; a judgement is one word.
        for one in [choice] if question.kind in ("judge", "single") else choice:
            chosen[one] += count
    return {
        "key": question.key,
        "shown_key": question.show_key(),
        "why": question.explanation,
        "source": question.source or f"《{question.law}》{question.article}",
        "right": right,
        "answered": answered,
        "spread": [{"say": say, "count": chosen[say], "right": say in question.key} for say, _ in question.choices],
    }


def board(of: LiveState, found: LiveStanding, *, named: bool) -> Shown:
    """The board by the contest's rule: teams always, people as far as the rule names them, and only to who may see names."""
    people = leaderboard.named(found.rules, found.people) if named else []
    return {
        "teams": [{"place": one.place, "name": one.name, "score": points_text(one.score)} for one in found.teams[:SHOWN]],
        "people": [
            {"place": one.place, "name": one.player.name, "score": points_text(one.player.result.points), "right": one.player.result.correct}
            for one in people[:SHOWN]
        ],
        "took_part": len(found.people),
        "ties": contest.TIES if of.scheme is None else "同分加赛，仍同分则并列。",
        "team_rule": "" if not found.teams else contest.team_text(found.rules) if of.scheme is None else live_results.ON_STAGE,
        "rule": contest.BOARDS[found.rules.board],
    }


# ── The console ──


def console(session: Session, catalog: Catalog, of: LiveState, now: datetime, found: LiveStanding) -> Shown:
    """What the host sees beside the screen: what comes next, who holds the seat, the log, what was called out."""
    course = of.course
    item = live_state.item(session, of.id, course.item) if course.item else None
    return {
        **screen(session, catalog, of, now, found, named=True),
        "host": of.host,
        "host_id": of.host_id,
        "decided": of.decided,
        "address": address(of),
        "stage": None if of.scheme is None else {"name": of.scheme.name, "stakes": list(of.scheme.risk.stakes)},
        "programme": _programme(session, catalog, of),
        "up": getattr(live_host.next_up(session, of), "n", None),
        "teams": [{"id": one.team_id, "name": one.name, "score": points_text(one.score)} for one in sorted(found.teams, key=lambda one: one.team_id)],
        "choosing": _choosing(of, found),
        "judging": _judging(session, of, item),
        "log": [_line(one) for one in live_answers.decisions(session, of.id, LOGGED)],
        "call": live_broadcast.progress(session, of),
        "top": board(of, found, named=True),
    }


def _programme(session: Session, catalog: Catalog, of: LiveState) -> list[Shown]:
    asked = {one.n: one for one in live_state.items(session, of.id)}
    found = []
    for one in live_state.programme(session, of.id):
        kind = live_host.kind_of(of, one)
        on = asked.get(one.n)
        found.append(
            {
                "n": one.n,
                "round": ROUND_LABELS[kind] if kind != "all" else one.part,
                "kind": kind,
                "stem": catalog.question(session, one.version_id).stem,
                "key": catalog.question(session, one.version_id).key if on is not None and on.window.closed_at is not None else "",
                "state": "" if on is None else "void" if on.void else "asked",
            }
        )
    return found


def _choosing(of: LiveState, found: LiveStanding) -> list[int]:
    """The teams in the order in which they choose their stakes."""
    return [] if of.scheme is None else risk_order({one.team_id: one.score for one in found.teams}, of.scheme.risk)


def _judging(session: Session, of: LiveState, item: LiveItem | None) -> str:
    """The team whose spoken answer waits for the arbiter; empty when none does."""
    if item is None or of.scheme is None or item.void or of.course.phase not in ("open", "closed"):
        return ""
    team_id = item.holder_id if item.round == "buzzer" else item.team_id
    if team_id is None or live_answers.is_judged(session, of.id, item.n, team_id):
        return ""
    return teams.names(session, of.id).get(team_id, "")


def _line(one: live_answers.LiveDecision) -> Shown:
    return {
        "at": one.at.astimezone(SHANGHAI).strftime("%H:%M:%S"),
        "actor": one.actor,
        "act": one.act,
        "n": one.n,
        "about": one.about,
        "points": f"{'+' if one.points > 0 else ''}{points_text(one.points)}" if one.points else "",
        "why": one.why,
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
