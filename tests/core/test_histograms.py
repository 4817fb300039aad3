import bisect
import datetime as dt
import math
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.histograms import Binning, compute_daily_profiles, list_profiled_columns, sum_losses_by_day
from problem import features, schema

MONDAY = dt.date(2013, 4, 1)
number = st.none() | st.floats(allow_nan=True) | st.sampled_from([0.0, 1.0, 2.0])
word = st.none() | st.sampled_from(["EWR", "JFK", "LGA"])
rows = st.lists(st.tuples(number, word, number, st.integers(0, 3)), max_size=20)


def frame(values: list[tuple[float | None, str | None, float | None, int]]) -> pl.DataFrame:
    schema = {"temp": pl.Float64, "origin": pl.String, "penumbra.prediction": pl.Float64, "day": pl.Int32}
    return pl.DataFrame(values, schema=schema, orient="row").with_columns(pl.col("day").cast(pl.Date))


def binning(values: list[tuple[float | None, str | None, float | None, int]]) -> Binning:
    return Binning.learn(frame(values), ["temp", "origin"])


def whole(rows: pl.DataFrame, learnt: Binning) -> list[int]:
    """The counts of all days together."""
    days = compute_daily_profiles(rows, learnt, "day").values()
    return sum((day.counts for day in days), np.zeros(learnt.size, np.int64)).tolist()


def of(name: str, rows: pl.DataFrame, learnt: Binning) -> list[int]:
    return whole(rows, learnt)[learnt.columns[name]]


@given(rows, rows, rows)
def test_the_profile_of_two_parts_is_the_sum_of_their_profiles(reference, one, other) -> None:  # type: ignore[no-untyped-def]
    learnt = binning(reference)
    first, second, both = (compute_daily_profiles(frame(values), learnt, "day") for values in (one, other, one + other))
    for day, profile in both.items():
        parts = [part[day] for part in (first, second) if day in part]
        added = parts[0] + parts[1] if len(parts) == 2 else parts[0]
        assert (added.rows, added.counts.tolist()) == (profile.rows, profile.counts.tolist())


@pytest.mark.slow
@given(rows, rows, st.integers(0, 20))
def test_losses_add_up_whatever_parts_the_rows_are_summed_in(reference, values, cut) -> None:  # type: ignore[no-untyped-def]
    learnt, losses = binning(reference), np.random.default_rng(cut).random(len(values))
    parts = [(values[part], losses[part]) for part in (slice(None), slice(cut), slice(cut, None))]
    (rows, sums), *halves = ([each.sum(axis=0) for each in lost(*part, learnt)] for part in parts)
    assert rows.tolist() == sum(each[0] for each in halves).tolist() == whole(frame(values), learnt)
    assert sums == pytest.approx(sum(each[1] for each in halves))
    assert all(sums[place].sum() == pytest.approx(losses.sum()) for place in learnt.columns.values())


def lost(values: list[Any], losses: np.ndarray, learnt: Binning) -> tuple[np.ndarray, np.ndarray]:
    return sum_losses_by_day(frame(values), learnt, "day", losses)


@given(rows, rows)
def test_each_row_is_in_one_bin_of_each_column(reference, values) -> None:  # type: ignore[no-untyped-def]
    learnt = binning(reference)
    assert {sum(of(name, frame(values), learnt)) for name in learnt.columns} == {len(values)}


@given(rows, rows)
def test_the_days_profiles_have_the_days_rows(reference, values) -> None:  # type: ignore[no-untyped-def]
    days = compute_daily_profiles(frame(values), binning(reference), "day")
    assert list(days) == sorted(days)
    assert sorted(day for day, profile in days.items() for _ in range(profile.rows)) == sorted(frame(values)["day"])


@given(rows, rows)
def test_a_value_is_counted_in_the_bin_that_bisection_finds(reference, values) -> None:  # type: ignore[no-untyped-def]
    learnt = binning(reference)
    edges, words = learnt.edges["temp"], learnt.words["origin"]
    numbers, texts = [0] * (len(edges) + 2), [0] * (len(words) + 2)
    for value, text, *_ in values:
        numbers[bisect.bisect_left(edges, value) if value is not None and math.isfinite(value) else -1] += 1
        texts[-1 if text is None else words.index(text) if text in words else -2] += 1
    assert of("temp", frame(values), learnt) == numbers
    assert of("origin", frame(values), learnt) == texts


def test_values_fall_where_the_reference_has_them() -> None:
    learnt = binning([(1, "JFK", 0.5, 0), (2, "LGA", 0.5, 0), (None, "JFK", 0.5, 0)])
    now = frame([(1, "EWR", 0.1, 0), (9, None, 0.9, 0), (None, "LGA", None, 0)])
    assert learnt.edges == {"temp": [1.0, 2.0], "penumbra.prediction": [0.5]}
    assert of("temp", now, learnt) == [1, 0, 1, 1]
    assert of("origin", now, learnt) == [0, 1, 1, 1]  # JFK, LGA, other, null
    assert of("penumbra.prediction", now, learnt) == [1, 1, 1]


def test_numbers_without_end_are_none() -> None:
    learnt = binning([(1, "JFK", 0.5, 0), (math.inf, "JFK", 0.5, 0)])
    assert learnt.edges["temp"] == [1.0]
    assert of("temp", frame([(value, "JFK", 0.5, 0) for value in (math.inf, -math.inf, math.nan)]), learnt) == [0, 0, 3]


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Date])
def test_a_column_of_another_type_than_learnt_is_null(dtype: type[pl.DataType]) -> None:
    learnt = binning([(1, "JFK", 0.5, 0)])
    now = frame([(1, "JFK", 0.5, 0)]).with_columns(temp=pl.lit(None).cast(dtype))
    assert of("temp", now, learnt) == [0, 0, 1]


def test_of_a_rare_word_of_many_only_that_it_is_another_one_is_kept() -> None:
    many = [(1.0, f"{i:04}", 0.5, 0) for i in [*range(1000), *range(100)]]
    learnt = binning(many)
    assert len(learnt.words["origin"]) == 256
    assert of("origin", frame(many), learnt)[-2] == 1100 - 356


def test_of_several_classes_the_most_probable_one_counts() -> None:
    reference = pl.DataFrame(
        {"penumbra.prediction": [[0.1, 0.9], [0.8, 0.2]]}, schema={"penumbra.prediction": pl.Array(pl.Float64, 2)}
    )
    learnt = Binning.learn(reference, [])
    logged = pl.DataFrame({"penumbra.prediction": [[0.3, 0.7]], "day": [MONDAY]})
    assert whole(logged, learnt) == [0, 1, 0, 0]


def test_lists_of_a_contract_are_no_probabilities_and_are_not_counted() -> None:
    lists = {
        "tags": [["red"], []],
        "embedding": [[0.1, 0.9], [0.8, 0.2]],
        "penumbra.prediction": [[0.1, 0.9], [0.8, 0.2]],
    }
    assert list(Binning.learn(pl.DataFrame(lists), ["tags", "embedding"]).columns) == ["penumbra.prediction"]


def test_the_features_columns_are_watched_but_not_the_time() -> None:
    names = list_profiled_columns(features.FEATURES, schema.TIME)
    assert schema.TIME not in names
    assert {"carrier", "sched_dep_time", "visib"} <= set(names)


def test_a_binning_is_plain_json() -> None:
    learnt = binning([(1, "JFK", 0.5, 0)])
    assert msgspec.json.decode(msgspec.json.encode(learnt), type=Binning) == learnt


def test_no_rows_are_no_day() -> None:
    assert compute_daily_profiles(frame([]), binning([]), "day") == {}
