import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from penumbra.core.metrics.scores import compute_metrics, compute_roc_pr_areas
from penumbra.core.task import Task
from penumbra.training import bootstrap, slices
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
    names, belongs = slices.find_slice_members(
        pl.DataFrame({"origin": ["JFK", "EWR", None], "late": [True, True, False]}), ["origin"]
    )
    assert names == ["origin=EWR", "origin=JFK"]
    assert belongs.tolist() == [[False, True, False], [True, False, False]]


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


def test_the_fast_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    predictions = rng.integers(0, 20, 300) / 20
    labels = rng.uniform(size=300) < predictions
    expected = roc_auc_score(labels, predictions), average_precision_score(labels, predictions)
    assert compute_roc_pr_areas(labels, predictions) == pytest.approx(expected)


def test_joint_limits_hold_more_and_reach_further_the_more_there_are():
    pulls = np.random.default_rng(0).standard_normal((50, 30))
    alone, together = bootstrap.compute_joint_limits(pulls[:1]), bootstrap.compute_joint_limits(pulls)
    assert together[0][0] < alone[0][0] < alone[1][0] < together[1][0]
