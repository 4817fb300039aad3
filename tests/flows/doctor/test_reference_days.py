"""What the doctor notes of the days that a model's reference will have."""

import datetime as dt

import polars as pl
import pytest

from flows.steps.doctor.reference_days import note_short_reference
from penumbra.core.settings import load_settings

FIRST = dt.date(2024, 1, 1)


def note_daily_batches(**training: int) -> list[str]:
    """The notes of forty batches of a day with two rows each, where so many are held out."""
    days = pl.Series([FIRST + dt.timedelta(days=number // 2) for number in range(80)])
    settings = load_settings(environ={}).training.model_copy(update=training)
    return list(note_short_reference(days.cast(pl.String), days, settings))


def test_a_reference_of_two_days_is_noted_with_the_settings_that_make_it() -> None:
    (note,) = note_daily_batches(validation_batches=1, test_batches=1)
    assert "the last 2 batches with outcomes (training.validation_batches + training.test_batches) have 2 days" in note


@pytest.mark.parametrize(("test_batches", "notes"), [(12, 1), (13, 0)])
def test_two_weeks_are_enough(test_batches: int, notes: int) -> None:
    assert len(note_daily_batches(validation_batches=1, test_batches=test_batches)) == notes
