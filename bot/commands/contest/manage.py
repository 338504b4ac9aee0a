"""Contests for administrators (`contest …`): drafted from a file, opened, closed, cancelled, teams, board, export and recount."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from bot.commands.actions import Act, ActValue, Outcome, SheetName, action, draft_once
from bot.commands.contest import messages
from bot.domain.contest.contest import TIE_RULE, Contest, rules_json, team_score_text
from bot.domain.message import Refusal
from bot.domain.people import audience
from bot.services.contest import closing, manage, notifications, play, team_file
from bot.services.contest.closing import Board
from bot.storage.contest import players
from bot.storage.files.exam_files import read_contest
from bot.storage.files.table_reader import read_table
from bot.storage.people import audience as people_audience
from bot.storage.tables.columns import stamp

Id = Annotated[int, ActValue("编号", "竞赛编号")]
FILE_HELP = "YAML：name opens closes of to rules clause（form: live 同题，onsite 分轮，可写 questions，如「抢答 题目编号」）"


def _require(act: Act, contest_id: int) -> Contest:
    return manage.require_contest(act.session, act.author, contest_id)


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


@action(cli="contest list")
def list_contests(act: Act) -> Outcome:
    """全部竞赛，新的在前。"""
    contests = manage.list_contests(act.session, act.author)
    return Outcome([_contest_json(contest) for contest in contests], messages.list_lines(contests))


@action(cli="contest show")
def show_contest(act: Act, contest_id: Id) -> Outcome:
    """一场竞赛的时间、范围、规则和参加情况。"""
    contest = _require(act, contest_id)
    joined, scored = players.count_joined(act.session, contest_id), len(players.took_part(act.session, contest_id))
    lines = [*messages.plan_lines(contest), f"对象：{audience.describe_audience(contest.plan.audience)}", f"{joined} 人参加，{scored} 人有成绩。"]
    return Outcome({**_contest_json(contest), "joined": joined, "took_part": scored}, lines)


@action(cli="contest new", effect=True)
def new_contest(act: Act, file: Annotated[Path, ActValue("文件", FILE_HELP)]) -> Outcome:
    """按文件起草一场竞赛；不加 --apply 只检查和预览。起草后用 contest open 开放。"""
    plan, questions = read_contest(file)

    def draft() -> Contest:
        items = play.fixed_items(act.catalog, plan, questions, act.rng)
        return _require(act, manage.create(act.session, act.catalog, act.author, plan, act.now, items))

    drafts = [contest for contest in manage.list_contests(act.session, act.author) if contest.state == "draft"]
    contest, is_new = draft_once(act, draft, drafts, _says_the_same)
    people_count = len(people_audience.evaluate(act.session, contest.plan.audience, act.today, act.now).people)
    who = f"对象：{audience.describe_audience(contest.plan.audience)}，今天 {people_count} 人"
    drafted = f"已起草，编号 {contest.id}。开放：python -m bot contest open {contest.id} --apply"
    return Outcome(
        {**_contest_json(contest), "id": contest.id if act.applies or not is_new else None, "people": people_count},
        [*messages.plan_lines(contest), who],
        drafted if is_new else f"一样的草稿早已有了，编号 {contest.id}，没有另起草。",
        unchanged=not is_new,
    )


def _says_the_same(draft: Contest, other: Contest) -> bool:
    return draft.plan == other.plan


@action(cli="contest edit", effect=True)
def edit_contest(act: Act, contest_id: Id, file: Annotated[Path, ActValue("文件", "YAML，写法同 contest new")]) -> Outcome:
    """按文件改一场还没有开放的竞赛，成为下一版；固定的题不能改，要改请取消后另建。"""
    plan, questions = read_contest(file)
    if questions:
        raise Refusal("固定的题（questions）起草以后不能改，请取消后另建。")
    manage.update_draft(act.session, act.catalog, act.author, contest_id, plan, act.now)
    contest = _require(act, contest_id)
    return Outcome(_contest_json(contest), messages.plan_lines(contest), "已改。")


@action(cli="contest open", effect=True)
def open_contest(
    act: Act, contest_id: Id, invite: Annotated[bool, ActValue("", "发邀请，截止前一天再提醒没有参加的人", "--invite/--no-invite")] = True
) -> Outcome:
    """开放一场竞赛：学员看得到，到时间能参加；按单位组队的当场组好。"""
    contest = manage.open_contest(act.session, act.author, contest_id, act.now)
    if invite:
        notifications.invite(act.session, act.catalog, act.author, contest, act.now)
    team_count = len(closing.board_of(act.session, contest).teams)
    people_count = len(people_audience.evaluate(act.session, contest.plan.audience, act.today, act.now).people)
    lines = [
        messages.contest_line(contest),
        f"对象：{audience.describe_audience(contest.plan.audience)}，今天 {people_count} 人。",
        f"组成 {team_count} 队。" if team_count else "",
        "邀请已排好。" if invite else "不发邀请。",
    ]
    return Outcome({"id": contest.id, "teams": team_count, "invited": invite}, lines, "已开放。")


@action(cli="contest close", effect=True, final=True)
def close_contest(act: Act, contest_id: Id) -> Outcome:
    """提前结束：马上截止，等几秒收齐已发出的答案，再封榜、记参加学时。到截止时间会自己结束，不用这条命令。"""
    if not act.applies:
        return _closed(contest_id, closing.close_early(act.session, act.catalog, act.author, contest_id, act.now))
    closing.end_early(act.session, act.author, contest_id, act.now)
    return Outcome(later=(closing.GRACE, lambda later: _freeze(later, contest_id)))


def _freeze(act: Act, contest_id: int) -> Outcome:
    # The service may have been faster.
    board = closing.close(act.session, act.catalog, contest_id, act.now, act.author.actor, act.author.via)
    return _closed(contest_id, board or closing.board_of(act.session, _require(act, contest_id)))


def _closed(contest_id: int, board: Board) -> Outcome:
    return Outcome({"id": contest_id, **_board_json(board)}, messages.full_board_lines(board), "已结束。")


@action(cli="contest cancel", effect=True, final=True)
def cancel_contest(act: Act, contest_id: Id, reason: Annotated[str, ActValue("原因", "原因", "--reason")]) -> Outcome:
    """取消：成绩不计，已记的学时冲销，作答记录保留。"""
    reversed_count = manage.cancel(act.session, act.author, contest_id, reason, act.now)
    return Outcome({"id": contest_id, "reversed": reversed_count}, f"冲销 {reversed_count} 人的学时。", "已取消。")


@action(cli="contest board", audit="看竞赛榜单")
def show_board(act: Act, contest_id: Id) -> Outcome:
    """榜单：封榜以前是目前的，以后是最终的。公开哪些由竞赛规则定，这里给主办方看全部。"""
    board = closing.board_of(act.session, _require(act, contest_id))
    return Outcome({"id": contest_id, **_board_json(board)}, messages.full_board_lines(board), target=f"contest:{contest_id}")


@action(cli="contest export", audit="导出竞赛成绩", jsonl=True)
def export_contest(act: Act, contest_id: Id) -> Outcome:
    """每人一行 JSON：工号、单位、队、名次、得分、答对、用时、完成时间。"""
    _require(act, contest_id)
    return Outcome(players.export_rows(act.session, contest_id), target=f"contest:{contest_id}")


@action(cli="contest teams", effect=True)
def import_teams(act: Act, contest_id: Id, file: Annotated[Path, ActValue("文件", "xlsx 或 csv，列：队名 工号")], sheet: SheetName = "") -> Outcome:
    """导入队员名单；不加 --apply 只核对。重复导入不变，名单里没有的人留在原来的队。"""
    listed = team_file.read_teams(act.session, read_table(file, team_file.LAYOUT, sheet))
    member_count = manage.set_teams(act.session, act.author, contest_id, listed.members, act.now)
    lines = [*listed.notes, f"名单 {len(listed.members)} 队、{listed.size} 人；连同已有的共 {member_count} 人在队。"]
    return Outcome({"teams": len(listed.members), "people": listed.size, "members": member_count}, lines, "已写入。")


@action(cli="contest recount", effect=True, audit="重算竞赛成绩")
def recount_contest(act: Act, contest_id: Id) -> Outcome:
    """从作答重新计算全部成绩（例如更正答案以后）；不加 --apply 只看名次会怎么变。"""
    _require(act, contest_id)
    before, after = closing.recount(act.session, contest_id, act.now)
    old_places = {entry.player.id: entry.place for entry in before.places}
    moved = [
        (entry.player.name, old_places.get(entry.player.id), entry.place) for entry in after.places if old_places.get(entry.player.id) != entry.place
    ]
    lines = [f"{name}：第 {old or '—'} 名 → 第 {new} 名" for name, old, new in moved] or ["重算结果与现在一致。"]
    changed = [{"name": name, "before": old, "after": new} for name, old, new in moved]
    return Outcome({"id": contest_id, "moved": changed}, lines, "已重算。", target=f"contest:{contest_id}")
