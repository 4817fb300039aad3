"""The benchmark of few rows a day, on regular flights."""

import polars as pl
import pytest

from benchmarks.statistics import few_rows
from benchmarks.statistics.alarms.injected_faults import CONTRACT_COLUMNS
from penumbra.core.columns import DAY_COLUMN
from tests.helpers.problems.regular_flights import make_regular_flights


@pytest.fixture(scope="module")
def world():
    days = [
        make_regular_flights(n).head(30).select(CONTRACT_COLUMNS).with_columns(pl.lit(n).alias(DAY_COLUMN))
        for n in range(364)
    ]
    return few_rows.ThinnedYear.draw(pl.concat(days), 10, seed=1)


@pytest.mark.slow
def test_a_year_is_thinned_and_its_days_stand_in_another_order(world):
    assert 3000 < world.rows.height < 4300
    assert world.rows["time_hour"].is_sorted()
    assert world.describe() in ("judged by 5 days", "judged by 6 days")


@pytest.mark.slow
def test_weeks_as_they_are_have_no_faults_and_frozen_ones_have(world):
    assert list(world.list_weekly_faults(0, 4, None)) == [set()] * 4
    frozen = list(world.list_weekly_faults(0, 4, lambda rows: rows.with_columns(temp=pl.lit(50.0))))
    assert ("frozen", "temp") in frozen[1]
    assert few_rows.measure_detection([world], {"temp"}, lambda rows: rows.with_columns(temp=pl.lit(50.0)))[-1] == 1.0
