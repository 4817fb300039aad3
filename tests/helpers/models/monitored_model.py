"""A live model with an honest reference, its logged answers and their labels, in a temporary folder."""

import datetime as dt
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.tree import DecisionTreeClassifier

from flows.steps.monitor import due_windows
from monitoring.windows.window_records import Window
from monitoring.windows.window_store import WindowStore
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.encoding import FeatureEncoder, derive_features
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import Settings, load_settings
from penumbra.logs.schema import LabelEntry
from penumbra.logs.schema import PredictionEntry as Answer
from penumbra.registry.bundles import bundle_writing
from penumbra.registry.bundles.manifest import read_manifest
from penumbra.registry.models import ModelRegistry
from penumbra.training.onnx.compile import compile_model
from problem import features, schema
from tests.helpers.logs import prediction_logs
from tests.helpers.models import registered_versions
from tests.helpers.problems.regular_flights import make_regular_flights
from tests.helpers.servers import local_service

PROBLEM = load_checked_problem()

WINDOW_BEGIN = dt.date(2013, 4, 4)  # of a window
ONE_DAY = dt.timedelta(days=1)
WEEK = 7 * ONE_DAY  # the length of a window
SECOND = WINDOW_BEGIN + WEEK  # when the second window begins
DONE = SECOND + WEEK + ONE_DAY  # two windows are over, with all their labels
REFERENCE_DAY_NUMBERS, WINDOW_BEGIN_NUMBER = range(30), 34  # numbers of days since 2013-03-01
HOUR = dt.timedelta(hours=1)


def make_monitor_settings(folder: Path, today: dt.date, **monitor: Any) -> Settings:
    """Make settings for a monitor pass.

    Args:
        folder: The temporary folder.
        today: The flows' day.
        **monitor: Settings of the section `monitor`.

    Returns:
        The settings.
    """
    return load_settings(environ=make_monitor_environment(folder, today, **monitor))


def make_monitor_environment(folder: Path, today: dt.date, **monitor: Any) -> dict[str, str]:
    """Make the environment variables for a monitor pass.

    Args:
        folder: The temporary folder.
        today: The flows' day.
        **monitor: Settings of the section `monitor`.

    Returns:
        Variables by name.
    """
    places = {"PENUMBRA_MONITOR__FOLDER": folder / "monitor", "PENUMBRA_DATA__TODAY": today}
    places |= {"PENUMBRA_DATA__FOLDER": folder / "data", "PENUMBRA_MONITOR__EVERY_DAYS": 0}
    changed = {f"PENUMBRA_MONITOR__{name.upper()}": value for name, value in monitor.items()}
    every = {**registered_versions.make_registry_environment(folder), **places, **changed}
    return {name: str(value) for name, value in every.items()}


def make_live_model(
    folder: Path, database: Path, reference_days: Sequence[int] = REFERENCE_DAY_NUMBERS
) -> ModelRegistry:
    """Make version 1 live.

    Args:
        folder: The temporary folder.
        database: The MLflow database to copy.
        reference_days: The days of its reference, by their numbers.

    Returns:
        The registry.
    """
    models = registered_versions.make_aliased_registry(folder, database, live="1")
    (folder / "state/bundles/1").mkdir(parents=True)
    for name, content in make_live_bundle(tuple(reference_days)).items():
        (folder / "state/bundles/1" / name).write_bytes(content)
    return models


@functools.cache
def make_live_bundle(reference_days: Sequence[int]) -> dict[str, bytes]:
    """Make the bundle of the live model, once for all tests of a process; returns its files by name."""
    rows = pl.concat([make_regular_flights(number) for number in reference_days])
    chances, late = draw_outcomes(rows.height, 0)
    reference = rows.with_columns(pl.Series(LABEL_COLUMN, late), pl.Series(PREDICTION_COLUMN, chances))
    with tempfile.TemporaryDirectory() as folder:
        made = make_reference_bundle(Path(folder), reference, by_heart=True)
        return {path.name: path.read_bytes() for path in made.iterdir()}


