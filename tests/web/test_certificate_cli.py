"""certificate issue, list, replace, revoke and render, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.services.test_certificate_pdf import needs_chinese
from tests.support.service import bot, environment

AWARD = ("certificate", "issue", "1009", "1010", "--kind", "contest", "--title", "七一学法竞赛", "--day", "2026-07-01", "--result", "荣获二等奖")


async def issued(env: dict[str, str]) -> list[str]:
    status, out, err = await bot(*AWARD, "--apply", "--json", env=env)
    assert status == 0, err
    told = json.loads(out)
    return [one["number"] for one in told["certificates"]]


async def test_issuing_to_several_is_a_dry_run_until_it_is_applied_and_twice_changes_nothing(demo: Path) -> None:
    env = environment(demo)
    status, out, _ = await bot(*AWARD, env=env)
    assert (status, "将签发 2 份" in out, "以上是预演" in out) == (0, True, True)
    status, out, _ = await bot("certificate", "list", "--kind", "contest", env=env)
    assert (status, out.strip()) == (0, "没有证书。")
    numbers = await issued(env)
    assert numbers == await issued(env)
    status, out, _ = await bot("certificate", "list", "--kind", "contest", "--json", env=env)
    kept = json.loads(out)
    assert (status, [one["number"] for one in kept]) == (0, numbers[::-1])
    assert {one["result"] for one in kept} == {"荣获二等奖"}
    assert all(one["issued_by"].startswith("cli:") for one in kept)
    _, out, _ = await bot("export", "audit", env=env)
    assert [json.loads(line)["action"] for line in out.splitlines()].count("签发证书") == 2


async def test_somebody_nobody_knows_stops_all_of_them(demo: Path) -> None:
    env = environment(demo)
    status, _, err = await bot("certificate", "issue", "1009", "nobody", "--title", "竞赛", "--apply", env=env)
    assert (status, "没有工号 nobody" in err) == (1, True)
    _, out, _ = await bot("certificate", "list", "--kind", "contest", env=env)
    assert out.strip() == "没有证书。"


async def test_a_certificate_is_replaced_then_taken_back_and_each_step_stands_in_the_audit(demo: Path) -> None:
    env = environment(demo)
    old = (await issued(env))[0]
    status, out, err = await bot("certificate", "replace", old, "--name", "改后姓名", "--reason", "姓名有误", "--apply", "--json", env=env)
    assert status == 0, err
    new = json.loads(out)
    assert (new["name"], new["result"], new["state"]) == ("改后姓名", "荣获二等奖", "valid")
    status, _, err = await bot("certificate", "revoke", old, "--reason", "重复", "--apply", env=env)
    assert (status, new["number"] in err or "已换发" in err) == (1, True)
    status, out, _ = await bot("certificate", "revoke", new["number"].lower(), "--reason", "替赛", "--apply", env=env)
    assert (status, "已撤销" in out) == (0, True)
    _, out, _ = await bot("certificate", "list", "--state", "replaced", "--json", env=env)
    assert [(one["number"], one["replaced_by"]) for one in json.loads(out)] == [(old, new["number"])]
    _, out, _ = await bot("export", "audit", env=env)
    actions = [json.loads(line)["action"] for line in out.splitlines()]
    assert [actions.count(one) for one in ("签发证书", "换发证书", "撤销证书")] == [3, 1, 1]


async def test_a_slip_of_the_pen_in_a_number_is_told_before_anything_is_looked_up(demo: Path) -> None:
    status, _, err = await bot("certificate", "revoke", "XF-2026-000001-0", "--reason", "无", "--apply", env=environment(demo))
    assert (status, "不是证书编号" in err) == (1, True)


async def test_what_cannot_be_drawn_is_misuse_or_refused(demo: Path, tmp_path: Path) -> None:
    env = environment(demo)
    number = (await issued(env))[0]
    status, _, err = await bot("certificate", "render", number, str(tmp_path / "x.doc"), env=env)
    assert (status, ".pdf" in err) == (2, True)
    status, _, err = await bot("certificate", "render", number, str(tmp_path / "x.png"), env=env | {"BOT_WEB__FONT": str(tmp_path / "none.ttf")})
    assert (status, "BOT_WEB__FONT" in err, "Traceback" in err) == (1, True, False)


async def test_a_configured_typeface_that_is_none_is_a_fault_of_the_settings(demo: Path, tmp_path: Path) -> None:
    status, out, _ = await bot("check", "--json", env=environment(demo) | {"BOT_WEB__FONT": str(tmp_path / "none.ttf")})
    assert (status, [("BOT_WEB__FONT" in one["sentence"], one["file"]) for one in json.loads(out)]) == (1, [(True, "设置")])


@needs_chinese
async def test_a_certificate_is_drawn_into_a_file(demo: Path, tmp_path: Path) -> None:
    env = environment(demo)
    number = (await issued(env))[0]
    for name, begins in (("c.pdf", b"%PDF-"), ("c.png", b"\x89PNG")):
        status, _, err = await bot("certificate", "render", number, str(tmp_path / name), env=env)
        assert status == 0, err
        assert (tmp_path / name).read_bytes().startswith(begins)


async def test_an_exam_that_is_not_there_and_two_ways_at_once_are_refused(demo: Path) -> None:
    env = environment(demo)
    status, _, err = await bot("certificate", "issue", "--exam", "999", env=env)
    assert (status, "没有编号为 999 的考试" in err) == (1, True)
    for arguments in (["1009", "--exam", "1"], ["1009"], ["--title", "竞赛"]):
        status, _, err = await bot("certificate", "issue", *arguments, env=env)
        assert (status, "--exam" in err) == (2, True), arguments
