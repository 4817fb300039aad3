import tracemalloc
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from penumbra.core.metrics.scores import compute_metrics, compute_roc_pr_areas
from penumbra.core.task import Task
from penumbra.training.evaluation import bootstrap, slices
from problem import schema
from problem.slices import DAY, SLICES

BINARY = Task("binary")
DAYS = np.repeat(np.arange(30), 40)


def made_up(seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Features and losses of 40 rows a day for 30 days; no feature says anything of the losses."""
    rng = np.random.default_rng(seed)
    features = {
        "temp": np.where(rng.uniform(size=1200) < 0.1, np.nan, rng.uniform(0, 100, 1200)),
        "wind": rng.uniform(0, 100, 1200),
        "origin": rng.choice(["EWR", "JFK", "LGA"], 1200),
    }
    return pl.DataFrame(features), rng.exponential(size=1200)


# The example's slices


def test_the_slices_are_texts_and_rows_of_an_evening_belong_to_the_local_day():
    example = schema.EXAMPLE | {"time_hour": "2013-04-01T02:00:00Z", "sched_dep_time": 2159}
    rows = pl.DataFrame([example]).with_columns(pl.col("time_hour").str.to_datetime(time_zone="UTC"))
    assert rows.select(**SLICES).row(0) == ("UA", "EWR", "from 20:00", "2013-03")
    assert str(rows.select(DAY).item()) == "2013-03-31"


def test_every_hour_has_a_band_of_four():
    hours = pl.DataFrame({"sched_dep_time": [0, 359, 400, 1159, 1200, 2359]})
    bands = hours.select(SLICES["hours"]).to_series().to_list()
    assert bands == [f"from {hour}:00" for hour in ("00", "00", "04", "08", "12", "20")]


# Named slices


def test_a_row_belongs_to_one_slice_of_each_column_or_to_none():
    rows = pl.DataFrame({"origin": ["JFK", "EWR", None], "late": [True, True, False]})
    belongs = {name: members.tolist() for name, members in slices.find_slice_members(rows, ["origin"])}
    assert belongs == {"origin=EWR": [False, True, False], "origin=JFK": [True, False, False]}


def test_of_a_column_of_many_values_those_with_the_most_rows_are_looked_at():
    rows = pl.DataFrame({"rows": [f"town {n:03}" for n in range(150)] + ["town 149"] * 2})
    names = [name for name, _ in slices.find_slice_members(rows, ["rows"])]
    assert (len(names), names[0], names[-1]) == (100, "rows=town 000", "rows=town 149")


def test_scores_by_slice_are_those_of_the_slices_own_rows():
    rng = np.random.default_rng(0)
    predictions, origin = rng.uniform(size=1200), rng.choice(["EWR", "JFK"], 1200)
    labels = rng.uniform(size=1200) < predictions
    found = slices.score_slices(BINARY, labels, predictions, DAYS, pl.DataFrame({"origin": origin}))
    jfk = found.filter(slice="origin=JFK")
    own = origin == "JFK"
    assert dict(jfk.select("metric", "value").iter_rows()) == compute_metrics(BINARY, labels[own], predictions[own])
    assert jfk.select(pl.col("rows").first(), pl.col("days").first()).row(0) == (own.sum(), 30)
    assert found.select((pl.col("low") <= pl.col("value")) & (pl.col("value") <= pl.col("high"))).to_series().all()


def test_a_slice_with_a_single_class_has_the_primary_metric_only():
    labels, predictions = np.arange(1200) % 2 == 0, np.full(1200, 0.25)
    found = slices.score_slices(
        BINARY, labels, predictions, DAYS, pl.DataFrame({"even": np.where(labels, "yes", "no")})
    )
    assert found["metric"].to_list() == ["log_loss", "log_loss"]
    assert found["value"].to_list() == pytest.approx([-np.log(0.75), -np.log(0.25)])


# Slices that nobody had thought of


def test_a_bad_corner_of_two_features_is_found_first():
    features, losses = made_up()
    corner = ((features["wind"] >= 75) & (features["origin"] == "LGA")).to_numpy()
    found = slices.find_worst_slices(features, losses + 5 * corner, DAYS, min_rows=30)
    assert found["slice"][0].startswith("wind=from 7")
    assert found["slice"][0].endswith("and origin=LGA")
    assert found["low"][0] > 0


def test_a_bad_value_of_one_feature_stands_for_its_pairs():
    features, losses = made_up()
    missing = features["temp"].is_nan().to_numpy()
    found = slices.find_worst_slices(features, losses + 5 * missing, DAYS, min_rows=30)
    assert found["slice"][0] == "temp=missing"
    assert not found["slice"][1:].str.contains("temp=missing").any()


@pytest.mark.slow
def test_where_no_slice_is_bad_none_is_surely_so():
    sure = [(slices.find_worst_slices(*made_up(seed), DAYS, min_rows=30)["low"] > 0).any() for seed in range(100)]
    assert np.mean(sure) <= 0.05


def test_a_bad_day_is_no_bad_slice():
    """One origin has all its rows on the bad days: they are compared with the other rows of those days."""
    features, losses = made_up()
    bad = DAYS >= 5
    found = slices.find_worst_slices(
        features.with_columns(origin=np.where(bad & (np.arange(1200) % 2 == 0), "LGA", "EWR")), losses + 9 * bad, DAYS
    )
    assert found["low"].max() < 0


def test_slices_of_few_rows_or_days_or_of_most_rows_are_left_out():
    features, losses = made_up()
    thin = pl.DataFrame({"flag": np.where(DAYS < 15, "early", "late")})
    assert len(slices.find_worst_slices(thin, losses, DAYS, min_days=20)) == 0
    assert len(slices.find_worst_slices(thin, losses, DAYS, min_rows=601, min_days=10)) == 0
    assert len(slices.find_worst_slices(thin, losses, DAYS, min_rows=600, min_days=10)) == 2
    assert (slices.find_worst_slices(features, losses, DAYS, min_rows=1)["rows"] <= 600).all()


def test_slices_are_ranked_by_what_is_sure_of_their_excess():
    found = slices.find_worst_slices(*made_up(), DAYS, min_rows=30)
    assert found["low"].to_list() == sorted(found["low"], reverse=True)
    assert (found["low"] < found["excess"]).all()


def find_slices_naively(features: pl.DataFrame, losses: np.ndarray, min_rows: int, min_days: int) -> dict[str, tuple]:
    """Rows, days and mean excess of every slice of text columns that is large enough, one by one."""
    excess = losses - np.array([losses[day == DAYS].mean() for day in DAYS])
    ways = [[a] for a in features.columns] + [[a, b] for a, b in combinations(features.columns, 2)]
    sizes = {}
    for way in ways:
        for values in features.select(way).unique().iter_rows():
            pairs = list(zip(way, values, strict=True))
            members = features.select(pl.all_horizontal(pl.col(n) == v for n, v in pairs)).to_series().to_numpy()
            size = members.sum(), len(np.unique(DAYS[members])), excess[members].mean()
            sizes[" and ".join(f"{n}={v}" for n, v in pairs)] = size
    return {n: s for n, s in sizes.items() if min_rows <= s[0] <= len(losses) / 2 and s[1] >= min_days}


@pytest.mark.slow
@given(seed=st.integers(0, 2**31), values=st.integers(2, 40), min_rows=st.integers(2, 60), min_days=st.integers(1, 20))
@settings(max_examples=8, deadline=None)
def test_slices_found_by_their_rows_are_those_of_a_naive_search(seed, values, min_rows, min_days):
    rng = np.random.default_rng(seed)
    features = pl.DataFrame({name: rng.integers(0, values, 1200).astype(str) for name in ("town", "street", "shop")})
    losses = rng.exponential(size=1200)
    found = slices.find_worst_slices(features, losses, DAYS, 10**6, min_rows, min_days)
    naive = find_slices_naively(features, losses, min_rows, min_days)
    singles = [name for name in found["slice"] if " and " not in name]
    assert set(singles) == {name for name in naive if " and " not in name}
    for row in found.iter_rows(named=True):
        assert (row["rows"], row["days"], row["excess"]) == pytest.approx(naive[row["slice"]])


def test_slices_of_two_columns_of_thousands_of_values_take_memory_by_rows():
    rng = np.random.default_rng(0)
    features = pl.DataFrame({name: rng.integers(0, 5_000, 20_000).astype(str) for name in ("customer", "product")})
    tracemalloc.start()
    slices.find_worst_slices(features, rng.exponential(size=20_000), np.arange(20_000) % 60, min_rows=2, min_days=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def test_the_fast_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    predictions = rng.integers(0, 20, 300) / 20
    labels = rng.uniform(size=300) < predictions
    expected = roc_auc_score(labels, predictions), average_precision_score(labels, predictions)
    assert compute_roc_pr_areas(labels, predictions) == pytest.approx(expected)


@pytest.mark.slow
def test_joint_limits_hold_more_and_reach_further_the_more_there_are():
    pulls = np.random.default_rng(0).standard_normal((50, 30))
    means, errors = pulls.mean(axis=1), bootstrap.compute_standard_errors(pulls)
    alone, together = (bootstrap.compute_joint_limits(means[:k], errors[:k], 30) for k in (1, 50))
    assert together[0][0] < alone[0][0] < alone[1][0] < together[1][0]
