"""Labels of people in the index: they count until the outcome arrives, and are said to have been corrected by it."""

from pathlib import Path

import pytest

from penumbra.logs.queries import labels
from penumbra.logs.queries.lookup import find_labelled_ids
from penumbra.logs.schema import LabelEntry
from tests.helpers.logs.prediction_logs import (
    EVENING,
    NOON,
    log_labels,
    log_predictions,
    make_hours,
    make_index,
    make_label_by_key,
    make_prediction,
    make_review_label,
    make_updated_index,
    read_joined_delays,
    read_label_outcomes,
    take_label_back,
)

LATER = EVENING + make_hours(3)


def test_a_label_of_people_counts_until_the_outcome_arrives_which_corrects_it(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_review_label(name, 5))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([5], ["attached"])
    log_labels(tmp_path, make_label_by_key(1, 42, LATER))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([42], ["attached", "correction"])


def test_an_outcome_that_came_first_outranks_people_all_the_same(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_label_by_key(1, 42), make_review_label(name, 5, LATER))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([42], ["attached", "outranked"])


def test_an_outcome_that_people_knew_is_a_duplicate_and_counts(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_review_label(name, 42), make_label_by_key(1, 42, LATER))
    assert read_label_outcomes(tmp_path) == ["attached", "duplicate"]
    assert labels.join_labels(make_index(tmp_path))["source"].to_list() == ["feedback"]


def test_a_label_that_people_took_back_no_longer_counts(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_review_label(name, 5), take_label_back(name, LATER))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)) == ([None], ["attached", "taken back"])
    assert find_labelled_ids(tmp_path / "labels", [name]) == set()
    log_labels(tmp_path, make_review_label(name, 5, LATER + make_hours(1)))
    assert (read_joined_delays(tmp_path), read_label_outcomes(tmp_path)[-1]) == ([5], "attached")


def test_where_one_of_two_cases_of_a_row_is_taken_back_the_other_counts(tmp_path: Path) -> None:
    first, second = log_predictions(tmp_path, make_prediction(1), make_prediction(1))
    log_labels(tmp_path, make_review_label(first, 5), make_review_label(second, 8, LATER))
    assert read_joined_delays(tmp_path) == [8, 8]
    log_labels(tmp_path, take_label_back(second, LATER + make_hours(1)))
    assert read_joined_delays(tmp_path) == [5, 5]


def test_the_truth_says_where_it_comes_from_and_with_which_chance_its_row_was_picked(tmp_path: Path) -> None:
    first, second, third = log_predictions(tmp_path, *map(make_prediction, (1, 2, 3)))
    log_labels(tmp_path, make_review_label(first, 5, probability=0.125), make_review_label(second, 8))
    log_labels(tmp_path, make_label_by_key(2, 9, LATER))
    found = {row["id"]: row for row in labels.join_labels(make_updated_index(tmp_path)).rows(named=True)}
    said = [(found[name]["source"], found[name]["probability"]) for name in (first, second, third)]
    assert said == [("review", 0.125), ("feedback", 0.0), (None, None)]


def test_the_delay_of_a_label_is_that_of_its_kind(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_review_label(name, 5, NOON + make_hours(1)))
    log_labels(tmp_path, make_label_by_key(1, 42, NOON + make_hours(30)))
    assert labels.join_labels(make_updated_index(tmp_path))["delay"].to_list() == [30]


def test_a_label_about_a_contract_that_had_other_columns_stays_readable(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, LabelEntry(EVENING, "review", {"late": True}, prediction=name))
    found = labels.join_labels(make_updated_index(tmp_path))
    assert (found["source"].to_list(), found["target"].to_list()) == (["review"], [None])
    assert labels.count_unreadable_lines(make_index(tmp_path)) == 0


@pytest.mark.parametrize("label", [b'{"arr_delay":5}', b"{}"])
def test_a_label_of_people_from_before_there_were_chances_is_read(tmp_path: Path, label: bytes) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    folder = tmp_path / "labels"
    folder.mkdir()
    line = (
        b'{"id":"0000000000000000a-0","time":"2013-04-01T17:00:00Z","source":"review","label":%b,"prediction":"%b"}\n'
    )
    (folder / "0000000000000000a.jsonl").write_bytes(line % (label, name.encode()))
    assert read_joined_delays(tmp_path) == [5 if label != b"{}" else None]
