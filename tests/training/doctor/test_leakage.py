import dataframely as dy
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.features import Difference, Expression, Number
from penumbra.training.doctor import leakage, linear_leakage

ROWS = 400
SEEDS = st.integers(0, 10_000)


def columns_of(findings):
    return [finding.column for finding in findings]


def noise(seed, rows=ROWS):
    """Features of every sort that say nothing, with gaps, and a label."""
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "size": random.normal(size=rows),
            "count": random.poisson(3, rows).astype(float),
            "colour": random.choice(["red", "green", "blue"], rows),
            "id": [f"{number:x}" for number in random.integers(0, 10**9, rows)],
        }
    )
    gaps = frame.with_columns(pl.when(pl.lit(random.random(rows) > 0.1)).then(pl.col("count", "colour")))
    return gaps, pl.Series("label", random.random(rows) < 0.3)


# One feature predicts the target


@given(SEEDS)
def test_independent_features_are_no_leak(seed):
    frame, label = noise(seed)
    assert leakage.find_single_feature_leaks(frame, label) == []


@pytest.mark.slow
@given(SEEDS, st.sampled_from([1.0, -3.0]), st.integers(-5, 5))
def test_the_label_as_a_feature_is_always_a_leak(seed, weight, shift):
    frame, label = noise(seed)
    found = leakage.find_single_feature_leaks(frame.with_columns(copy=label.cast(pl.Float64) * weight + shift), label)
    assert columns_of(found) == ["copy"]


@given(SEEDS)
def test_what_the_label_is_a_threshold_of_is_a_leak(seed):
    frame, _ = noise(seed)
    assert columns_of(leakage.find_single_feature_leaks(frame, frame["size"] > 0)) == ["size"]


def test_a_leak_shows_its_evidence_and_a_remedy():
    frame, label = noise(1)
    finding = leakage.find_single_feature_leaks(frame.select(copy=label.cast(pl.Float64)), label)[0]
    assert "ROC AUC 1.0000 on the later 200 rows" in finding.evidence
    assert "take it out of problem/features.py" in finding.remedy


def test_a_range_in_the_middle_that_gives_the_label_is_a_leak():
    values = pl.Series(np.random.default_rng(0).random(4000))
    found = leakage.find_single_feature_leaks(pl.DataFrame({"dial": values}), values.is_between(0.4, 0.6))
    assert columns_of(found) == ["dial"]


def test_categories_that_give_the_label_are_a_leak():
    colour = pl.Series("colour", ["red", "green", "blue", None] * 100)
    assert columns_of(
        leakage.find_single_feature_leaks(colour.to_frame(), colour.is_in(["red", "blue"]).fill_null(False))
    ) == ["colour"]


def test_categories_that_never_come_again_are_no_leak():
    """Each names its row: knowing the earlier ones by heart helps nothing with the later ones."""
    _, label = noise(3)
    assert leakage.find_single_feature_leaks(pl.DataFrame({"id": [str(i) for i in range(ROWS)]}), label) == []


@pytest.mark.parametrize("dtype", [pl.Float64, pl.String])
def test_a_feature_whose_absence_gives_the_label_is_a_leak(dtype):
    frame, label = noise(4)
    reason = frame.select(pl.when(~label).then(pl.col("id").hash() % 7).cast(dtype).alias("reason"))
    found = leakage.find_single_feature_leaks(reason, label)
    assert columns_of(found) == ["reason"]
    assert found[0].evidence.startswith("whether it is missing alone")


def test_a_feature_that_gives_the_label_wherever_it_has_a_value_is_a_leak():
    frame, label = noise(5, 2000)
    sometimes = pl.when(pl.col("colour") == "red").then(label.cast(pl.Float64)).alias("sometimes")
    found = leakage.find_single_feature_leaks(frame.select(sometimes), label)
    assert columns_of(found) == ["sometimes"]
    assert "where there is one" in found[0].evidence


def test_a_leak_is_one_beside_a_few_rows_that_fit_even_better():
    number = np.arange(4000)
    label = number % 2 == 0
    value = np.where(label & (number % 200 > 0), np.random.default_rng(14).normal(size=4000), np.nan)
    value[number % 200 == 1] = 99.0  # of the rows with a value, all that lack the label
    (finding,) = leakage.find_single_feature_leaks(pl.DataFrame({"paid": value}).fill_nan(None), pl.Series(label))
    assert finding.evidence.startswith("its value alone tells the target: ROC AUC 0.99")


def test_a_strong_but_honest_feature_is_no_leak():
    random = np.random.default_rng(6)
    label = random.random(4000) < 0.3
    strong = pl.DataFrame({"strong": label * 2.5 + random.normal(size=4000)})  # area 0.96
    assert leakage.find_single_feature_leaks(strong, pl.Series(label)) == []


