"""The live model's predictions of rows that it has learnt from: those from before it had learnt them."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from flows.steps.train.live_model import predict_held_out
from penumbra.core.task import Task

DAY = dt.datetime(2024, 2, 1)
ROWS = pl.DataFrame(
    {
        "at": [DAY, DAY, DAY, DAY + dt.timedelta(days=1), DAY],
        "wind": [30, None, None, 30, 30],
        "penumbra.batch": ["2024-02", "2024-02", "2024-02", "2024-02", "2024-01"],
    }
)


@pytest.fixture
def live(tmp_path):
    known = ROWS.head(3).with_columns(
        pl.Series("penumbra.label", [0, 1, 1]), pl.Series("penumbra.prediction", [0.1, 0.8, 0.8])
    )
    known.write_parquet(tmp_path / "reference.parquet")
    facts = {"train": ["2024-01"], "validation": ["2024-02"]}
    return SimpleNamespace(
        path=tmp_path, facts=facts, task=Task("binary"), score=lambda rows: np.full(rows.height, 0.5)
    )


def test_rows_without_a_key_are_found_again_by_batch_and_all_columns(live):
    assert str(predict_held_out(live, ROWS, []).tolist()) == "[0.1, 0.8, 0.8, nan, nan]"


def test_rows_without_a_key_whose_columns_have_changed_are_unknown(live):
    changed = ROWS.with_columns(pl.col("wind").cast(pl.Float64))
    assert np.isnan(predict_held_out(live, changed, [])).all()


def test_rows_that_are_new_to_it_are_predicted(live):
    new = ROWS.with_columns(pl.lit("2024-03").alias("penumbra.batch"))
    assert predict_held_out(live, new, []).tolist() == [0.5] * 5
