import datetime as dt
import shutil
from pathlib import Path
from types import SimpleNamespace

import dataframely as dy
import msgspec
import polars as pl

from stores import joined, log
from stores.index import Index
from stores.labels import Label, Terms
from stores.predictions import Entry
from tests.labelling import (
    EVENING,
    NOON,
    by_id,
    by_key,
    delays,
    hours,
    index,
    key,
    outcomes,
    predict,
    prediction,
    report,
    up_to_date,
)

DUE = 24.0


def test_a_label_by_key_is_attached_to_its_prediction(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1), prediction(2))
    report(tmp_path, by_key(2, 42))
    assert (delays(tmp_path), outcomes(tmp_path)) == ([None, 42], ["attached"])


def test_a_label_by_prediction_id_is_attached_to_it(tmp_path: Path) -> None:
    _, second = predict(tmp_path, prediction(1), prediction(2))
    report(tmp_path, by_id(second, 42))
    assert (delays(tmp_path), outcomes(tmp_path)) == ([None, 42], ["attached"])


def test_the_same_value_again_is_a_duplicate(tmp_path: Path) -> None:
    (name,) = predict(tmp_path, prediction(1))
    report(tmp_path, by_key(1, 42), by_id(name, 42))
    assert (delays(tmp_path), outcomes(tmp_path)) == ([42], ["attached", "duplicate"])


def test_of_several_values_the_latest_counts(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1))
    report(tmp_path, by_key(1, 50, NOON + hours(9)), by_key(1, 42))
    assert (delays(tmp_path), outcomes(tmp_path)) == ([50], ["attached", "correction"])


def test_of_labels_at_the_same_instant_the_one_further_on_counts(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1))
    report(tmp_path, *(by_key(1, minutes) for minutes in range(40)))
    assert delays(tmp_path) == [39]


def test_a_label_goes_to_every_prediction_of_its_key(tmp_path: Path) -> None:
    first, _ = predict(tmp_path, prediction(1), prediction(1))
    report(tmp_path, by_id(first, 42))
    assert (delays(tmp_path), outcomes(tmp_path)) == ([42, 42], ["attached"])


def test_a_label_without_its_prediction_is_an_orphan_until_that_arrives(tmp_path: Path) -> None:
    (name,) = predict(tmp_path / "elsewhere", prediction(2))
    predict(tmp_path, prediction(3))
    report(tmp_path, by_key(1, 42), by_id(name, 7))
    assert outcomes(tmp_path) == ["orphan", "orphan"]
    predict(tmp_path, prediction(1))
    shutil.copytree(tmp_path / "elsewhere/predictions", tmp_path / "predictions", dirs_exist_ok=True)
    assert outcomes(tmp_path) == ["attached", "attached"]
    assert sorted(delays(tmp_path), key=str) == [42, 7, None]


def test_no_outcome_is_a_label_too(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1))
    report(tmp_path, by_key(1, None))
    found = joined.joined(up_to_date(tmp_path))
    assert (outcomes(tmp_path), found["target"].to_list()) == (["attached"], [None])
    assert found["arrived"].to_list() == [EVENING]


def test_the_target_is_the_contracts(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1), prediction(2))
    report(tmp_path, by_key(1, 15), by_key(2, 16))
    assert joined.joined(up_to_date(tmp_path))["target"].to_list() == [False, True]


def test_where_the_contract_has_no_key_an_id_is_enough(tmp_path: Path) -> None:
    class Row(dy.Schema):
        at = dy.Datetime(nullable=False)

    class Labelled(Row):
        sold = dy.Float64(nullable=True)

    keyless = Terms.of(SimpleNamespace(Row=Row, Labelled=Labelled, TIME="at", target=lambda: pl.col("sold")))
    entry = Entry(NOON, "contract", {"at": NOON.replace(tzinfo=None)}, [], 0.5, 0.5, "1", 80)
    first, second = predict(tmp_path, entry, entry)
    report(tmp_path, Label(NOON, "feedback", {"sold": 2.5}, prediction=second))
    made = Index(tmp_path / "predictions", tmp_path / "labels", keyless)
    made.catch_up()
    assert joined.joined(made)["target"].to_list() == [None, 2.5]
    assert first != second


