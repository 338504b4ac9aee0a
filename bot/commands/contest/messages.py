"""Contests in sentences, for the chat and for the shell: what is on, how one stands, the board as far as the rules let it be said."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.contest import contest, leaderboard
from bot.domain.contest.contest import FORM_LABELS, STATE_LABELS, Contest, span_text
from bot.domain.contest.scoring import ContestResult
from bot.domain.text.numbers import points_text
from bot.domain.times import duration_text
from bot.services.contest.leaderboard import Board, league_of
from bot.services.contest.play import ContestStanding

SHOWN = 20


def line(one: Contest) -> str:
    """One line for lists."""
    span = span_text(one.plan)
    return f"· {one.id} {one.name}（{FORM_LABELS[one.plan.form]}{f'，{span}' if span else ''}）{STATE_LABELS[one.state]}"


def plan(one: Contest) -> list[str]:
    """What somebody reads before they begin."""
    head = f"🏁 {one.name}（编号 {one.id}，{STATE_LABELS[one.state]}）"
    span = span_text(one.plan)
    of = "、".join(one.plan.names) or "全部题库"
    lines = [head, f"时间：{span}" if span else "由主持人现场开始", f"范围：{of}"]
    return [*lines, *contest.describe_rules(one.rules, windowed=one.plan.form == "windowed"), f"（竞赛规则第 {one.version} 版）"]


def result(one: ContestResult) -> str:
    return f"{points_text(one.points)} 分，答对 {one.correct} 题，用时 {duration_text(one.millis // 1000)}"


def standing(one: ContestStanding) -> list[str]:
    """How somebody stands, without any place."""
    if one.mine is None:
        return ["您还没有参加。"] if one.contest.state == "open" else ["您没有参加。"]
    done = sum(each.is_over for each in one.sets)
    lines = [f"我的成绩：{result(one.mine.result)}" if one.mine.result.finished is not None else "已参加，还没有成绩"]
    if one.contest.plan.form == "windowed":
        lines[0] += f"；已做 {done} 套" + (f"，今天还可做 {one.left_today} 套" if one.contest.state == "open" else "")
    if one.team:
        lines.append(f"我的队：{one.team}")
    return [f"{each}。" for each in lines]


# ── The board ──


def board(made: Board, person_id: int) -> list[str]:
    """The board as one person may see it. Nobody below the middle is named; who is there hears their own result and no place."""
    rule = made.contest.rules.board
    when = "最终" if made.is_frozen else "目前"
    if rule == "off":
        return [f"「{made.contest.name}」不设排行，只看自己的成绩。"]
    mine = league_of(made, person_id)
    grouped = "（水平相近的一组）" if made.contest.rules.league else ""
    lines = [f"🏆 {made.contest.name} {when}排行{grouped}，{len(mine)} 人有成绩。{contest.TIES}"]
    named = leaderboard.named(made.contest.rules, mine)
    lines += [f"{one.place}. {one.player.name} {points_text(one.player.result.points)} 分" for one in named[:SHOWN]]
    if rule == "bands":
        lines[0] = f"🏆 {made.contest.name} {when}档次{grouped}，{len(mine)} 人有成绩。只公布档次，不公布名次。"
    own = next((one for one in mine if one.player.id == person_id), None)
    if own is not None:
        lines.append(_own(rule, own.place, len(mine), own.player.result, is_named=any(one.player.id == person_id for one in named)))
    return lines + teams(made)


def _own(rule: str, place: int, size: int, mine: ContestResult, *, is_named: bool) -> str:
    if rule == "bands":
        return f"您在{leaderboard.band(place, size)}：{result(mine)}。"
    if is_named:
        return f"您第 {place} 名：{result(mine)}。"
    return f"您的成绩：{result(mine)}。只公布中位以上的名次，其余不排名。"


def teams(made: Board) -> list[str]:
    """The board of teams, by the same rule; its heading names how a team is scored. A team of which nobody took part is not put at the bottom."""
    rule = made.contest.rules.board
    there = [one for one in made.teams if one.present]
    if not there or rule == "off":
        return []
    lines = [f"{leaderboard.team_heading(made.contest.rules)}："]
    short = _short([one.name for one in made.teams])
    if rule == "bands":
        by_band: dict[str, list[str]] = {}
        for one in there:
            by_band.setdefault(leaderboard.band(one.place, len(there)), []).append(short[one.name])
        return lines + [f"{band}：{'、'.join(sorted(names))}" for band, names in by_band.items() if band != leaderboard.BANDS[-1][1]]
    return lines + [_team(one, short[one.name]) for one in leaderboard.named(made.contest.rules, there)[:SHOWN]]


def _short(names: Sequence[str]) -> dict[str, str]:
    """Units without what all of them begin with: 办公室 for 某局/办公室, where every team is one of 某局."""
    firsts = {name.partition("/")[0] for name in names}
    if len(firsts) > 1 or not all("/" in name for name in names):
        return {name: name for name in names}
    return {name: name.partition("/")[2] for name in names}


def _team(one: leaderboard.TeamPlace, name: str) -> str:
    return f"{one.place}. {name} {points_text(one.score)} 分（{one.present}/{one.members} 人参加）"


def whole(made: Board) -> list[str]:
    """The board for those in charge of the contest: everybody, with places."""
    lines = [
        f"{made.contest.name}（编号 {made.contest.id}，{STATE_LABELS[made.contest.state]}）：{made.joined} 人参加，{len(made.places)} 人有成绩。"
    ]
    lines += [contest.TIES, *(f"{one.place}. {one.player.name} {result(one.player.result)}" for one in made.places)]
    if made.teams:
        lines += [f"{leaderboard.team_heading(made.contest.rules)}：", *(_team(one, one.name) for one in made.teams)]
    return lines


def listed(found: Sequence[Contest]) -> list[str]:
    return [line(one) for one in found] or ["还没有竞赛。"]