def test_a_few_rows_that_happen_to_fit_are_no_leak():
    frame = pl.DataFrame({"size": [1.0, 2.0, 3.0, 4.0] * 4})
    assert leakage.find_single_feature_leaks(frame, frame["size"] > 2) == []


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_hardly_any_rows_are_no_leak_and_no_error(size):
    frame, label = noise(7, size)
    assert leakage.find_single_feature_leaks(frame, label) == []


@pytest.mark.parametrize(
    ("label", "column"),
    [
        (pl.col("size") * 3, "size"),
        ((pl.col("size") * 10).round().cast(pl.Int64), "size"),
        (pl.col("colour"), "colour"),
    ],
    ids=["a quantity", "a whole number", "one of three classes"],
)
def test_other_targets_than_yes_and_no_can_leak_too(label, column):
    frame = noise(8, 1000)[0].drop_nulls()
    assert columns_of(leakage.find_single_feature_leaks(frame, frame.select(label.alias("label")).to_series())) == [
        column
    ]


@pytest.mark.parametrize("values", [["closed", "open", "filed"], [None, "a", "b"], [True, False, False]])
def test_a_category_that_tells_one_of_several_classes_is_a_leak(values):
    kinds = np.random.default_rng(10).choice(3, 600, p=[0.7, 0.2, 0.1])
    others = np.where(kinds == 0, 0, 1 + np.arange(600) % 2)
    frame = pl.DataFrame({"status": [values[other] for other in others]})
    label = pl.Series("damage", [["none", "minor", "major"][kind] for kind in kinds])
    assert [(each.column, each.evidence.split(":")[0]) for each in leakage.find_single_feature_leaks(frame, label)] == [
        (
            "status",
            f"{'whether it is missing' if None in values else 'its value'} alone tells class 'none' from all others",
        )
    ]


def test_a_number_that_tells_one_of_several_classes_is_an_honest_feature():
    kinds = np.random.default_rng(11).choice(3, 600)
    length = np.random.default_rng(12).normal(kinds.clip(1) * 20, 1)
    assert leakage.find_single_feature_leaks(pl.DataFrame({"length": length}), pl.Series(kinds).cast(pl.String)) == []


# Features that add up to the target


def delays(rows=300):
    random = np.random.default_rng(9)
    columns = {name: random.normal(0, 20, rows).round() for name in ("departure", "gain", "distance", "wind")}
    return pl.DataFrame(columns)


def test_features_that_add_up_to_a_label_column_are_a_leak_and_no_other_is_named():
    frame = delays()
    found = linear_leakage.find_linear_leaks(frame, frame.select(delay=pl.col("departure") - 2 * pl.col("gain")))
    assert columns_of(found) == ["departure, gain"]
    assert "delay = 1·departure - 2·gain + a constant" in found[0].evidence


def test_a_sum_that_midnight_breaks_in_some_rows_is_a_leak():
    frame = delays()
    midnight = pl.int_range(pl.len()) % 30 == 0
    delay = pl.col("departure") - pl.col("gain") + pl.when(midnight).then(1440).otherwise(0)
    assert columns_of(linear_leakage.find_linear_leaks(frame, frame.select(delay=delay))) == ["departure, gain"]


def test_a_sum_is_found_beside_features_with_gaps():
    gaps = pl.when(pl.int_range(pl.len()) % 40 == 0).then(pl.col("distance", "wind"))
    frame = delays().with_columns(gaps)
    assert columns_of(
        linear_leakage.find_linear_leaks(frame, frame.select(delay=pl.col("departure") + pl.col("gain")))
    ) == ["departure, gain"]


def test_features_that_nearly_add_up_are_no_leak():
    frame, rest = delays(), np.random.default_rng(10).normal(0, 5, 300)
    assert (
        linear_leakage.find_linear_leaks(
            frame, frame.select(delay=pl.col("departure") + pl.col("gain") + pl.lit(pl.Series(rest)))
        )
        == []
    )


def test_a_target_that_is_nearly_always_zero_is_no_sum():
    frame = delays()
    rare = frame.select(rare=pl.when(pl.int_range(pl.len()) % 20 == 0).then(pl.col("wind").abs()).otherwise(0.0))
    assert linear_leakage.find_linear_leaks(frame.drop("wind"), rare) == []


@pytest.mark.slow
@given(SEEDS)
def test_independent_features_add_up_to_nothing(seed):
    frame, label = noise(seed)
    outcomes = pl.DataFrame(
        {"label": label.cast(pl.Float64), "delay": np.random.default_rng(seed + 1).normal(size=ROWS)}
    )
    assert linear_leakage.find_linear_leaks(frame.select("size", "count"), outcomes) == []


