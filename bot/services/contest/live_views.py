"""View data for the big screen and the host's console, as plain JSON values; no key is shown before the question is closed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.contest import leaderboard
from bot.domain.contest.contest import BOARD_LABELS, TIE_RULE, describe_rules, team_score_text
from bot.domain.contest.live_rules import PHASE_LABELS, ROUND_LABELS, describe_scheme, judged_points, risk_choice_order
from bot.domain.library.question import Question
from bot.domain.text.numbers import points_text
from bot.domain.times import SHANGHAI
from bot.services.contest import live_host, live_scoring
from bot.services.contest.live_scoring import LiveStanding
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests, live_answers, live_state, players
from bot.storage.contest.live_state import LiveItem, LiveState

MAX_PLACES = 10
MAX_LOG_LINES = 100
CLOSED_PHASES = ("closed", "board", "finished")

ViewData = dict[str, Any]


def screen_view(session: Session, catalog: Catalog, live: LiveState, now: datetime, standing: LiveStanding | None, *, named: bool) -> ViewData:
    """All data of the big screen. `named` is true for a viewer with the screen's secret; others see no person's name.

    `standing` is the current standing, needed in the phases that show it (`shows_board`).
    """
    course = live.course
    item = live_state.get_item(session, live.id, course.item) if course.item else None
    shown: ViewData = {
        "version": live.version,
        "now": _iso(now),
        "name": live.name,
        "phase": course.phase,
        "label": PHASE_LABELS[course.phase],
        "paused": course.paused,
        "n": course.item,
        "total": live.items,
        "code": live.code,
        "players": players.count_joined(session, live.id),
        "rules": rules_lines(session, live) if course.phase == "lobby" else [],
    }
    if item is not None and course.phase != "lobby":
        shown["item"] = _item_view(session, catalog, live, item, now)
    if standing is not None and shows_board(live):
        shown["board"] = board_view(live, standing, named=named)
    return shown


def advance_clock(shown: ViewData, elapsed: timedelta) -> ViewData:
    """A frame that was built `elapsed` ago, with the question's clock moved on."""
    item = shown.get("item")
    if item is None or item["left"] is None or shown["paused"]:
        return shown
    return {**shown, "item": {**item, "left": max(0.0, item["left"] - elapsed / timedelta(milliseconds=1))}}


def shows_board(live: LiveState) -> bool:
    return live.course.phase in ("board", "finished")


def screen_path(live: LiveState) -> str:
    """The path of the big screen, with the secret that lets it show names."""
    return f"/screen/{live.id}?k={live.secret}"


def rules_lines(session: Session, live: LiveState) -> list[str]:
    """The rules as they are shown before the first question."""
    if live.scheme is not None:
        return describe_scheme(live.scheme)
    rules = live.rules
    worth = {item.points for item in contests.list_items(session, live.id)}
    first, *others = describe_rules(replace(rules, base=max(worth)), windowed=False)
    if len(worth) > 1:
        first = first.replace(f"每题 {points_text(max(worth))} 分", "各题分值见题面", 1)
    return [f"共 {live.items} 题，每题 {rules.seconds} 秒。", first, *others]


def _item_view(session: Session, catalog: Catalog, live: LiveState, item: LiveItem, now: datetime) -> ViewData:
    question = catalog.question(session, item.version_id)
    is_over = live.course.phase in CLOSED_PHASES
    left = item.window.left(now)
    shown: ViewData = {
        "n": item.n,
        "round": ROUND_LABELS[item.round] if item.round != "all" else "",
        "kind": question.label,
        "law": question.law,
        "stem": question.stem,
        "options": [{"say": say, "label": label} for say, label in question.choices],
        "worth": points_text(_right_points(live, item)),
        "seconds": item.seconds,
        "left": None if left is None or is_over else left / timedelta(milliseconds=1),
        "answered": live_answers.count_answered(session, live.id, item.n),
        "void": item.void,
    }
    if item.team_id is not None:
        shown["team"] = players.team_names(session, live.id).get(item.team_id, "")
    if item.round == "buzzer":
        shown |= _buzzers_view(session, live, item)
    if is_over and not item.void:
        shown |= _solution_view(session, live, item, question)
    return shown


