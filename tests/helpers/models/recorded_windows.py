"""A monitored model in a temporary folder: registry, predictions, shadow, labels, ledger and some windows."""

import datetime as dt
from pathlib import Path
from typing import Any

import dataframely as dy
import numpy as np

from monitoring.drift.column_drift import ColumnDrift
from monitoring.explanations.records import ChangeDay, ColumnShift, Explanation, LossPart, LossRise
from monitoring.windows.window_records import (
    DayFault,
    EstimatedLoss,
    LabelArrivals,
    LargestDrift,
    RealisedCoverage,
    ShadowDisagreement,
    Window,
    WindowLoss,
)
from monitoring.windows.window_store import WindowStore
from penumbra.core.histograms import DegradedSlice
from penumbra.core.settings import Settings, load_settings
from penumbra.logs.schema import LabelEntry, PredictionEntry
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from problem import schema
from tests.helpers.logs import prediction_logs
from tests.helpers.models import registered_versions

FIRST_WINDOW_BEGIN = dt.date(2013, 4, 1)
ROWS_PER_WEEK = 40  # a week
WEEK_VERDICTS = ("ok", "ok", "investigate", "retrain")
DRIFT_RATIOS = (0.4, 0.7, 0.9, 1.6)


def make_history_environment(folder: Path) -> dict[str, str]:
    """Make the environment variables for the folder.

    Args:
        folder: The temporary folder.

    Returns:
        Variables by name.
    """
    places = {f"PENUMBRA_{name.upper()}__FOLDER": folder / name for name in ("monitor", "data", "review")}
    return {
        **registered_versions.make_registry_environment(folder),
        **{name: str(place) for name, place in places.items()},
    }


def make_history_settings(folder: Path) -> Settings:
    """Make the settings for the folder.

    Args:
        folder: The temporary folder.

    Returns:
        The settings.
    """
    return load_settings(environ=make_history_environment(folder))


def make_monitored_history(folder: Path, database: Path, weeks: int = 4) -> Settings:
    """Make version 1 live and 2 the candidate, with a window a week, the fourth of which retrains.

    Args:
        folder: The temporary folder.
        database: The MLflow database to copy.
        weeks: The number of windows.

    Returns:
        The settings.
    """
    settings = make_history_settings(folder)
    registered_versions.make_aliased_registry(folder, database, live="1", candidate="2")
    log_weeks(folder, weeks)
    write_data_pointer(folder)
    ledger = open_ledger(settings)
    ledger.append(LedgerEvent(kind="promotion", actor="ann", reason="the first", versions={"live": "1"}))
    ledger.append(_make_verdict_event())
    for number in range(weeks):
        WindowStore(settings.monitor.folder).write(
            make_window(number, WEEK_VERDICTS[number % 4], DRIFT_RATIOS[number % 4])
        )
    return settings


def write_data_pointer(folder: Path) -> None:
    """Write three batches and a pointer file that names them, as DVC does.

    Args:
        folder: The temporary folder.
    """
    for month in (1, 2, 3):
        (folder / f"data/batches/2013-0{month}").mkdir(parents=True)
    md5 = "0123456789abcdef0123456789abcdef.dir"
    (folder / "data.dvc").write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  path: data\n")


