"""What the doctor notes of the days that a model's reference will have."""

import datetime as dt

import polars as pl
import pytest

from flows.steps.doctor.reference_days import note_short_reference
from penumbra.core.settings import load_settings

FIRST = dt.date(2024, 1, 1)


def note_daily_batches(**training: int) -> list[str]:
    """The notes of forty batches of a day with two rows each, and one without outcomes, where so many are held out."""
    days = pl.Series([FIRST + dt.timedelta(days=number // 2) for number in range(82)])
    has_outcome = pl.Series([True] * 80 + [False] * 2)
    settings = load_settings(environ={f"PENUMBRA_TRAINING__{name.upper()}": str(n) for name, n in training.items()})
    return list(note_short_reference(days.cast(pl.String), days, has_outcome, settings))


def test_a_reference_of_two_days_is_noted_with_the_settings_that_make_it() -> None:
    (note,) = note_daily_batches(validation_batches=1, test_batches=1)
    assert "the last 2 batches with outcomes (training.validation_batches + training.test_batches) have 2 days" in note


@pytest.mark.parametrize(("test_batches", "notes"), [(12, 1), (13, 0)])
def test_two_weeks_are_enough(test_batches: int, notes: int) -> None:
    assert len(note_daily_batches(validation_batches=1, test_batches=test_batches)) == notes