def make_reference_bundle(
    folder: Path,
    reference: pl.DataFrame,
    threshold: float = 0.5,
    by_heart: bool = False,
    unlabelled: pl.DataFrame | None = None,
) -> Path:
    """Make the bundle of version 1.

    Args:
        folder: The temporary folder.
        reference: Rows [n] with the contract's columns, labels (Boolean) and predictions (Float64).
        threshold: The probability from which on a decision is positive.
        by_heart: Whether its model has learnt the reference, so that it loses no more there than the reference says.
        unlabelled: Rows of the same days without labels; None for none.

    Returns:
        The bundle's folder.
    """
    made = local_service.make_bundle(folder / "state/bundles/1")
    tables = read_manifest(made)["tables"]
    if by_heart:
        matrix = FeatureEncoder(features.FEATURES, tables).encode_frame(derive_features(features.FEATURES, reference))
        model = DecisionTreeClassifier(random_state=0).fit(matrix, reference[LABEL_COLUMN].to_numpy())
        compiled = compile_model(model, matrix.shape[1])
        bundle_writing.write_model_files(made, compiled, matrix[:20], model.predict_proba(matrix[:20]))
    bundle_writing.write_reference_rows(made, reference, unlabelled)
    learnt = {"train": ["2013-01"], "validation": ["2013-02"], "test": []}
    bundle_writing.seal_bundle(
        made, {"threshold": threshold, "data_version": "data-1", **learnt}, features.FEATURES, tables
    )
    return made


def log_monitored_days(
    folder: Path,
    days: int,
    changed: dict[int, pl.DataFrame] | None = None,
    wrong: bool = False,
    wrong_at: str = "",
    model: str = "1",
    beside: str = "",
) -> None:
    """Log the answers of a model on some days from the first window on, with all labels.

    Args:
        folder: The temporary folder.
        days: The number of days.
        changed: Other rows for some days, by number from 0.
        wrong: Whether the opposite of the likelier outcome happens.
        wrong_at: An origin at which alone that is so; "" for none.
        model: The version that answers.
        beside: The version in the shadow, whose predictions are 0.05 higher; "" for none.
    """
    for number in range(days):
        rows = (changed or {}).get(number, make_regular_flights(WINDOW_BEGIN_NUMBER + number))
        chances, late = draw_outcomes(rows.height, WINDOW_BEGIN_NUMBER + number)
        opposite = wrong | (rows["origin"] == wrong_at).to_numpy()
        ids = _log_day(folder, rows, chances, late ^ opposite, model)
        if beside:
            registered_versions.log_shadow_answers(
                folder, beside, ids, rows["time_hour"].to_list(), (chances + 0.05).tolist()
            )


def draw_outcomes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities of being late, and who was late.

    Args:
        n: The number of rows.
        seed: Seed of the draws.

    Returns:
        Probabilities, float64 [n], and outcomes, bool [n].
    """
    rng = np.random.default_rng(seed)
    chances = rng.uniform(0.1, 0.9, n)
    return chances, rng.random(n) < chances


def _log_day(folder: Path, rows: pl.DataFrame, chances: np.ndarray, late: np.ndarray, model: str) -> list[str]:
    records = rows.to_dicts()
    answers = [
        Answer(record["time_hour"] - HOUR, "contract", record, [], chance, chance >= 0.5, model, 80)
        for record, chance in zip(records, chances.tolist(), strict=True)
    ]
    labels = [
        LabelEntry(record["time_hour"] + 5 * HOUR, "batch 2013-04", {"arr_delay": 60 if was else 0}, key)
        for record, was in zip(records, late.tolist(), strict=True)
        for key in [[record[name] for name in KEY_COLUMNS]]
    ]
    prediction_logs.log_labels(folder, *labels)
    return prediction_logs.log_predictions(folder, *answers)


KEY_COLUMNS = schema.Row.primary_key()


def run_monitor_pass(folder: Path, today: dt.date, **monitor: Any) -> list[str]:
    """Run a monitor pass.

    Args:
        folder: The temporary folder.
        today: The flows' day.
        **monitor: Settings of the section `monitor`.

    Returns:
        The alarms that are new.
    """
    return due_windows.judge_due_windows(make_monitor_settings(folder, today, **monitor), PROBLEM)


def read_windows(folder: Path) -> list[Window]:
    """Read the windows that were judged.

    Args:
        folder: The temporary folder.

    Returns:
        The records, the earliest first.
    """
    return WindowStore(folder / "monitor").read()