def test_coverage_tells_what_is_labelled_waiting_and_missing(tmp_path: Path) -> None:
    predict(tmp_path, *(prediction(flight) for flight in (1, 2, 3)), prediction(4, time=NOON + hours(20), model="8"))
    report(tmp_path, by_key(1, 42), by_key(2, None, NOON + hours(25)))
    found = joined.coverage(up_to_date(tmp_path), "model", DUE, now=NOON + hours(30)).rows(named=True)
    counts = ("predictions", "labelled", "no_outcome", "waiting", "missing", "late")
    assert [tuple(row[name] for name in counts) for row in found] == [(3, 1, 1, 0, 1, 1), (1, 0, 0, 1, 0, 0)]
    assert [row["share"] for row in found] == [2 / 3, 0]


def test_coverage_by_day_goes_by_the_rows_time(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1, time=NOON - hours(300)))
    assert joined.coverage(up_to_date(tmp_path), "day", DUE)["day"].to_list() == ["2013-04-01"]


def test_outcomes_are_counted_by_source(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1))
    report(tmp_path, by_key(1, 42), by_key(2, 1), Label(NOON, "batch 2013-04", {"arr_delay": 42}, key(1)))
    assert joined.outcomes(up_to_date(tmp_path)).rows() == [
        ("batch", "attached", 1),
        ("feedback", "duplicate", 1),
        ("feedback", "orphan", 1),
    ]


def test_the_delay_curve_is_cumulative_and_counts_the_first_label(tmp_path: Path) -> None:
    predict(tmp_path, *(prediction(flight) for flight in (1, 2, 3)))
    report(tmp_path, by_key(1, 1), by_key(1, 2, NOON + hours(99)), by_key(2, 1, NOON + hours(8.5)))
    assert joined.delay_curve(up_to_date(tmp_path)).rows() == [(6, 1, 0.5), (9, 2, 1.0)]


def test_a_delay_counts_from_the_prediction_where_that_came_after_the_rows_time(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1, time=NOON + hours(1000)))
    report(tmp_path, by_key(1, 1, NOON + hours(1002)))
    assert joined.joined(up_to_date(tmp_path))["delay"].to_list() == [2.0]


def test_an_empty_log_has_empty_answers(tmp_path: Path) -> None:
    made = up_to_date(tmp_path)
    frames = [joined.coverage(made, "day", DUE), joined.outcomes(made), joined.delay_curve(made), joined.joined(made)]
    assert [frame.height for frame in frames] == [0, 0, 0, 0]


BATCH = pl.DataFrame(
    {"carrier": ["UA", "UA"], "flight": [1, 2], "time_hour": [NOON, NOON], "arr_delay": [42, None], "batch": "2013-04"},
    schema_overrides={"arr_delay": pl.Int16, "flight": pl.Int32},
)


def test_a_batch_brings_the_labels_of_its_rows(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1), prediction(2))
    assert index(tmp_path).attach(BATCH) == 2
    assert delays(tmp_path) == [42, None]
    assert outcomes(tmp_path) == ["attached", "attached"]


def test_the_same_batch_again_adds_nothing(tmp_path: Path) -> None:
    index(tmp_path).attach(BATCH)
    assert index(tmp_path).attach(BATCH) == 0
    assert len(list(log.read(tmp_path / "labels"))) == 2


def test_of_a_changed_batch_only_the_change_is_written(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1))
    index(tmp_path).attach(BATCH)
    changed = BATCH.with_columns(arr_delay=pl.Series([43, None], dtype=pl.Int16))
    assert index(tmp_path).attach(changed) == 1
    assert delays(tmp_path) == [43]


def test_a_batch_says_its_own_last_word_again_only_if_that_changed(tmp_path: Path) -> None:
    predict(tmp_path, prediction(1))
    index(tmp_path).attach(BATCH)
    report(tmp_path, by_key(1, 50, dt.datetime.now(dt.UTC)))
    assert index(tmp_path).attach(BATCH) == 0
    assert delays(tmp_path) == [50]


def test_a_row_is_answered_with_what_was_said_first_and_with_null_where_nobody_asked(tmp_path: Path) -> None:
    predict(tmp_path, msgspec.structs.replace(prediction(3, NOON), output=0.9), prediction(3), prediction(5))
    rows = pl.DataFrame([key(flight) for flight in (5, 4, 3)], schema=["carrier", "flight", "time_hour"], orient="row")
    assert joined.answered(up_to_date(tmp_path), rows).to_list() == [0.5, None, 0.3]
