"""Group metrics against literal values and fairlearn's, and the gate's check of them on simulated days."""

import datetime as dt
import re
from types import SimpleNamespace

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from penumbra.core.columns import DAY_COLUMN
from penumbra.core.metrics.group_metrics import compute_group_values, select_groups, sum_by_group
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.training.evaluation.group_scores import compare_groups, score_groups
from penumbra.training.evaluation.slices import score_slices
from penumbra.training.gate.fairness import GroupSums, check_fairness

LIMITS = load_settings(environ={}).gate.model_copy(
    update={"min_days": 20, "fairness_limit": 0.2, "fairness_margin": 0.05}
)
BINARY, CLASSES, NUMBER = Task("binary"), Task("multiclass", ("a", "b")), Task("regression")
FIRST = dt.date(2024, 1, 1)


def sums(task, groups, labels, predictions, days=None, threshold=0.5, column="sex"):
    days = np.zeros(len(labels), int) if days is None else days
    dates = pl.Series([FIRST + dt.timedelta(days=int(day)) for day in days], dtype=pl.Date)
    values = compute_group_values(task, np.asarray(labels), np.asarray(predictions), threshold)
    return sum_by_group(pl.DataFrame({column: groups}, {column: pl.String}), values, dates)


def values_by_group(found, metric):
    return dict(found.filter(metric=metric).select("group", "value").iter_rows())


def simulate(rates, days=40, per_day=30, seed=0, truth=0.5):
    """Decisions of groups whose rows are decided for True at these rates, whatever their label."""
    rng = np.random.default_rng(seed)
    size = days * per_day
    day, group = np.repeat(np.arange(days), per_day), rng.choice(list(rates), size)
    labels = rng.random(size) < truth
    chosen = rng.random(size) < np.array([rates[name] for name in group])
    return sums(BINARY, group.tolist(), labels, np.where(chosen, 0.9, 0.1), day)


def simulate_columns(seed, *columns):
    """Columns of equal groups, each named by the letters of its groups."""
    return pl.concat(
        simulate(dict.fromkeys(groups, 0.5), seed=seed + 1000 * number).with_columns(column=pl.lit(f"{groups}{number}"))
        for number, groups in enumerate(columns)
    )


# Metrics of groups


def test_rates_of_a_group_are_those_counted_by_hand():
    labels = [True, True, False, False, True, False, False, False]
    scores = [0.9, 0.2, 0.7, 0.1, 0.6, 0.5, 0.4, 0.3]
    found = score_groups(sums(BINARY, list("aaaabbbb"), labels, scores))
    assert values_by_group(found, "selection_rate") == {"a": 0.5, "b": 0.5}
    assert values_by_group(found, "true_positive_rate") == {"a": 0.5, "b": 1.0}
    assert values_by_group(found, "false_positive_rate") == pytest.approx({"a": 0.5, "b": 1 / 3})
    assert values_by_group(found, "accuracy") == {"a": 0.5, "b": 0.75}
    assert found.filter(metric="true_positive_rate")["rows"].to_list() == [2, 1]


def test_classes_are_compared_by_accuracy_and_numbers_by_their_errors():
    found = score_groups(sums(CLASSES, ["x", "x", "y"], [0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]))
    assert values_by_group(found, "accuracy") == {"x": 0.5, "y": 1.0}
    found = score_groups(sums(NUMBER, ["x", "x", "y"], [1.0, 2.0, 3.0], [2.0, 1.0, 5.0]))
    assert values_by_group(found, "mean_error") == {"x": 0.0, "y": 2.0}
    assert values_by_group(found, "mean_absolute_error") == {"x": 1.0, "y": 2.0}
    assert values_by_group(found, "mean_prediction") == {"x": 1.5, "y": 5.0}


def test_a_row_without_a_group_counts_for_none():
    found = score_groups(sums(BINARY, ["a", None, "b"], [True, True, True], [0.9, 0.9, 0.1]))
    assert values_by_group(found, "selection_rate") == {"a": 1.0, "b": 0.0}


