"""The benchmark of reports runs, so that its numbers can be had when somebody needs them."""

from __future__ import annotations

from pathlib import Path

from bot.storage.reports.registry import REPORTS
from tests.bench import rollup

TEXT_LIMIT = 2_048
"""Bytes at which WeCom cuts a text (bot/docs/protocols.md#wecom-send)."""


def test_every_figure_is_measured_on_a_small_agency(tmp_path: Path) -> None:
    path = tmp_path / "bench.db"
    rollup.fill(path, 60, 6)

    measured = {name: rollup.measure(path, name) for name in rollup.FIGURES}

    assert {figure.report for figure in rollup.FIGURES.values()} == set(REPORTS)
    assert {name: figures["rows"] for name, figures in measured.items() if name.startswith(("达标率", "名单"))} == {
        **dict.fromkeys(("达标率", "达标率, as of yesterday"), rollup.UNITS),
        **dict.fromkeys(("达标率, one unit", "名单, one unit"), 1),
        **dict.fromkeys(("名单", "名单, as of yesterday", "名单, csv", "名单, xlsx"), 59),
    }
    assert all(figures["bytes"] < TEXT_LIMIT for name, figures in measured.items() if rollup.FIGURES[name].form == "phone")
