"""Numbers of a few rows far beyond all others: noted, and long tails aren't."""

import numpy as np
import polars as pl
import pytest

from penumbra.training.doctor.far_values import note_far_values

CHANCE = np.random.default_rng(1)
WIND = [n % 40 + 2.5 for n in range(2_000)]
NO_FEATURES = pl.DataFrame()


def test_one_target_far_above_all_others_is_noted():
    assert list(note_far_values(NO_FEATURES, pl.Series([*WIND, 1048.36]))) == [
        "the target is up to 1,048.4 in 1 row of 2,001, and at most 41.500 in the others: where that can't be, have "
        "ingest quarantine such rows (max=… of the column in problem/schema.py)"
    ]


def test_features_far_below_all_others_are_noted_by_name():
    features = pl.DataFrame({"wind": [*WIND, -9999.0, None], "airport": ["JFK"] * 2_002})
    [note] = note_far_values(features, pl.Series(["yes"]))
    assert note.startswith("wind is down to -9,999.0 in 1 row of 2,001, and at least 2.5000 in the others")
    assert "(min=…" in note


@pytest.mark.parametrize(
    "numbers",
    [
        CHANCE.normal(size=20_000),
        CHANCE.lognormal(sigma=1.5, size=20_000),
        CHANCE.pareto(1.5, size=20_000),
        [*WIND, *[1000.0] * 20],
        [0.0] * 2_000 + [7.0],
        [1.0] * 100 + [999.0],
        [*WIND, float("nan")],
    ],
    ids=["normal", "lognormal", "pareto", "many", "nearly constant", "few rows", "nan"],
)
def test_long_tails_common_values_and_few_rows_are_no_note(numbers):
    assert list(note_far_values(NO_FEATURES, pl.Series(numbers))) == []