def test_a_groups_loss_has_the_interval_of_the_slice_with_the_same_rows():
    rng = np.random.default_rng(3)
    days = rng.integers(0, 40, 400)
    groups = np.where(days % 3 == 0, rng.choice(["a", "b"], 400), "a")
    labels, predictions = rng.normal(size=400), rng.normal(size=400)
    of_groups = score_groups(sums(NUMBER, groups.tolist(), labels, predictions, days)).filter(metric="loss")
    named = pl.DataFrame({"sex": groups})
    of_slices = score_slices(NUMBER, labels, predictions, days, named).filter(metric="squared_error")
    names = ["rows", "days", "value", "low", "high"]
    assert_frame_equal(of_groups.select(names), of_slices.select(names), rel_tol=1e-9)


def test_a_group_of_few_days_has_no_interval_whatever_the_days_of_others():
    groups = [*["rare"] * 3, *["often"] * 120]
    errors = np.array([4.0, 9.0, 20.0, *np.random.default_rng(0).normal(size=120)])
    found = score_groups(sums(NUMBER, groups, np.zeros(123), errors, [3, 11, 25, *np.arange(120) % 30]))
    rare = {metric: limits for metric, *limits in found.filter(group="rare").select("metric", "low", "high").rows()}
    assert (rare["mean_error"], rare["loss"]) == ([-np.inf, np.inf], [-np.inf, np.inf])
    assert found.filter(group="often").select(pl.col("low", "high").is_finite().all()).row(0) == (True, True)


def test_no_limit_of_a_group_is_beyond_what_its_metric_can_be():
    rng = np.random.default_rng(1)
    days, labels = np.repeat(np.arange(25), 2), rng.random(50) < 0.9
    rates = score_groups(sums(BINARY, ["a"] * 50, labels, rng.random(50) * 0.3 + 0.4, days))
    errors = score_groups(sums(NUMBER, ["a"] * 50, np.zeros(50), rng.normal(size=50) ** 9, days))
    bounded = pl.concat([rates, errors.filter(pl.col("metric").is_in(["loss", "mean_absolute_error"]))])
    assert bounded.filter(pl.col("low").is_finite())["low"].min() == 0
    shares = rates.filter((pl.col("metric") != "loss") & pl.col("high").is_finite())
    assert shares["high"].max() <= 1
    assert errors.filter(metric="mean_error")["low"][0] < 0


def test_numbers_are_cut_into_groups_and_a_column_that_is_left_out_gives_none():
    class Row(dy.Schema):
        age = dy.Int16(nullable=True)
        sex = dy.Enum(["f", "m"], nullable=True)

    years = pl.col("age")
    age = pl.when(years < 30).then(pl.lit("below 30")).when(years >= 30).then(pl.lit("from 30"))
    schema = SimpleNamespace(Row=Row, SENSITIVE={"age group": age, "sex": pl.col("sex").cast(pl.String)})
    found = select_groups(schema, pl.DataFrame({"age": [20.0, 40.0, None]}))
    assert found["age group"].to_list() == ["below 30", "from 30", None]
    assert found["sex"].to_list() == [None, None, None]


@pytest.mark.slow
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([None, "a", "b"]), st.booleans(), st.floats(0, 1), st.integers(0, 4)), min_size=1
    ),
    cut=st.integers(0, 50),
)
def test_sums_of_parts_add_up_to_those_of_the_whole(rows, cut):
    whole = sums(BINARY, *zip(*rows, strict=True))
    parts = pl.concat([sums(BINARY, *zip(*part, strict=True)) for part in (rows[:cut], rows[cut:]) if part])
    names = ["column", "group", "metric", DAY_COLUMN]
    together = parts.group_by(names).agg(pl.col("sum", "rows").sum()).sort(names)
    assert_frame_equal(together, whole, check_exact=False)


# Differences


def test_the_largest_difference_has_an_interval_for_all_pairs_of_groups_together():
    found = compare_groups(simulate({"a": 0.7, "b": 0.4, "c": 0.5}), "binary")
    odds = found.row(by_predicate=pl.col("comparison") == "equalized_odds", named=True)
    assert (odds["highest"], odds["lowest"]) == ("a", "b")
    assert odds["low"] < odds["value"] < odds["high"]
    assert odds["low"] > 0.15
    assert odds["high"] < 0.5


@pytest.mark.parametrize(("days", "has_limits"), [(10, False), (12, False), (15, True)])
def test_a_difference_has_limits_from_as_many_days_on_as_the_metrics_of_its_groups(days, has_limits):
    of_days = simulate({"a": 0.7, "b": 0.4}, days=days)
    for found in (compare_groups(of_days, "binary"), score_groups(of_days)):
        limits = found.filter(pl.any_horizontal(pl.col("low", "high").is_finite()))
        assert limits.height == (found.height if has_limits else 0)