def _right_points(live: LiveState, item: LiveItem) -> int:
    """What a right answer brings, in thousandths: a person by the programme, a team by the rules of the stage."""
    if live.scheme is None or item.round == "all":
        return item.points
    return judged_points(live.scheme, item.round, True, item.stake // 1000) * 1000


def _buzzers_view(session: Session, live: LiveState, item: LiveItem) -> ViewData:
    """Who pressed, in the order of arrival, with what lies between."""
    presses = live_answers.buzzes(session, live.id, item.n)
    valid_presses = [press for press in presses if not press.is_false_start]
    first_arrival = valid_presses[0].arrived if valid_presses else None
    teams_out = live_answers.excluded_teams(session, live.id, item.n)
    return {
        "reading": live.course.phase == "reading",
        "holder": players.team_names(session, live.id).get(item.holder_id, "") if item.holder_id is not None else "",
        "buzzes": [
            {
                "team": press.team,
                "fault": press.is_false_start,
                "out": press.buzz.team in teams_out,
                "behind": 0
                if first_arrival is None or press.is_false_start
                else round((press.arrived - first_arrival) / timedelta(milliseconds=1), 1),
            }
            for press in presses
        ],
    }


def _solution_view(session: Session, live: LiveState, item: LiveItem, question: Question) -> ViewData:
    """The key, why, and who chose what; only once the question is closed."""
    chosen: Counter[str] = Counter()
    answered = right = 0
    for choice, count, right_count in live_answers.choice_counts(session, live.id, item.n):
        answered += count
        right += right_count
        # Of several options each is counted for itself; a judgement is one word.
        for option in [choice] if question.kind in ("judge", "single") else choice:
            chosen[option] += count
    return {
        "key": question.key,
        "shown_key": question.show_key(),
        "why": question.explanation,
        "source": question.source or f"《{question.law}》{question.article}",
        "right": right,
        "answered": answered,
        "spread": [{"say": say, "count": chosen[say], "right": say in question.key} for say, _ in question.choices],
    }


def board_view(live: LiveState, standing: LiveStanding, *, named: bool) -> ViewData:
    """The board by the contest's rule: teams always, people as far as the rule names them, and only to who may see names."""
    people = leaderboard.publishable_entries(standing.rules, standing.people) if named else []
    return {
        "teams": [{"place": team.place, "name": team.name, "score": points_text(team.score)} for team in standing.teams[:MAX_PLACES]],
        "people": [
            {"place": entry.place, "name": entry.player.name, "score": points_text(entry.player.result.points), "right": entry.player.result.correct}
            for entry in people[:MAX_PLACES]
        ],
        "took_part": len(standing.people),
        "ties": TIE_RULE if live.scheme is None else "同分加赛，仍同分则并列。",
        "team_rule": "" if not standing.teams else team_score_text(standing.rules) if live.scheme is None else live_scoring.STAGE_SCORE_TEXT,
        "rule": BOARD_LABELS[standing.rules.board],
    }


# ── The console ──


def console_view(session: Session, catalog: Catalog, live: LiveState, now: datetime, standing: LiveStanding) -> ViewData:
    """All data of the host's console: the screen, what comes next, the current host, the log, the last broadcast."""
    course = live.course
    item = live_state.get_item(session, live.id, course.item) if course.item else None
    return {
        **screen_view(session, catalog, live, now, standing, named=True),
        "host": live.host,
        "host_id": live.host_id,
        "decided": live.decided,
        "address": screen_path(live),
        "stage": None if live.scheme is None else {"name": live.scheme.name, "stakes": list(live.scheme.risk.stakes)},
        "programme": _programme_view(session, catalog, live),
        "up": getattr(live_host.next_planned(session, live), "n", None),
        "teams": [
            {"id": team.team_id, "name": team.name, "score": points_text(team.score)}
            for team in sorted(standing.teams, key=lambda team: team.team_id)
        ],
        "choosing": _choosing_order(live, standing),
        "judging": _team_to_judge(session, live, item),
        "log": [_decision_view(decision) for decision in live_answers.decisions(session, live.id, MAX_LOG_LINES)],
        "call": _call_view(live_state.last_call(session, live.id)),
        "top": board_view(live, standing, named=True),
    }


def _programme_view(session: Session, catalog: Catalog, live: LiveState) -> list[ViewData]:
    asked = {item.n: item for item in live_state.list_items(session, live.id)}
    entries = []
    for planned in contests.list_items(session, live.id):
        kind = live_host.round_of_item(live, planned)
        started = asked.get(planned.n)
        entries.append(
            {
                "n": planned.n,
                "round": ROUND_LABELS[kind] if kind != "all" else planned.part,
                "kind": kind,
                "stem": catalog.question(session, planned.version_id).stem,
                "key": catalog.question(session, planned.version_id).key if started is not None and started.window.closed_at is not None else "",
                "state": "" if started is None else "void" if started.void else "asked",
            }
        )
    return entries


def _choosing_order(live: LiveState, standing: LiveStanding) -> list[int]:
    """The teams in the order in which they choose their stakes."""
    return [] if live.scheme is None else risk_choice_order({team.team_id: team.score for team in standing.teams}, live.scheme.risk)


def _team_to_judge(session: Session, live: LiveState, item: LiveItem | None) -> str:
    """The team whose spoken answer waits for the arbiter; empty when none does."""
    if item is None or live.scheme is None or item.void or live.course.phase not in ("open", "closed"):
        return ""
    team_id = item.holder_id if item.round == "buzzer" else item.team_id
    if team_id is None or live_answers.is_judged(session, live.id, item.n, team_id):
        return ""
    return players.team_names(session, live.id).get(team_id, "")


def _decision_view(decision: live_answers.LiveDecision) -> ViewData:
    return {
        "at": decision.at.astimezone(SHANGHAI).strftime("%H:%M:%S"),
        "actor": decision.actor,
        "act": decision.act,
        "n": decision.n,
        "about": decision.target_name,
        "points": f"{'+' if decision.points > 0 else ''}{points_text(decision.points)}" if decision.points else "",
        "why": decision.why,
    }


def _call_view(call: live_state.LastCall | None) -> ViewData | None:
    if call is None:
        return None
    took = None if call.ended_at is None else round((call.ended_at - call.began_at) / timedelta(milliseconds=1))
    return {"n": call.n, "what": call.what, "took": took, "people": call.people, "sent": call.sent, "failed": call.failed}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
