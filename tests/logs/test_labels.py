import datetime as dt
import shutil
from pathlib import Path
from types import SimpleNamespace

import dataframely as dy
import msgspec
import polars as pl

from penumbra.logs import append_log
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.logs.queries import labels
from penumbra.logs.schema import LabelEntry, PredictionEntry
from tests.helpers.logs.prediction_logs import (
    EVENING,
    NOON,
    log_labels,
    log_predictions,
    make_hours,
    make_index,
    make_key,
    make_label_by_id,
    make_label_by_key,
    make_prediction,
    make_updated_index,
    read_joined_delays,
    read_label_outcomes,
)

DUE = 24.0


def test_a_label_by_key_is_attached_to_its_prediction(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    log_labels(tmp_path, make_label_by_key(2, 42))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([None, 42], ["attached"])


def test_a_label_by_prediction_id_is_attached_to_it(tmp_path: Path) -> None:
    _, second = log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    log_labels(tmp_path, make_label_by_id(second, 42))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([None, 42], ["attached"])


def test_the_same_value_again_is_a_duplicate(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_label_by_key(1, 42), make_label_by_id(name, 42))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([42], ["attached", "duplicate"])


def test_of_several_values_the_latest_counts(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_label_by_key(1, 50, NOON + make_hours(9)), make_label_by_key(1, 42))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([50], ["attached", "correction"])


def test_of_labels_at_the_same_instant_the_one_further_on_counts(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, *(make_label_by_key(1, minutes) for minutes in range(40)))
    assert read_joined_delays(tmp_path) == [39]


def test_a_label_goes_to_every_prediction_of_its_key(tmp_path: Path) -> None:
    first, _ = log_predictions(tmp_path, make_prediction(1), make_prediction(1))
    log_labels(tmp_path, make_label_by_id(first, 42))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([42, 42], ["attached"])


def test_a_label_without_its_prediction_is_an_orphan_until_that_arrives(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path / "elsewhere", make_prediction(2))
    log_predictions(tmp_path, make_prediction(3))
    log_labels(tmp_path, make_label_by_key(1, 42), make_label_by_id(name, 7))
    assert read_label_outcomes(tmp_path) == ["orphan", "orphan"]
    log_predictions(tmp_path, make_prediction(1))
    shutil.copytree(tmp_path / "elsewhere/predictions", tmp_path / "predictions", dirs_exist_ok=True)
    assert read_label_outcomes(tmp_path) == ["attached", "attached"]
    assert sorted(read_joined_delays(tmp_path), key=str) == [42, 7, None]


def test_no_outcome_is_a_label_too(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_label_by_key(1, None))
    found = labels.join_labels(make_updated_index(tmp_path))
    assert (read_label_outcomes(tmp_path), found["target"].to_list()) == (["attached"], [None])
    assert found["arrived"].to_list() == [EVENING]


def test_the_target_is_the_contracts(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    log_labels(tmp_path, make_label_by_key(1, 15), make_label_by_key(2, 16))
    assert labels.join_labels(make_updated_index(tmp_path))["target"].to_list() == [False, True]


def test_where_the_contract_has_no_key_an_id_is_enough(tmp_path: Path) -> None:
    class Row(dy.Schema):
        at = dy.Datetime(nullable=False)

    class Labelled(Row):
        sold = dy.Float64(nullable=True)

    keyless = LabelSpec.from_schema(
        SimpleNamespace(Row=Row, Labelled=Labelled, TIME="at", target=lambda: pl.col("sold"))
    )
    entry = PredictionEntry(NOON, "contract", {"at": NOON.replace(tzinfo=None)}, [], 0.5, 0.5, "1", 80)
    first, second = log_predictions(tmp_path, entry, entry)
    log_labels(tmp_path, LabelEntry(NOON, "feedback", {"sold": 2.5}, prediction=second))
    made = LogIndex(tmp_path / "predictions", tmp_path / "labels", keyless)
    made.catch_up()
    assert labels.join_labels(made)["target"].to_list() == [None, 2.5]
    assert first != second


def test_coverage_tells_what_is_labelled_waiting_and_missing(tmp_path: Path) -> None:
    log_predictions(
        tmp_path,
        *(make_prediction(flight) for flight in (1, 2, 3)),
        make_prediction(4, time=NOON + make_hours(20), model="8"),
    )
    log_labels(tmp_path, make_label_by_key(1, 42), make_label_by_key(2, None, NOON + make_hours(25)))
    found = labels.compute_label_coverage(make_updated_index(tmp_path), "model", DUE, now=NOON + make_hours(30)).rows(
        named=True
    )
    counts = ("predictions", "labelled", "no_outcome", "waiting", "missing", "late")
    assert [tuple(row[name] for name in counts) for row in found] == [(3, 1, 1, 0, 1, 1), (1, 0, 0, 1, 0, 0)]
    assert [row["share"] for row in found] == [2 / 3, 0]


def test_coverage_counts_labels_of_people_apart_until_an_outcome_arrives(tmp_path: Path) -> None:
    first, second = log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    for name in (first, second):
        log_labels(tmp_path, LabelEntry(NOON, "review", {"arr_delay": 42}, prediction=name))
    log_labels(tmp_path, make_label_by_key(2, 7, NOON + make_hours(30)))
    (found,) = labels.compute_label_coverage(make_updated_index(tmp_path), "model", DUE).rows(named=True)
    assert (found["labelled"], found["by_people"]) == (2, 1)


def test_coverage_by_day_goes_by_the_rows_time(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1, time=NOON - make_hours(300)))
    assert labels.compute_label_coverage(make_updated_index(tmp_path), "day", DUE)["day"].to_list() == ["2013-04-01"]


def test_outcomes_are_counted_by_source(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    log_labels(
        tmp_path,
        make_label_by_key(1, 42),
        make_label_by_key(2, 1),
        LabelEntry(NOON, "batch 2013-04", {"arr_delay": 42}, make_key(1)),
    )
    made = make_updated_index(tmp_path)
    assert labels.count_orphans(made) == 1
    assert labels.count_label_outcomes(made).rows() == [
        ("batch", "attached", 1),
        ("feedback", "duplicate", 1),
        ("feedback", "orphan", 1),
    ]


def test_the_delay_curve_is_cumulative_and_counts_the_first_label(tmp_path: Path) -> None:
    log_predictions(tmp_path, *(make_prediction(flight) for flight in (1, 2, 3)))
    log_labels(
        tmp_path,
        make_label_by_key(1, 1),
        make_label_by_key(1, 2, NOON + make_hours(99)),
        make_label_by_key(2, 1, NOON + make_hours(8.5)),
    )
    assert labels.compute_delay_curve(make_updated_index(tmp_path)).rows() == [(6, 1, 0.5), (9, 2, 1.0)]


def test_a_delay_counts_from_the_prediction_where_that_came_after_the_rows_time(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1, time=NOON + make_hours(1000)))
    log_labels(tmp_path, make_label_by_key(1, 1, NOON + make_hours(1002)))
    assert labels.join_labels(make_updated_index(tmp_path))["delay"].to_list() == [2.0]


def test_an_empty_log_has_empty_answers(tmp_path: Path) -> None:
    made = make_updated_index(tmp_path)
    frames = [
        labels.compute_label_coverage(made, "day", DUE),
        labels.count_label_outcomes(made),
        labels.compute_delay_curve(made),
        labels.join_labels(made),
    ]
    assert [frame.height for frame in frames] == [0, 0, 0, 0]


BATCH = pl.DataFrame(
    {
        "carrier": ["UA", "UA"],
        "flight": [1, 2],
        "time_hour": [NOON, NOON],
        "arr_delay": [42, None],
        "penumbra.batch": "2013-04",
    },
    schema_overrides={"arr_delay": pl.Int16, "flight": pl.Int32},
)


def test_a_batch_brings_the_labels_of_its_rows(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    assert make_index(tmp_path).attach_labels([BATCH]) == 2
    assert read_joined_delays(tmp_path) == [42, None]
    assert read_label_outcomes(tmp_path) == ["attached", "attached"]


def test_the_same_batch_again_adds_nothing(tmp_path: Path) -> None:
    make_index(tmp_path).attach_labels([BATCH])
    assert make_index(tmp_path).attach_labels([BATCH]) == 0
    assert len(list(append_log.read_entries(tmp_path / "labels"))) == 2


def test_labels_of_batches_are_counted_without_what_came_as_feedback(tmp_path: Path) -> None:
    log_labels(tmp_path, make_label_by_key(1, 42))
    index = make_index(tmp_path)
    index.attach_labels([BATCH])
    assert index.count_batch_labels() == 2


def test_of_a_changed_batch_only_the_change_is_written(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    make_index(tmp_path).attach_labels([BATCH])
    changed = BATCH.with_columns(arr_delay=pl.Series([43, None], dtype=pl.Int16))
    assert make_index(tmp_path).attach_labels([changed]) == 1
    assert read_joined_delays(tmp_path) == [43]


def test_a_batch_that_comes_in_parts_is_compared_with_its_earlier_labels_part_by_part(tmp_path: Path) -> None:
    rows = pl.concat([BATCH, BATCH.with_columns(flight=pl.Series([3, 4], dtype=pl.Int32))])
    assert make_index(tmp_path).attach_labels(rows.iter_slices(1)) == 4
    changed = rows.with_columns(arr_delay=pl.Series([42, None, 43, None], dtype=pl.Int16))
    assert make_index(tmp_path).attach_labels(changed.iter_slices(1)) == 1
    assert make_index(tmp_path).attach_labels([changed]) == 0


def test_a_batch_says_its_own_last_word_again_only_if_that_changed(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    make_index(tmp_path).attach_labels([BATCH])
    log_labels(tmp_path, make_label_by_key(1, 50, dt.datetime.now(dt.UTC)))
    assert make_index(tmp_path).attach_labels([BATCH]) == 0
    assert read_joined_delays(tmp_path) == [50]


def test_a_row_is_answered_with_what_was_said_first_and_with_null_where_nobody_asked(tmp_path: Path) -> None:
    log_predictions(
        tmp_path, msgspec.structs.replace(make_prediction(3, NOON), output=0.9), make_prediction(3), make_prediction(5)
    )
    rows = pl.DataFrame(
        [make_key(flight) for flight in (5, 4, 3)], schema=["carrier", "flight", "time_hour"], orient="row"
    )
    assert labels.find_first_outputs(make_updated_index(tmp_path), rows).to_list() == [0.5, None, 0.3]


def test_what_a_row_was_answered_while_the_task_was_another_is_no_output(tmp_path: Path) -> None:
    log_predictions(
        tmp_path, msgspec.structs.replace(make_prediction(3), output=[0.2, 0.8], decision="rain"), make_prediction(5)
    )
    rows = pl.DataFrame(
        [make_key(flight) for flight in (3, 5)], schema=["carrier", "flight", "time_hour"], orient="row"
    )
    assert labels.find_first_outputs(make_updated_index(tmp_path), rows).to_list() == [None, 0.5]