def test_groups_of_few_rows_are_not_compared():
    assert not compare_groups(sums(BINARY, ["a", "b"] * 49, [True] * 98, [0.9, 0.1] * 49), "binary").height


# The gate's check


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [({"a": 0.8, "b": 0.3}, "fail"), ({"a": 0.5, "b": 0.5}, "pass"), ({"a": 0.6, "b": 0.5}, "pass")],
)
def test_groups_that_surely_differ_by_more_than_the_limit_fail(rates, verdict):
    check = check_fairness(GroupSums(simulate(rates), None, "binary"), LIMITS)
    assert (check.name, check.verdict, check.limit) == ("fairness", verdict, 0.2)


def test_a_failing_check_names_the_groups_with_their_rates_and_the_setting():
    check = check_fairness(GroupSums(simulate({"a": 0.8, "b": 0.3}), None, "binary"), LIMITS)
    assert "true positive rate of sex=a 0.8" in check.sentence
    assert "of b 0.3" in check.sentence or "of b 0.2" in check.sentence
    assert check.sentence.endswith("the limit is gate.fairness_limit of settings.toml")


@pytest.mark.parametrize(
    ("candidate", "live", "verdict"),
    [
        ({"a": 0.8, "b": 0.3}, {"a": 0.8, "b": 0.3}, "pass"),  # as unequal as the live model
        ({"a": 0.7, "b": 0.4}, {"a": 0.8, "b": 0.3}, "pass"),  # less so, though above the limit
        ({"a": 0.9, "b": 0.2}, {"a": 0.7, "b": 0.4}, "fail"),  # above the limit, and more so than live
        ({"a": 0.3, "b": 0.8}, {"a": 0.8, "b": 0.3}, "pass"),  # as much, the other way round
        ({"a": 0.58, "b": 0.5}, {"a": 0.5, "b": 0.5}, "pass"),  # more so than live, below the limit
    ],
)
def test_a_difference_above_the_limit_fails_only_where_it_is_surely_larger_than_the_live_models(
    candidate, live, verdict
):
    found = GroupSums(simulate(candidate, per_day=100), simulate(live, per_day=100), "binary")
    assert check_fairness(found, LIMITS).verdict == verdict


def test_a_column_with_one_group_of_rows_enough_is_not_enough_data():
    few = sums(BINARY, ["a"] * 600 + ["b"] * 10, [True] * 610, [0.9] * 600 + [0.1] * 10, np.arange(610) % 30)
    check = check_fairness(GroupSums(few, None, "binary"), LIMITS)
    assert check.verdict == "not enough data"
    assert check.sentence.endswith("; too little of sex=b (10 of 50 rows)")


def test_a_group_on_too_few_days_is_named_with_its_days():
    days = np.concatenate([np.arange(600) % 30, np.arange(600) % 14])
    few = sums(NUMBER, ["a"] * 600 + ["b"] * 600, np.zeros(1200), np.ones(1200), days)
    check = check_fairness(GroupSums(few, None, "regression"), LIMITS)
    assert check.verdict == "not enough data"
    assert check.sentence.endswith("; too little of sex=b (14 of 20 days)")


def test_a_column_that_cannot_be_judged_is_named_beside_one_that_can():
    both = pl.concat([simulate({"a": 0.5, "b": 0.5}), simulate({"old": 0.5}).with_columns(column=pl.lit("age"))])
    check = check_fairness(GroupSums(both, None, "binary"), LIMITS)
    assert (check.verdict, "age can't be judged" in check.sentence) == ("not enough data", True)


def test_a_rate_of_too_few_rows_is_not_judged_by_the_other_alone():
    labels, groups = np.arange(3000) % 100 == 0, np.where(np.arange(3000) % 200 < 100, "a", "b")
    found = sums(BINARY, groups.tolist(), labels, np.where(labels & (groups == "a"), 0.9, 0.1), np.arange(3000) % 30)
    check = check_fairness(GroupSums(found, None, "binary"), LIMITS)
    assert (check.verdict, "true positive rate of sex can't be judged" in check.sentence) == ("not enough data", True)
    compared = compare_groups(found, "binary")["comparison"].to_list()
    assert compared == ["demographic_parity", "accuracy"]


