"""The `contest` command line: draft from a file, open, close, cancel, teams, board, export and recount, for the whole agency."""

from __future__ import annotations

import random
from pathlib import Path
from time import sleep
from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, operator, reading, show, writing
from bot.cli.dry_run import DRY_RUN_NOTE, run_or_rehearse
from bot.commands.contest import messages
from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import TIE_RULE, Contest, rules_json, team_score_text
from bot.domain.message import Refusal
from bot.domain.people import audience
from bot.domain.times import day_of
from bot.services.contest import closing as contest_closing
from bot.services.contest import manage, notifications, play, team_file
from bot.services.contest.closing import Board
from bot.services.library.catalog import Catalog
from bot.storage.contest import players
from bot.storage.files.exam_files import read_contest
from bot.storage.people import audience as people_audience
from bot.storage.system import audit
from bot.storage.tables.columns import stamp

group = typer.Typer(help="竞赛：起草、开放、结束、取消、组队、榜单、成绩。", no_args_is_help=True)
cli.add_typer(group, name="contest")

Id = Annotated[int, typer.Argument(help="竞赛编号")]


def _author() -> Author:
    return Author(operator(), "cli")


def _contest_json(contest: Contest) -> dict[str, Any]:
    plan = contest.plan
    return {
        "id": contest.id,
        "name": contest.name,
        "form": plan.form,
        "state": contest.state,
        "version": contest.version,
        "opens_at": None if plan.opens_at is None else stamp(plan.opens_at),
        "closes_at": None if plan.closes_at is None else stamp(plan.closes_at),
        "of": list(plan.names),
        "audience": audience.describe_audience(plan.audience),
        "clause": plan.clause,
        "rules": rules_json(plan.rules),
        "created_by": contest.created_by,
    }


def _board_json(board: Board) -> dict[str, Any]:
    return {
        "joined": board.joined,
        "frozen": board.is_frozen,
        "ties": TIE_RULE,
        "places": [
            {"place": entry.place, "name": entry.player.name, "points": entry.player.result.points / 1000, "correct": entry.player.result.correct}
            for entry in board.places
        ],
        "team_rule": team_score_text(board.contest.rules) if board.teams else "",
        "teams": [
            {"place": team.place, "team": team.name, "score": team.score / 1000, "members": team.members, "present": team.present}
            for team in board.teams
        ],
    }


@group.command("list")
def list_(as_json: Json = False) -> None:
    """全部竞赛，新的在前。"""
    contests = reading(lambda session: manage.list_contests(session, _author()))
    show([_contest_json(contest) for contest in contests], as_json, messages.list_lines(contests))


@group.command("show")
def show_(contest_id: Id, as_json: Json = False) -> None:
    """一场竞赛的时间、范围、规则和参加情况。"""

    def work(session: Session) -> tuple[Contest, int, int]:
        contest = manage.require_contest(session, _author(), contest_id)
        return contest, players.count_joined(session, contest_id), len(players.took_part(session, contest_id))

    contest, joined, scored = reading(work)
    lines = [*messages.plan_lines(contest), f"对象：{audience.describe_audience(contest.plan.audience)}", f"{joined} 人参加，{scored} 人有成绩。"]
    show({**_contest_json(contest), "joined": joined, "took_part": scored}, as_json, lines)


