"""Texts about contests for chat and command line: lists, rules, a person's standing, and boards as far as the rule publishes them."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.contest import leaderboard
from bot.domain.contest.contest import FORM_LABELS, STATE_LABELS, TIE_RULE, Contest, describe_rules, span_text
from bot.domain.contest.leaderboard import ContestResult
from bot.domain.text.numbers import points_text
from bot.domain.times import duration_text
from bot.services.contest.closing import Board, league_places
from bot.services.contest.play import ContestStanding

MAX_PLACES = 20


def contest_line(contest: Contest) -> str:
    """One line for lists."""
    span = span_text(contest.plan)
    return f"· {contest.id} {contest.name}（{FORM_LABELS[contest.plan.form]}{f'，{span}' if span else ''}）{STATE_LABELS[contest.state]}"


def offer_line(contest: Contest, *, is_room_open: bool) -> str:
    """One line for somebody who may take part: of a live contest whether its room is open."""
    if contest.plan.form == "windowed":
        return contest_line(contest)
    return f"· {contest.id} {contest.name}（{FORM_LABELS[contest.plan.form]}）{'已开场，现在可以进入' if is_room_open else '还没有开场'}"


def plan_lines(contest: Contest) -> list[str]:
    """What somebody reads before they begin."""
    heading = f"🏁 {contest.name}（编号 {contest.id}，{STATE_LABELS[contest.state]}）"
    span = span_text(contest.plan)
    sources = "、".join(contest.plan.names) or "全部题库"
    lines = [heading, f"时间：{span}" if span else "由主持人现场开始", f"范围：{sources}"]
    return [*lines, *describe_rules(contest.rules, windowed=contest.plan.form == "windowed"), f"（竞赛规则第 {contest.version} 版）"]


def result_text(contest_result: ContestResult) -> str:
    return f"{points_text(contest_result.points)} 分，答对 {contest_result.correct} 题，用时 {duration_text(contest_result.millis // 1000)}"


def standing_lines(standing: ContestStanding) -> list[str]:
    """How somebody stands, without any place."""
    if standing.mine is None:
        return ["您还没有参加。"] if standing.contest.state == "open" else ["您没有参加。"]
    finished_count = sum(contest_set.is_over for contest_set in standing.sets)
    lines = [f"我的成绩：{result_text(standing.mine.result)}" if standing.mine.result.finished is not None else "已参加，还没有成绩"]
    if standing.contest.plan.form == "windowed":
        lines[0] += f"；已做 {finished_count} 套" + (f"，今天还可做 {standing.left_today} 套" if standing.contest.state == "open" else "")
    if standing.team:
        lines.append(f"我的队：{standing.team}")
    return [f"{sentence}。" for sentence in lines]


# ── The board ──


def board_lines(board: Board, person_id: int) -> list[str]:
    """The board as one person may see it. Nobody below the middle is named; who is there hears their own result and no place."""
    rule = board.contest.rules.board
    when = "最终" if board.is_frozen else "目前"
    if rule == "off":
        return [f"「{board.contest.name}」不设排行，只看自己的成绩。"]
    entries = league_places(board, person_id)
    group_note = "（水平相近的一组）" if board.contest.rules.league else ""
    lines = [f"🏆 {board.contest.name} {when}排行{group_note}，{len(entries)} 人有成绩。{TIE_RULE}"]
    named = leaderboard.publishable_entries(board.contest.rules, entries)
    lines += [f"{entry.place}. {entry.player.name} {points_text(entry.player.result.points)} 分" for entry in named[:MAX_PLACES]]
    if rule == "bands":
        lines[0] = f"🏆 {board.contest.name} {when}档次{group_note}，{len(entries)} 人有成绩。只公布档次，不公布名次。"
    own_entry = next((entry for entry in entries if entry.player.id == person_id), None)
    if own_entry is not None:
        lines.append(
            _own_line(rule, own_entry.place, len(entries), own_entry.player.result, is_named=any(entry.player.id == person_id for entry in named))
        )
    return lines + team_lines(board)


def _own_line(rule: str, place: int, size: int, own_result: ContestResult, *, is_named: bool) -> str:
    if rule == "bands":
        return f"您在{leaderboard.band_label(place, size)}：{result_text(own_result)}。"
    if is_named:
        return f"您第 {place} 名：{result_text(own_result)}。"
    return f"您的成绩：{result_text(own_result)}。只公布中位以上的名次，其余不排名。"


def team_lines(board: Board) -> list[str]:
    """The board of teams, by the same rule; its heading names how a team is scored. A team of which nobody took part is not put at the bottom."""
    rule = board.contest.rules.board
    present_teams = [team for team in board.teams if team.present]
    if not present_teams or rule == "off":
        return []
    lines = [f"{leaderboard.team_heading(board.contest.rules)}："]
    short = _short_names([team.name for team in board.teams])
    if rule == "bands":
        by_band: dict[str, list[str]] = {}
        for team in present_teams:
            by_band.setdefault(leaderboard.band_label(team.place, len(present_teams)), []).append(short[team.name])
        return lines + [f"{band}：{'、'.join(sorted(names))}" for band, names in by_band.items() if band != leaderboard.BANDS[-1][1]]
    return lines + [_team_line(team, short[team.name]) for team in leaderboard.publishable_entries(board.contest.rules, present_teams)[:MAX_PLACES]]


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Units without what all of them begin with: 办公室 for 某局/办公室, where every team is one of 某局."""
    first_parts = {name.partition("/")[0] for name in names}
    if len(first_parts) > 1 or not all("/" in name for name in names):
        return {name: name for name in names}
    return {name: name.partition("/")[2] for name in names}


def _team_line(team: leaderboard.TeamPlace, name: str) -> str:
    return f"{team.place}. {name} {points_text(team.score)} 分（{team.present}/{team.members} 人参加）"


def full_board_lines(board: Board) -> list[str]:
    """The board for those in charge of the contest: everybody, with places."""
    lines = [
        f"{board.contest.name}（编号 {board.contest.id}，{STATE_LABELS[board.contest.state]}）：{board.joined} 人参加，{len(board.places)} 人有成绩。"
    ]
    lines += [TIE_RULE, *(f"{entry.place}. {entry.player.name} {result_text(entry.player.result)}" for entry in board.places)]
    if board.teams:
        lines += [f"{leaderboard.team_heading(board.contest.rules)}：", *(_team_line(team, team.name) for team in board.teams)]
    return lines


def list_lines(contests: Sequence[Contest]) -> list[str]:
    return [contest_line(contest) for contest in contests] or ["还没有竞赛。"]
