import datetime as dt

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counts import Binning, Profile, by_day, shares, summarise, watched
from problem import features, schema

MONDAY = dt.date(2013, 4, 1)
number = st.none() | st.floats(allow_nan=True) | st.sampled_from([0.0, 1.0, 2.0])
word = st.none() | st.sampled_from(["EWR", "JFK", "LGA"])
rows = st.lists(st.tuples(number, word, number, st.integers(0, 3)), max_size=20)


def frame(values: list[tuple[float | None, str | None, float | None, int]]) -> pl.DataFrame:
    schema = {"temp": pl.Float64, "origin": pl.String, "prediction": pl.Float64, "day": pl.Int32}
    return pl.DataFrame(values, schema=schema, orient="row").with_columns(pl.col("day").cast(pl.Date))


def binning(values: list[tuple[float | None, str | None, float | None, int]]) -> Binning:
    return Binning.learn(frame(values), ["temp", "origin"])


def plain(profile: Profile) -> list[object]:
    numbers = (profile.counts, profile.low, profile.high)
    return [profile.rows, *(each.tolist() for each in numbers)]


@given(rows, rows, rows)
def test_the_profile_of_two_parts_is_the_sum_of_their_profiles(reference, one, other) -> None:  # type: ignore[no-untyped-def]
    learnt = binning(reference)
    both = summarise(frame(one + other), learnt)
    assert plain(summarise(frame(one), learnt) + summarise(frame(other), learnt)) == plain(both)


@given(rows, rows)
def test_each_row_is_in_one_bin_of_each_column(reference, values) -> None:  # type: ignore[no-untyped-def]
    learnt = binning(reference)
    profile = summarise(frame(values), learnt)
    assert {int(profile.counts[place].sum()) for place in learnt.columns.values()} == {len(values)}


@given(rows, rows)
def test_the_days_profiles_add_up_to_the_whole(reference, values) -> None:  # type: ignore[no-untyped-def]
    learnt = binning(reference)
    days = by_day(frame(values), learnt, "day")
    assert list(days) == sorted(days)
    assert plain(sum(days.values(), Profile.empty(learnt))) == plain(summarise(frame(values), learnt))


def test_values_fall_where_the_reference_has_them() -> None:
    learnt = binning([(1, "JFK", 0.5, 0), (2, "LGA", 0.5, 0), (None, "JFK", 0.5, 0)])
    found = shares(
        summarise(frame([(1, "EWR", 0.1, 0), (9, None, 0.9, 0), (None, "LGA", None, 0)] * 2), learnt), learnt
    )
    assert learnt.edges == {"temp": [1.0, 2.0], "prediction": [0.5]}
    assert (found["temp"] * 6).round().tolist() == [2, 0, 2, 2]
    assert (found["origin"] * 6).round().tolist() == [0, 2, 2, 2]  # JFK, LGA, other, null
    assert (found["prediction"] * 6).round().tolist() == [2, 2, 2]


def test_the_smallest_the_largest_and_the_sum_of_numbers_are_kept() -> None:
    learnt = binning([(1, "JFK", 0.5, 0)])
    found = summarise(frame([(3, "JFK", 0.25, 0), (float("nan"), "JFK", 0.5, 0), (-4, "JFK", None, 0)]), learnt)
    assert [found.low.tolist(), found.high.tolist(), found.total.tolist()] == [[-4, 0.25], [3, 0.5], [-1, 0.75]]


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Date])
def test_a_column_of_another_type_than_learnt_is_null(dtype: type[pl.DataType]) -> None:
    learnt = binning([(1, "JFK", 0.5, 0)])
    now = frame([(1, "JFK", 0.5, 0)]).with_columns(temp=pl.lit(None).cast(dtype))
    assert shares(summarise(now, learnt), learnt)["temp"].tolist() == [0, 0, 1]


def test_of_a_rare_word_of_many_only_that_it_is_another_one_is_kept() -> None:
    many = [(1.0, f"{i:04}", 0.5, 0) for i in [*range(1000), *range(100)]]
    learnt = binning(many)
    assert len(learnt.words["origin"]) == 256
    assert shares(summarise(frame(many), learnt), learnt)["origin"][-2] == pytest.approx((1100 - 356) / 1100)


def test_of_several_classes_the_most_probable_one_counts() -> None:
    reference = pl.DataFrame({"prediction": [[0.1, 0.9], [0.8, 0.2]]}, schema={"prediction": pl.Array(pl.Float64, 2)})
    learnt = Binning.learn(reference, [])
    logged = pl.DataFrame({"prediction": [[0.3, 0.7]]})
    assert summarise(logged, learnt).counts.tolist() == [0, 1, 0, 0]


def test_the_features_columns_are_watched_but_not_the_time() -> None:
    names = watched(features.FEATURES, schema.TIME)
    assert schema.TIME not in names
    assert {"carrier", "sched_dep_time", "visib"} <= set(names)


def test_a_binning_is_plain_json() -> None:
    learnt = binning([(1, "JFK", 0.5, 0)])
    assert msgspec.json.decode(msgspec.json.encode(learnt), type=Binning) == learnt


def test_a_profile_of_no_rows_is_no_error() -> None:
    learnt = binning([])
    profile = summarise(frame([]), learnt)
    assert profile.rows == 0
    assert np.isnan(shares(profile, learnt)["temp"]).all()
