"""On which days enough labels of a model's own answers have arrived, and whether one isn't due."""

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from penumbra.logs.queries.label_counts import find_labelled_days, has_undue_labels
from tests.helpers.logs.prediction_logs import (
    NOON,
    log_labels,
    log_predictions,
    make_hours,
    make_label_by_key,
    make_prediction,
    make_review_label,
    make_updated_index,
    take_label_back,
)

DAY = NOON.date()
NEXT = DAY + dt.timedelta(days=1)


def has_labels(folder: Path, coverage: float) -> bool:
    return find_labelled_days(make_updated_index(folder), "7", [DAY], coverage) == [DAY]


@pytest.mark.parametrize(("coverage", "is_enough"), [(0.9, True), (0.91, False), (1.0, False)])
def test_a_day_has_its_labels_once_the_share_of_them_is_there(tmp_path: Path, coverage: float, is_enough: bool) -> None:
    log_predictions(tmp_path, *map(make_prediction, range(10)))
    log_labels(tmp_path, *(make_label_by_key(flight, 42) for flight in range(9)))
    assert has_labels(tmp_path, coverage) == is_enough


def test_a_row_whose_label_says_that_there_was_no_outcome_takes_no_part(tmp_path: Path) -> None:
    log_predictions(tmp_path, *map(make_prediction, range(4)))
    log_labels(tmp_path, *(make_label_by_key(flight, None) for flight in range(2)), make_label_by_key(2, 42))
    assert has_labels(tmp_path, 0.5)
    assert not has_labels(tmp_path, 0.51)


def test_rows_of_another_model_and_those_that_a_rule_had_a_part_in_take_no_part(tmp_path: Path) -> None:
    ruled = msgspec.structs.replace(make_prediction(3), rules=["closed"])
    log_predictions(tmp_path, make_prediction(1), make_prediction(2, model="6"), ruled)
    log_labels(tmp_path, make_label_by_key(1, 42))
    assert has_labels(tmp_path, 1.0)


def test_a_label_that_people_took_back_is_missing(tmp_path: Path) -> None:
    (name,) = log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_review_label(name, 42))
    assert has_labels(tmp_path, 1.0)
    log_labels(tmp_path, take_label_back(name, NOON + make_hours(6)))
    assert not has_labels(tmp_path, 1.0)


@pytest.mark.parametrize(
    ("answered", "undue"),
    [(-3, False), (20, True), (30, False)],
    ids=["before the row", "long after it", "after the clock"],
)
def test_a_label_is_due_after_row_and_answer_unless_that_is_a_replay(
    tmp_path: Path, answered: float, undue: bool
) -> None:
    log_predictions(tmp_path, make_prediction(1, NOON + make_hours(answered)))
    now = NOON + make_hours(25)
    assert has_undue_labels(make_updated_index(tmp_path), "7", DAY, NEXT, 24, now) == undue
