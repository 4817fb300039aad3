"""Checks of the doctor on frames: what each finds, and what it lets be."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from penumbra.core.encoding import FeatureEncoder, derive_features
from penumbra.core.settings import load_settings
from penumbra.features import Category, Expression, Number
from penumbra.patterns.candidate import Candidate
from penumbra.training.doctor import checks, notes, serving_skew
from problem import schema
from tests.helpers.problems.orders import load_orders


def columns_of(findings):
    return [finding.column for finding in findings]


# Constant and empty features


def monthly(*batches):
    """One column, its batches, named 1, 2, …, and its days, five a batch."""
    names = [str(number) for number, values in enumerate(batches, 1) for _ in values]
    days = pl.Series([f"{name}-{n % 5}" for n, name in enumerate(names)])
    return pl.DataFrame({"pressure": [value for values in batches for value in values]}), pl.Series(names), days


VARIED, FROZEN, GONE = [1.0, 2.0] * 20, [2.0] * 40, [None] * 39 + [2.0]


@pytest.mark.parametrize(
    ("batches", "evidence"),
    [
        ([FROZEN, FROZEN], "constant (2.0) in all 80 rows"),
        ([GONE, GONE], "97.5% missing in all 80 rows"),
        ([[None] * 40], "100.0% missing in all 40 rows"),
        ([VARIED, VARIED, FROZEN], "constant (2.0) in the 40 rows of the latest batch, 3, and never before"),
        ([VARIED, VARIED, GONE], "97.5% missing in the 40 rows of the latest batch, 3, and never before"),
    ],
)
def test_lifeless_features_are_found(batches, evidence):
    found = checks.find_constant_features(*monthly(*batches))
    assert [(finding.column, finding.evidence) for finding in found] == [("pressure", evidence)]


@pytest.mark.parametrize(
    ("batches", "check"),
    [
        ([FROZEN, FROZEN], checks.CONSTANT_FEATURE),
        ([[None] * 40, [None] * 40], checks.EMPTY_FEATURE),
        ([VARIED, VARIED, FROZEN], checks.LIFELESS_FEATURE),
        ([[None] * 39 + [1.0], [None] * 40], checks.NEARLY_EMPTY_FEATURE),
    ],
)
def test_a_value_that_all_rows_share_is_another_check_than_none_at_all(batches, check):
    assert [finding.check for finding in checks.find_constant_features(*monthly(*batches))] == [check]


@pytest.mark.parametrize(
    "batches",
    [
        [VARIED],
        [VARIED, FROZEN, VARIED],
        [[1.0] * 40, [2.0] * 40],
        [VARIED, [2.0] * 5],
        [[2.0] * 400 + [3.0], FROZEN],
        [[2.0, None] * 20],
    ],
    ids=["it varies", "frozen once", "constant within each batch", "a tiny batch", "mostly this value", "flag"],
)
def test_features_that_are_alive_are_let_be(batches):
    assert checks.find_constant_features(*monthly(*batches)) == []


def test_the_latest_batch_is_the_one_named_last_wherever_it_stands():
    values, batch, day = monthly(FROZEN, VARIED)
    other = batch.replace_strict({"1": "2", "2": "1"})
    assert checks.find_constant_features(values, batch, day) == []
    assert columns_of(checks.find_constant_features(values, other, day)) == ["pressure"]


def test_a_rare_flag_that_was_absent_for_a_month_isnt_constant():
    """It is up on all 60 orders of three days of a quarter, and on none of the next month."""
    day = pl.Series([n // 60 for n in range(121 * 60)])
    batch = pl.Series([str(1 + min(n // 1860, 3)) for n in range(121 * 60)])
    flag = pl.DataFrame({"holiday": day.is_in([10, 40, 80])})
    assert checks.find_constant_features(flag, batch, day) == []


def test_a_flag_of_every_day_that_was_absent_for_a_month_is_constant():
    day = pl.Series([n // 60 for n in range(121 * 60)])
    batch = pl.Series([str(1 + min(n // 1860, 3)) for n in range(121 * 60)])
    flag = pl.DataFrame({"member": pl.select((pl.int_range(121 * 60) % 3 == 0) & (pl.lit(batch) != "4")).to_series()})
    assert columns_of(checks.find_constant_features(flag, batch, day)) == ["member"]


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (pl.Series([0, 1, 1], dtype=pl.Int8), ["target"]),
        (pl.Series([0.0, 1.0]), ["target"]),
        (pl.Series([False, True]), []),
        (pl.Series([0, 1, 2]), []),
        (pl.Series([0, 0]), []),
    ],
)
def test_a_yes_or_no_that_is_written_as_a_number_is_found(label, found):
    assert columns_of(checks.find_numeric_flag(label)) == found


@pytest.mark.parametrize("label", [[True, True], [False], []])
def test_a_target_with_one_value_is_found(label):
    assert columns_of(checks.find_constant_target(pl.Series(label, dtype=pl.Boolean))) == ["target"]


def test_a_target_with_two_values_is_fine():
    assert checks.find_constant_target(pl.Series([True, False])) == []


# Keys, time, labels


def test_a_key_that_two_batches_have_is_found_with_an_example():
    rows = pl.DataFrame({"carrier": ["UA", "AA", "UA"], "flight": [1, 1, 1], "penumbra.batch": ["a", "a", "b"]})
    found = checks.find_repeated_keys(rows, ["carrier", "flight"])
    assert columns_of(found) == ["carrier, flight"]
    assert found[0].evidence == "1 key appears more than once, such as carrier UA, flight 1 in a and b"


@pytest.mark.parametrize("key", [["flight"], []])
def test_different_keys_or_no_key_are_fine(key):
    assert checks.find_repeated_keys(pl.DataFrame({"flight": [1, 2], "penumbra.batch": ["a", "b"]}), key) == []


def hours(first, last):
    start = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    return pl.Series("hour", [start + dt.timedelta(hours=hour) for hour in range(first, last)])


def test_batches_that_follow_each_other_are_in_order():
    assert checks.find_unordered_batches({"a": hours(0, 700), "b": hours(700, 1400), "c": hours(1400, 2000)}) == []


def test_batches_may_overlap_by_the_hours_of_time_zones():
    assert checks.find_unordered_batches({"a": hours(0, 700), "b": hours(695, 1400)}) == []


@pytest.mark.parametrize(
    ("times", "early"),
    [
        ({"a": hours(700, 1400), "b": hours(0, 700)}, "700 of the 700"),
        ({"a": hours(0, 700), "b": hours(600, 1300)}, "98 of the 700"),
        ({"a": hours(0, 700), "b": hours(0, 700)}, "698 of the 700"),
    ],
    ids=["swapped", "overlapping", "the same again"],
)
def test_batches_out_of_order_are_found(times, early):
    found = checks.find_unordered_batches(times)
    assert columns_of(found) == ["hour"]
    assert found[0].evidence.startswith(f"{early} rows of b (2013-01-")


def test_one_wrong_clock_is_no_disorder():
    late = pl.concat([hours(0, 5000), hours(9000, 9001)])
    assert checks.find_unordered_batches({"a": late, "b": hours(5000, 6000)}) == []


REJECTED = pl.DataFrame(
    {
        "penumbra.batch": ["a"] * 4,
        "penumbra.row": [3, 5, 7, 8],
        "penumbra.broken": [
            ["flight|nullability"],
            ["flight|dtype", "distance|min"],
            ["distance|min"],
            ["flight|nullability"],
        ],
        "flight": [None, "x", "7", None],
        "delay": ["4", "-2", "1", None],
    }
)


def test_labels_without_a_key_are_counted_with_an_example():
    found = checks.find_keyless_labels(REJECTED, ["carrier", "flight"], ["delay"])
    assert columns_of(found) == ["flight"]
    assert found[0].evidence == ("2 rows have a label and no usable key: row 3 of a has flight None, delay 4")


@pytest.mark.parametrize("rejected", [pl.DataFrame(), REJECTED.drop("delay"), REJECTED[2:]])
def test_rejected_rows_without_a_label_or_with_their_key_are_let_be(rejected):
    assert checks.find_keyless_labels(rejected, ["flight"], ["delay"]) == []


# Train/serve skew


KINDS = (Number("size"), Category("colour"))
TRAINED = FeatureEncoder(KINDS, {"colour": {"red": 0}})
ASKED_ROWS = pl.DataFrame({"size": [1.5, None], "colour": ["red", "mauve"]})
ASKED = serving_skew.SkewSample(ASKED_ROWS.to_dicts(), derive_features(KINDS, ASKED_ROWS), np.array([0.25, 0.5]))


def test_the_same_answers_are_no_skew():
    assert serving_skew.find_serving_skew(TRAINED, ASKED, {"one": [0.25, 0.5000004], "list": [0.25, 0.5]}) == []


@pytest.mark.parametrize("answer", [0.500002, float("nan"), "refused (size must be a number)"])
def test_another_answer_is_skew_and_is_shown(answer):
    found = serving_skew.find_serving_skew(TRAINED, ASKED, {"one": [0.25, 0.5], "list": [0.25, answer]})
    assert columns_of(found) == ["prediction"]
    assert f"1 of 2 answers to list differ: {answer} instead of training's 0.5" in found[0].evidence


def test_skew_names_the_input_that_a_single_record_has_otherwise():
    asked = serving_skew.SkewSample(
        ASKED.records, ASKED.features.with_columns(pl.Series("size", [1.5, 0.0])), ASKED.expected
    )
    found = serving_skew.find_serving_skew(TRAINED, asked, {"one": [0.25, 0.75]})
    assert columns_of(found) == ["size"]
    assert "{'size': None, 'colour': 'mauve'}" in found[0].evidence


def test_a_free_expression_is_noted_with_its_price():
    kinds = [Number("distance"), Expression("far", pl.col("distance") * 2, schema.Row)]
    assert [note.split()[0] for note in notes.note_slow_features(kinds)] == ["far"]


def test_a_category_of_more_values_than_boosting_takes_is_noted_with_the_candidates(tmp_path):
    orders = load_orders(tmp_path)
    towns = {"region": [f"town {n}" for n in range(398)], "amount": [1.0] * 398, "age": [30.0] * 398}
    features, kinds = pl.DataFrame(towns), orders.features.FEATURES
    plain = {"baseline": Candidate(orders.candidates.baseline)}
    (note,) = notes.note_large_categories(features, kinds, {**orders.candidates.CANDIDATES, **plain})
    assert note.startswith("region has 398 values, and boosting can take 255 and will be left out: fold rare values")
    assert list(notes.note_large_categories(features.head(255), kinds, orders.candidates.CANDIDATES)) == []
    assert list(notes.note_large_categories(features, kinds, plain)) == []


def test_features_that_read_a_sensitive_column_or_tell_its_groups_are_noted():
    sex = ["f", "m"] * 200
    features = pl.DataFrame({"title": ["Ms" if each == "f" else "Mr" for each in sex], "sex": sex, "age": [30.0] * 400})
    kinds = [Category("title"), Category("sex"), Number("age")]
    sensitive = SimpleNamespace(SENSITIVE={"sex": pl.col("sex").cast(pl.String)})
    found = list(notes.note_sensitive_features(kinds, sensitive, features, pl.DataFrame({"sex": sex})))
    assert [note.partition(" (")[0] for note in found] == [
        "the sensitive groups of sex are made of sex, which is an input of sex: the model may decide by them",
        "title alone tells the groups of sex",
    ]


def test_no_candidate_is_made_where_every_category_is_small():
    made = []
    candidates = {"plain": Candidate(lambda columns: made.append(columns))}
    assert (
        list(notes.note_large_categories(pl.DataFrame({"region": ["a", "b"]}), (Category("region"),), candidates)) == []
    )
    assert made == []


def test_a_missing_key_is_noted_with_what_it_costs():
    assert [note.split(":")[0] for note in notes.note_missing_key([])] == ["Row has no primary key"]
    assert list(notes.note_missing_key(["order_id"])) == []


def test_a_margin_in_another_unit_is_noted():
    settings = load_settings(environ={"PENUMBRA_PROMOTION__MARGIN_SHARE": "0.5"})
    (note,) = notes.note_wide_margins(settings)
    assert note.startswith("promotion.margin_share = 0.5 lets a model pass that loses 50% of the baseline's loss more")