def test_a_column_of_which_no_row_has_a_group_cannot_be_judged():
    found = GroupSums(simulate({"a": 0.5, "b": 0.5}), None, "binary", columns=["sex", "age"])
    check = check_fairness(found, LIMITS)
    assert (check.verdict, "of age can't be judged" in check.sentence) == ("not enough data", True)


def test_a_column_of_many_groups_hides_no_difference_in_another():
    towns = {f"town {number}": 0.5 for number in range(15)}
    many = simulate(towns, per_day=300).with_columns(column=pl.lit("town"))
    two = simulate({"a": 0.7, "b": 0.38}, per_day=60)
    check = check_fairness(GroupSums(pl.concat([many, two]), None, "binary"), LIMITS)
    assert (check.verdict, "of sex=a" in check.sentence, "town" in check.sentence) == ("fail", True, False)


@pytest.mark.slow
def test_of_a_column_the_20_groups_with_the_most_rows_are_judged():
    groups = [f"g{number:02}" for number in range(22) for _ in range(300 if number < 20 else 200)]
    size = len(groups)
    found = sums(BINARY, groups, np.arange(size) % 2 == 0, np.full(size, 0.9), np.arange(size) % 25)
    check = check_fairness(GroupSums(found, None, "binary"), LIMITS)
    assert check.verdict == "pass"
    assert check.sentence.endswith("; 2 groups of sex beyond its 20 largest")
    assert score_groups(found)["group"].unique().sort().to_list() == [f"g{number:02}" for number in range(20)]


def test_every_metric_is_of_the_same_groups():
    size = np.array([60] * 20 + [50])  # rows of each; of the last all are positive
    groups = np.repeat([f"g{number:02}" for number in range(21)], size)
    labels = (groups == "g20") | (np.arange(len(groups)) % 2 == 0)
    found = score_groups(sums(BINARY, groups.tolist(), labels, np.full(len(groups), 0.9)))
    assert "g20" not in found["group"]


def test_the_sentence_names_a_few_of_many_groups():
    groups = [f"town {number}" for number in range(3000)]
    few = sums(BINARY, groups, [True, False] * 1500, [0.9] * 3000, np.arange(3000) % 30)
    both = pl.concat([few, simulate({"a": 0.5, "b": 0.5}).with_columns(column=pl.lit("the other"))])
    check = check_fairness(GroupSums(both, None, "binary"), LIMITS)
    assert len(check.sentence) < 1000
    assert check.sentence.endswith("; 2,980 groups of sex beyond its 20 largest")


def test_a_sensitive_column_may_have_the_name_of_a_metric():
    found = sums(BINARY, ["a", "b"], [True, True], [0.9, 0.1], column="accuracy")
    assert values_by_group(score_groups(found), "accuracy") == {"a": 1.0, "b": 0.0}


def test_the_limit_of_numbers_is_a_share_of_the_baselines_mean_absolute_error():
    rng = np.random.default_rng(0)
    groups, day = ["a", "b"] * 600, np.repeat(np.arange(40), 30)
    labels = rng.normal(100, 10, 1200)
    predictions = labels + np.where(np.array(groups) == "a", 4.0, 0.0) + rng.normal(0, 1, 1200)
    found = sums(NUMBER, groups, labels, predictions, day)
    assert check_fairness(GroupSums(found, None, "regression", unit=8.0), LIMITS).verdict == "fail"  # 4 > 0.2 · 8
    assert check_fairness(GroupSums(found, None, "regression", unit=40.0), LIMITS).verdict == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("columns", [["abc"], ["ab", "ab", "abcde"]])
def test_equal_groups_fail_at_a_limit_of_almost_nothing_in_at_most_5_percent(columns):
    strict = LIMITS.model_copy(update={"fairness_limit": 1e-9})
    found = [check_fairness(GroupSums(simulate_columns(seed, *columns), None, "binary"), strict) for seed in range(200)]
    assert sum(check.verdict == "fail" for check in found) <= 16  # 10 are promised at most; 17 or more come in 2 %


def test_two_groups_that_differ_by_more_than_is_allowed_by_what_may_be_chance_are_named():
    check = check_fairness(GroupSums(simulate({"a": 0.5, "b": 0.72}, days=24, per_day=12), None, "binary"), LIMITS)
    assert (check.verdict, check.measured > check.limit) == ("pass", True)
    assert re.search(r"; .* rate of sex=b [\d.]+, of a [\d.]+ may be chance", check.sentence)