@pytest.mark.slow
@given(SEEDS)
def test_the_label_column_among_the_features_is_always_a_sum(seed):
    frame, _ = noise(seed)
    delay = np.random.default_rng(seed + 1).normal(size=ROWS)
    found = linear_leakage.find_linear_leaks(
        frame.select("size", "count", minutes=pl.lit(pl.Series(delay)) * 60), pl.DataFrame({"delay": delay})
    )
    assert columns_of(found) == ["minutes"]


@pytest.mark.parametrize("frame", [pl.DataFrame(), delays().clear(), delays().head(3), delays() * 0])
def test_hardly_any_rows_or_features_add_up_to_nothing(frame):
    outcome = pl.DataFrame({"delay": [1.0, 2.0, 3.0] * frame.height}).head(frame.height)
    assert linear_leakage.find_linear_leaks(frame, outcome) == []


# Known only afterwards


class Trip(dy.Schema):
    distance = dy.Float64(nullable=True)
    planned = dy.Float64(nullable=True)


class LabelledTrip(Trip):
    took = dy.Float64(nullable=True)


@pytest.mark.parametrize(
    "kind", [Number("took"), Difference("planned", "took"), Expression("gain", pl.col("took") * 2, LabelledTrip)]
)
def test_a_feature_that_reads_what_no_request_has_is_found(kind):
    found = leakage.find_unavailable_columns([Number("distance"), kind], pl.col("took") > 5, list(Trip.columns()))
    assert columns_of(found) == [kind.name]
    assert "it reads took" in found[0].evidence


def test_a_target_that_a_request_tells_already_is_found():
    found = leakage.find_unavailable_columns([], pl.col("took") > 5, list(LabelledTrip.columns()))
    assert columns_of(found) == ["took"]


def test_a_target_may_compare_a_label_with_what_was_planned():
    target = pl.col("took") > pl.col("planned")
    assert leakage.find_unavailable_columns([Number("planned")], target, list(Trip.columns())) == []


def test_a_feature_that_is_missing_where_the_outcome_is_comes_to_be_known_with_it():
    """A cancelled flight has no air time."""
    has_outcome = pl.Series([True] * 90 + [False] * 10)
    frame = pl.DataFrame({"air": [1.0] * 90 + [None] * 10, "left": [1.0] * 92 + [None] * 8, "wind": [None, 1.0] * 50})
    assert columns_of(leakage.find_shared_missingness(frame, has_outcome)) == ["air", "left"]


def test_a_feature_that_is_missing_in_storms_that_cancel_some_flights_is_honest():
    has_outcome = pl.Series([True] * 90 + [False] * 10)
    storm = pl.DataFrame({"wind": [1.0] * 80 + [None] * 20})
    assert leakage.find_shared_missingness(storm, has_outcome) == []


@pytest.mark.parametrize(
    ("lacking", "both", "without"), [(2_508, 2_318, 2_378), (1_500, 1_395, 2_205)], ids=["awards", "critics"]
)
def test_a_feature_that_is_missing_where_most_rows_lack_the_outcome_anyway_is_honest(lacking, both, without):
    """Its own rows lack the outcome about as often: 51 % of those with awards, 72 % of those with critics."""
    frame = pl.DataFrame({"known": [None] * lacking + [1.0] * (2_625 - lacking)})
    has_outcome = [False] * both + [True] * (lacking - both) + [False] * (without - both)
    has_outcome += [True] * (2_625 - len(has_outcome))
    assert leakage.find_shared_missingness(frame, pl.Series(has_outcome)) == []


def test_a_feature_that_is_known_with_a_seldom_outcome_alone_is_found():
    has_outcome = pl.Series([True] * 20 + [False] * 180)
    frame = pl.DataFrame({"paid": [1.0] * 18 + [None] * 182})
    (found,) = leakage.find_shared_missingness(frame, has_outcome)
    assert found.evidence == "98.9% of the 182 rows that lack it have no outcome, and 0.0% of the 18 that have it"


@pytest.mark.parametrize("broken", [1, 4])
def test_a_few_rows_of_many_that_lack_feature_and_outcome_are_broken_rows(broken):
    frame = pl.DataFrame({"air": [1.0] * 4_000 + [None] * broken})
    assert leakage.find_shared_missingness(frame, pl.Series([True] * 4_000 + [False] * broken)) == []


@given(SEEDS)
def test_independent_gaps_are_no_sign(seed):
    frame, has_outcome = noise(seed)
    assert leakage.find_shared_missingness(frame, has_outcome) == []
