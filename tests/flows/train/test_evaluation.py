import math
from pathlib import Path

import polars as pl

from flows.steps.train import evaluation


def test_a_limit_that_days_cannot_tell_is_an_empty_field(tmp_path: Path) -> None:
    table = pl.DataFrame({"slice": ["a", "b"], "rows": [3, 4], "low": [-math.inf, 0.25], "high": [math.nan, math.inf]})
    evaluation._write_table(table, tmp_path / "slices.csv")
    assert (tmp_path / "slices.csv").read_text() == "slice,rows,low,high\na,3,,\nb,4,0.25,\n"