@group.command("new")
def new(
    file: Annotated[
        Path,
        typer.Argument(help="YAML：name opens closes of to rules clause（form: live 同题，onsite 分轮，可写 questions，如「抢答 题目编号」）"),
    ],
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """按文件起草一场竞赛；不加 --apply 只检查和预览。起草后用 contest open 开放。"""
    plan, questions = read_contest(file)
    started_at = now()

    def work(session: Session, catalog: Catalog) -> tuple[Contest, int]:
        items = play.fixed_items(catalog, plan, questions, random.SystemRandom())
        contest_id = manage.create(session, catalog, _author(), plan, started_at, items)
        contest = manage.require_contest(session, _author(), contest_id)
        return contest, len(people_audience.evaluate(session, contest.plan.audience, day_of(started_at), started_at).people)

    contest, people_count = run_or_rehearse(work, apply=apply)
    closing = f"已起草，编号 {contest.id}。开放：python -m bot contest open {contest.id} --apply" if apply else DRY_RUN_NOTE
    data = {**_contest_json(contest), "id": contest.id if apply else None, "applied": apply, "people": people_count}
    show(
        data, as_json, [*messages.plan_lines(contest), f"对象：{audience.describe_audience(contest.plan.audience)}，今天 {people_count} 人", closing]
    )


@group.command("edit")
def edit(
    contest_id: Id,
    file: Annotated[Path, typer.Argument(help="YAML，写法同 contest new")],
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """按文件改一场还没有开放的竞赛，成为下一版；固定的题不能改，要改请取消后另建。"""
    plan, questions = read_contest(file)
    if questions:
        raise Refusal("固定的题（questions）起草以后不能改，请取消后另建。")

    def work(session: Session, catalog: Catalog) -> Contest:
        manage.update_draft(session, catalog, _author(), contest_id, plan, now())
        return manage.require_contest(session, _author(), contest_id)

    contest = run_or_rehearse(work, apply=apply)
    show({**_contest_json(contest), "applied": apply}, as_json, [*messages.plan_lines(contest), "已改。" if apply else DRY_RUN_NOTE])


@group.command("open")
def open_(
    contest_id: Id,
    invite: Annotated[bool, typer.Option("--invite/--no-invite", help="发邀请，截止前一天再提醒没有参加的人")] = True,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """开放一场竞赛：学员看得到，到时间能参加；按单位组队的当场组好。不加 --apply 只预演。"""

    def work(session: Session, catalog: Catalog) -> tuple[Contest, int]:
        contest = manage.open_contest(session, _author(), contest_id, now())
        if invite:
            notifications.invite(session, catalog, _author(), contest, now())
        return contest, len(contest_closing.board_of(session, contest).teams)

    contest, team_count = run_or_rehearse(work, apply=apply)
    lines = [
        messages.contest_line(contest),
        f"组成 {team_count} 队。" if team_count else "",
        "邀请已排好。" if invite else "不发邀请。",
        "已开放。" if apply else DRY_RUN_NOTE,
    ]
    show({"id": contest.id, "applied": apply, "teams": team_count, "invited": invite}, as_json, [line for line in lines if line])


@group.command("close")
def close(contest_id: Id, apply: Apply = False, as_json: Json = False) -> None:
    """提前结束：马上截止，等几秒收齐已发出的答案，再封榜、记参加学时。到截止时间会自己结束，不用这条命令。"""

    def freeze(session: Session, catalog: Catalog) -> Board:
        # The service may have been faster.
        closed_at = now()
        board = contest_closing.close(session, catalog, contest_id, closed_at, operator(), "cli")
        return board or contest_closing.board_of(session, manage.require_contest(session, _author(), contest_id))

    if apply:
        run_or_rehearse(lambda session, catalog: contest_closing.end_early(session, _author(), contest_id, now()), apply=True)
        sleep(contest_closing.GRACE.total_seconds())
        board = run_or_rehearse(freeze, apply=True)
    else:
        board = run_or_rehearse(lambda session, catalog: contest_closing.close_early(session, catalog, _author(), contest_id, now()), apply=False)
    show(
        {"id": contest_id, "applied": apply, **_board_json(board)},
        as_json,
        [*messages.full_board_lines(board), "已结束。" if apply else DRY_RUN_NOTE],
    )


@group.command("cancel")
def cancel(contest_id: Id, reason: Annotated[str, typer.Option("--reason", help="原因")], apply: Apply = False, as_json: Json = False) -> None:
    """取消：成绩不计，已记的学时冲销，作答记录保留。"""
    reversed_count = run_or_rehearse(lambda session, catalog: manage.cancel(session, _author(), contest_id, reason, now()), apply=apply)
    closing = "已取消。" if apply else DRY_RUN_NOTE
    show({"id": contest_id, "applied": apply, "reversed": reversed_count}, as_json, [f"冲销 {reversed_count} 人的学时。", closing])


@group.command("board")
def board(contest_id: Id, as_json: Json = False) -> None:
    """榜单：封榜以前是目前的，以后是最终的。公开哪些由竞赛规则定，这里给主办方看全部。"""

    def work(session: Session) -> Board:
        board = contest_closing.board_of(session, manage.require_contest(session, _author(), contest_id))
        audit.record(session, now(), operator(), "cli", "看竞赛榜单", f"contest:{contest_id}")
        return board

    board = writing(work)
    show({"id": contest_id, **_board_json(board)}, as_json, messages.full_board_lines(board))


@group.command("export")
def export(contest_id: Id) -> None:
    """每人一行 JSON：工号、单位、队、名次、得分、答对、用时、完成时间。"""

    def work(session: Session) -> list[dict[str, Any]]:
        manage.require_contest(session, _author(), contest_id)
        audit.record(session, now(), operator(), "cli", "导出竞赛成绩", f"contest:{contest_id}")
        return players.export_rows(session, contest_id)

    for row in writing(work):
        show(row, True, "")


@group.command("teams")
def teams(
    contest_id: Id,
    file: Annotated[Path, typer.Argument(help="xlsx 或 csv，列：队名 工号")],
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """导入队员名单；不加 --apply 只核对。重复导入不变，名单里没有的人留在原来的队。"""
    try:
        listed = team_file.read_teams(file)
        member_count = run_or_rehearse(
            lambda session, catalog: manage.set_teams(session, _author(), contest_id, team_file.find_members(session, listed), now()), apply=apply
        )
    except team_file.TeamFileError as error:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": fault.row, "column": fault.column, "reason": fault.reason} for fault in error.faults]}, True, "")
        raise typer.Exit(1) from None
    lines = [
        *listed.notes,
        f"名单 {len(listed.members)} 队、{listed.size} 人；连同已有的共 {member_count} 人在队。",
        "已写入。" if apply else DRY_RUN_NOTE,
    ]
    show({"applied": apply, "teams": len(listed.members), "people": listed.size, "members": member_count}, as_json, lines)


@group.command("recount")
def recount(contest_id: Id, apply: Apply = False, as_json: Json = False) -> None:
    """从作答重新计算全部成绩（例如更正答案以后）；不加 --apply 只看名次会怎么变。"""

    def work(session: Session, catalog: Catalog) -> tuple[Board, Board]:
        manage.require_contest(session, _author(), contest_id)
        before, after = contest_closing.recount(session, contest_id, now())
        audit.record(session, now(), operator(), "cli", "重算竞赛成绩", f"contest:{contest_id}")
        return before, after

    before, after = run_or_rehearse(work, apply=apply)
    old_places = {entry.player.id: entry.place for entry in before.places}
    moved = [
        (entry.player.name, old_places.get(entry.player.id), entry.place) for entry in after.places if old_places.get(entry.player.id) != entry.place
    ]
    lines = [f"{name}：第 {old or '—'} 名 → 第 {new} 名" for name, old, new in moved] or ["重算结果与现在一致。"]
    changed = [{"name": name, "before": old, "after": new} for name, old, new in moved]
    show({"id": contest_id, "applied": apply, "moved": changed}, as_json, [*lines, "已重算。" if apply else DRY_RUN_NOTE])