def log_weeks(folder: Path, weeks: int) -> None:
    """Log a few whole records each week, with the candidate's predictions and labels.

    Args:
        folder: The temporary folder.
        weeks: The number of weeks.
    """
    rng = np.random.default_rng(5)
    rows = schema.Row.sample(weeks * ROWS_PER_WEEK, generator=dy.random.Generator(5)).to_dicts()
    times = [_compute_noon(number * 7 // ROWS_PER_WEEK) for number in range(len(rows))]
    chances = rng.uniform(0.05, 0.95, len(rows))
    entries = [
        PredictionEntry(time, "contract", {**row, "time_hour": time}, [], chance, chance >= 0.5, "1", 80)
        for row, time, chance in zip(rows, times, chances.tolist(), strict=True)
    ]
    ids = prediction_logs.log_predictions(folder, *entries)
    late = np.where(rng.random(len(ids)) < chances, 60, 0).tolist()
    five = dt.timedelta(hours=5)
    said = zip(ids, times, late, strict=True)
    prediction_logs.log_labels(
        folder,
        *(LabelEntry(time + five, "feedback", {"arr_delay": each}, prediction=name) for name, time, each in said),
    )
    registered_versions.log_shadow_answers(
        folder, "2", ids, times, np.clip(chances + rng.normal(0, 0.05, len(ids)), 0.01, 0.99).tolist()
    )


def make_window(number: int, verdict: str = "ok", ratio: float = 0.5, **changes: Any) -> Window:
    """Make the record of a week, as a monitor pass writes it.

    Args:
        number: The week, from 0.
        verdict: The verdict.
        ratio: The ratio of drift to threshold, with which the loss rises too.
        **changes: Other values of the record's fields.

    Returns:
        The record.
    """
    begin = FIRST_WINDOW_BEGIN + dt.timedelta(days=7 * number)
    fault = DayFault(begin, "frozen", "temp", "61.2 in all of 120 rows", "a sensor that stopped")
    loss = 0.47 + ratio / 20
    fields: dict[str, Any] = {
        "reason": {"ok": "nothing is beyond its threshold", "investigate": "temp: frozen"}.get(verdict, "temp drifted"),
        "columns": {"temp": ColumnDrift(0.1 * ratio, 0.1), "carrier": ColumnDrift(0.02, 0.08)},
        "prediction": ColumnDrift(0.04, 0.09),
        "drift": LargestDrift(ratio, "temp"),
        "loss": WindowLoss(6_000, loss, loss - 0.02, loss + 0.02, 0.53),
        "estimated": EstimatedLoss(0.49, 0.46, 0.52, "that the scores are calibrated"),
        "labels": LabelArrivals(6_100, 6_050 - 20 * number),
        "calibration": 0.02,
        "coverage": RealisedCoverage(6_000, 0.93 - ratio / 20, 0.91 - ratio / 20, 0.95 - ratio / 20, 0.9),
        "shadow": ShadowDisagreement(6_000, 0.03, 0.02),
        "slices": [DegradedSlice("carrier", "EV", 1_200, 0.61, 0.55, 0.67, 0.45)] if verdict == "retrain" else [],
        "faults": [fault] if verdict == "investigate" else [],
        "explanation": make_explanation(begin) if verdict == "retrain" else Explanation(),
    }
    judged = dt.datetime.combine(begin + dt.timedelta(days=8), dt.time(6), dt.UTC)
    return Window(
        begin=begin,
        end=begin + dt.timedelta(days=7),
        model="1",
        rows=6_200,
        verdict=verdict,
        judged=judged,
        **{**fields, **changes},
    )


def make_explanation(day: dt.date) -> Explanation:
    """Make the explanation of a window with an alarm.

    Args:
        day: The day of the change.

    Returns:
        The explanation: one column shifted, and both inputs and relation have a part in the rise of the loss.
    """
    since = ChangeDay(day, day - dt.timedelta(days=2), day + dt.timedelta(days=1))
    loss = LossRise(
        usual=0.45,
        labels=6000,
        rise=LossPart("rise", 0.06, 0.02, 0.1),
        inputs=LossPart("inputs", 0.015, -0.01, 0.04),
        relation=LossPart("relation", 0.045, 0.01, 0.08),
        columns=[
            LossPart("temp", 0.012, 0.0, 0.024),
            LossPart("all other columns, and combinations", 0.003, -0.01, 0.02),
        ],
        slices=[LossPart("carrier is EV", 0.02, 0.01, 0.03)],
        unseen={"dest": 0.05},
    )
    return Explanation([ColumnShift("temp", 1.6, "higher: quartiles 29, 37, 44 → 59, 66, 73", since)], loss, since)


def _compute_noon(day: int) -> dt.datetime:
    return dt.datetime.combine(FIRST_WINDOW_BEGIN + dt.timedelta(days=day), dt.time(12), dt.UTC)


def _make_verdict_event() -> LedgerEvent:
    facts = {"days": 9, "labels": 5_400, "better": 3.2, "worse": 0.4, "days_needed": 12}
    evidence = {"evidence": facts, "waits_for": ["the next day to count is 2013-04-29"]}
    return LedgerEvent(
        kind="verdict",
        verdict="keep collecting",
        actor="ann",
        reason="it isn't shown to be better than the live model: odds of 3.2 to 1 after 9 days, 50 are needed",
        details=["odds of 3.2 to 1 that it is better, 0.4 to 1 that it is worse"],
        versions={"candidate": "2", "live": "1"},
        evidence=evidence,
    )
