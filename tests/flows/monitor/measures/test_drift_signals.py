"""What a window of a version is compared with: days in the shadow and in production that it hasn't learnt from."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.steps.monitor.measures.drift_signals import measure_drift, read_model_profiles
from flows.steps.monitor.measures.window_signals import WindowSpan
from monitoring.windows.window_records import ScoreReference
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.daily.shadow_profiles import ShadowProfileStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.schema import PredictionEntry
from problem import schema
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.prediction_logs import NOON, make_hours
from tests.helpers.models import registered_versions

FIRST, ONE_DAY, DAYS = NOON.date(), dt.timedelta(days=1), 3  # a window has three days
ROWS = 20


def reference(_: str) -> pl.DataFrame:
    days = [{**schema.EXAMPLE, "time_hour": NOON - make_hours(24 * (1 + n // ROWS))} for n in range(9 * ROWS)]
    typed = pl.DataFrame(days, schema=schema.Row.create_empty().schema, strict=False)
    return typed.with_columns(pl.Series(PREDICTION_COLUMN, [n % ROWS / ROWS for n in range(9 * ROWS)]))


def log_days(folder: Path, first: int, days: int, model: str, beside: str = "") -> None:
    """Some days that a model answers, and another says in the shadow that scores are lower by half."""
    for day in range(first, first + days):
        records = [
            {**schema.EXAMPLE, "flight": n, "time_hour": NOON + make_hours(24 * day + n / 60)} for n in range(ROWS)
        ]
        outputs = np.random.default_rng(day).random(ROWS).tolist()
        entries = [
            PredictionEntry(NOON, "contract", each, [], output, False, model, 80)
            for each, output in zip(records, outputs, strict=True)
        ]
        ids = prediction_logs.log_predictions(folder, *entries)
        if beside:
            halves = [output / 2 for output in outputs]
            registered_versions.log_shadow_answers(folder, beside, ids, [NOON] * ROWS, halves)


def measure(folder: Path, begin: int, learnt: int | None = -1) -> tuple[dict[str, Any], str]:
    """Measure the window of version 8 from a day on; it has learnt from all days up to `learnt`."""
    settings: Any = SimpleNamespace(folder=folder / "monitor", window_days=DAYS, one_in=10, on_drift=True, on_loss=True)
    index = LogIndex(folder / "predictions", folder / "labels", prediction_logs.LABEL_SPEC)
    index.catch_up()
    profiles = ProfileStore(folder / "monitor", folder / "predictions", schema)
    profiles.update(reference)
    model: Any = SimpleNamespace(version="8", learnt=None if learnt is None else FIRST + learnt * ONE_DAY)
    span = WindowSpan(FIRST + begin * ONE_DAY, FIRST + (begin + DAYS) * ONE_DAY, NOON, {})
    known = read_model_profiles(ShadowProfileStore(settings.folder, index), profiles, model, span)
    return measure_drift(settings, known, span)


def compared(first: int, last: int, days: int, live: int) -> ScoreReference:
    return ScoreReference(FIRST + first * ONE_DAY, FIRST + last * ONE_DAY, days, live)


def test_the_first_window_of_a_promoted_version_is_compared_with_its_days_in_the_shadow(tmp_path: Path) -> None:
    log_days(tmp_path, 0, 6, "7", beside="8")
    log_days(tmp_path, 6, 3, "8")
    fields, unjudged = measure(tmp_path, 6)
    assert (fields["compared"], unjudged) == (compared(0, 5, 6, 0), "")
    assert fields["prediction"].ratio > 1  # in the shadow it said half of what it answers
    assert str(fields["compared"]).endswith("scores of 6 days, 2013-04-01 to 2013-04-06, 6 of them in the shadow")


def test_days_in_production_follow_those_in_the_shadow(tmp_path: Path) -> None:
    log_days(tmp_path, 0, 3, "7", beside="8")
    log_days(tmp_path, 3, 6, "8")
    assert measure(tmp_path, 6)[0]["compared"] == compared(0, 5, 6, 3)


def test_days_that_a_catching_up_shadow_scored_and_the_version_has_learnt_from_are_left_out(tmp_path: Path) -> None:
    log_days(tmp_path, 0, 6, "7", beside="8")
    log_days(tmp_path, 6, 3, "8")
    assert measure(tmp_path, 6, learnt=1)[0]["compared"] == compared(2, 5, 4, 0)


def test_with_fewer_days_than_a_window_has_the_predictions_are_not_judged(tmp_path: Path) -> None:
    log_days(tmp_path, 0, 6, "7", beside="8")
    log_days(tmp_path, 6, 3, "8")
    fields, unjudged = measure(tmp_path, 6, learnt=3)
    assert fields.get("prediction") is fields.get("compared") is None
    assert unjudged.startswith("drift of the predictions isn't judged yet")
    assert unjudged.endswith("and has 2")


def test_where_it_is_unknown_what_a_version_has_learnt_from_days_in_production_alone_count(tmp_path: Path) -> None:
    log_days(tmp_path, 0, 3, "7", beside="8")
    log_days(tmp_path, 3, 6, "8")
    assert measure(tmp_path, 6, learnt=None)[0]["compared"] == compared(3, 5, 3, 3)


@pytest.mark.parametrize("days", [12, 15])
def test_no_more_days_count_than_the_bundle_s_reference_has(tmp_path: Path, days: int) -> None:
    log_days(tmp_path, 0, days + DAYS, "8")
    assert measure(tmp_path, days)[0]["compared"] == compared(0, 8, 9, 9)
