"""The benchmark of reports runs, so that its numbers can be had when somebody needs them."""

from __future__ import annotations

from pathlib import Path

from tests.bench import rollup


def test_every_figure_is_measured_on_a_small_agency(tmp_path: Path) -> None:
    path = tmp_path / "bench.db"
    rollup.fill(path, 60, 6)

    rows = {figure: rollup.measure(path, figure)["rows"] for figure in rollup.FIGURES}

    assert rows == {figure: 60 if "everybody" in figure else rollup.UNITS for figure in rollup.FIGURES}
