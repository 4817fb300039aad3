"""What `bench template` counts: hand-written files in place of the empty ones, with their table beside them."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from benchmarks.projects.template.edits import finish_project
from benchmarks.projects.template.own_tables import OWN_TABLES, OwnTable
from tests.helpers.checkout import REPOSITORY


@pytest.mark.parametrize("table", OWN_TABLES, ids=lambda table: table.name)
def test_a_finished_project_has_the_hand_written_files_and_the_clock_set(table: OwnTable, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / f"examples/empty_{table.task}", tmp_path / "problem")
    shutil.copy(REPOSITORY / "settings.toml", tmp_path)
    finish_project(tmp_path, table)
    for name, path in table.list_files().items():
        target = tmp_path / "problem" / name
        assert (target.read_text() if target.exists() else None) == (path.read_text() if path else None)
    before, after = ((folder / "settings.toml").read_text().splitlines() for folder in (REPOSITORY, tmp_path))
    assert [line for line, old in zip(after, before, strict=True) if line != old] == ['today = "now"']


@pytest.mark.parametrize("table", OWN_TABLES, ids=lambda table: table.name)
def test_the_table_lies_where_the_finished_source_looks(table: OwnTable, tmp_path: Path) -> None:
    table.write_csv(tmp_path)
    (path,) = tmp_path.rglob("*.csv")
    source = table.list_files()["source.py"]
    assert source
    assert f'"{path.relative_to(tmp_path)}"' in source.read_text()
    assert pl.read_csv(path, infer_schema=False).height > 200
