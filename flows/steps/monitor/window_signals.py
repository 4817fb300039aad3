"""What a window shows: faults of each day, drift, loss, labels, and how far the candidate is from the live model."""

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import polars as pl

from flows.steps.monitor.watched_model import WatchedModel
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from monitoring import drift, loss, slices
from monitoring.arrivals import find_refusal_faults, find_volume_faults
from monitoring.data_faults import DataFault, find_data_faults, is_accepted_fault
from monitoring.loss_threshold import DailyLosses, compute_loss_threshold
from monitoring.windows import (
    DayFault,
    EstimatedLoss,
    LabelArrivals,
    LargestDrift,
    ShadowDisagreement,
    WindowDistance,
    WindowLoss,
)
from penumbra.core.histograms import Binning, DegradedSlice, OutcomeSums, sum_losses_by_day
from penumbra.core.metrics.calibration import compute_binned_calibration_error
from penumbra.core.settings import Settings
from penumbra.logs.index import LogIndex
from penumbra.logs.profiles import ProfileStore
from penumbra.logs.queries.daily import read_day_records, summarise_broken_records
from penumbra.logs.queries.shadow import pair_shadow_outputs

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class WindowSpan:
    """Which window: from `begin` to before `end`, as it is known at `now`; `rows` are those of every day by now."""

    begin: dt.date
    end: dt.date
    now: dt.datetime
    rows: Mapping[dt.date, int]

    @property
    def days(self) -> list[dt.date]:
        """From the first day on that has rows at all."""
        every = [self.begin + number * ONE_DAY for number in range((self.end - self.begin).days)]
        return [day for day in every if day >= min(self.rows, default=self.end)]


def get_day_start(day: dt.date) -> dt.datetime:
    """When a day (UTC) begins."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def list_window_faults(
    settings: Settings, index: LogIndex, model: WatchedModel, place: WindowSpan
) -> Iterator[DayFault]:
    """Those of each day that the settings don't accept."""
    turned_away = summarise_broken_records(index)
    for day in place.days if settings.monitor.on_faults else []:
        found: list[DataFault] = [*find_volume_faults(place.rows, day), *_list_refusal_faults(turned_away, day)]
        if model.norms and place.rows.get(day):
            found += find_data_faults(read_day_records(index, day, model.problem.schema), model.norms)
        yield from (
            DayFault(day, each.what, each.column, each.text, each.cause)
            for each in found
            if not is_accepted_fault(each, day, settings.monitor.accept)
        )


def _list_refusal_faults(turned_away: pl.DataFrame, day: dt.date) -> list[DataFault]:
    """By the day of arrival, as nothing else is known of them."""
    share = pl.col("records") / (pl.col("records") + pl.col("answered"))
    before = turned_away.filter(pl.col("day") < day).select(share).to_series().to_list()
    today = turned_away.filter(pl.col("day") == day).select("records", "answered", "field")
    return find_refusal_faults(*today.row(0), before) if today.height else []


def measure_drift(settings: Settings, profiles: ProfileStore, model: WatchedModel, place: WindowSpan) -> dict[str, Any]:
    """The window's fields `columns`, `prediction` and `drift`; none where too few days are known."""
    window = list(profiles.window(place.begin, place.end, model.version).values())
    reference = list(profiles.reference(model.version).values())
    found = drift.compute_drift(window, reference, profiles.binning(model.version), compute_alarm_budget(settings))
    if not found.column:
        return {}
    columns = {name: WindowDistance(each.distance, each.threshold) for name, each in found.columns.items()}
    prediction = found.prediction and WindowDistance(found.prediction.distance, found.prediction.threshold)
    return {"columns": columns, "prediction": prediction, "drift": LargestDrift(found.ratio, found.column)}


def compute_alarm_budget(settings: Settings) -> float:
    """The budget of each of the two kinds of alarm: half of it where both are on."""
    return settings.monitor.one_in * (1 + (settings.monitor.on_drift and settings.monitor.on_loss))


def measure_losses(
    settings: Settings, came: Sequence[OutcomeSums], model: WatchedModel, binning: Binning
) -> dict[str, Any]:
    """The window's fields `loss`, `estimated`, `labels`, `calibration` and `slices`, from what came of its days."""
    whole = reduce(add, came)
    counted = [day for day in came if day.labels and whole.due == whole.rows]
    return {
        "loss": _measure_realised_loss(settings, counted, model),
        "estimated": _measure_estimated_loss(came),
        "labels": LabelArrivals(whole.due, whole.arrived),
        "calibration": compute_binned_calibration_error(whole.scores) if counted else None,
        "slices": _find_degraded_slices(settings, counted, model, binning) if counted else [],
    }


def measure_disagreement(
    index: LogIndex, candidate: str | None, model: WatchedModel, place: WindowSpan
) -> ShadowDisagreement | None:
    """How far the candidate's predictions of the window's rows are from the model's own."""
    if candidate in (None, model.version):
        return None
    days = [
        pair_shadow_outputs(index, model.version, str(candidate), get_day_start(day), get_day_start(day + ONE_DAY))
        for day in place.days
    ]
    apart = [
        np.abs(extract_predictions(model.task, day["output"]) - extract_predictions(model.task, day["said"]))
        for day in days
        if day.height
    ]
    return (
        ShadowDisagreement(sum(map(len, apart)), float(np.nanmean(np.concatenate(apart))), model.floor)
        if apart
        else None
    )


def _measure_realised_loss(
    settings: Settings, counted: Sequence[OutcomeSums], model: WatchedModel
) -> WindowLoss | None:
    sums, squares, labels = (_collect_values(counted, name) for name in ("loss", "squares", "labels"))
    found = loss.compute_mean_band(sums, labels)
    if found is None:
        return None
    limit = compute_loss_threshold(DailyLosses(sums, squares, labels), model.losses, compute_alarm_budget(settings))
    return WindowLoss(found.rows, found.mean, found.low, found.high, limit)


def _measure_estimated_loss(came: Sequence[OutcomeSums]) -> EstimatedLoss | None:
    found = loss.compute_mean_band(_collect_values(came, "guessed"), _collect_values(came, "rows"))
    known = found is not None and math.isfinite(found.mean)
    return EstimatedLoss(found.mean, found.low, found.high, loss.ESTIMATE_ASSUMPTION) if found and known else None


def _find_degraded_slices(
    settings: Settings, counted: Sequence[OutcomeSums], model: WatchedModel, binning: Binning
) -> list[DegradedSlice]:
    """Of the reference as large a share as a day of the window has labels: fewer rows differ more by chance."""
    labels, usual = (float(np.mean(each)) for each in (_collect_values(counted, "labels"), model.losses.labels))
    reference = model.reference.sample(fraction=min(1.0, labels / usual), seed=0)
    said = extract_predictions(model.task, reference["prediction"])
    losses = compute_known_losses(model.task, settings.promotion.loss, reference["label"], said, model.ceiling)
    before = sum_losses_by_day(reference, binning, model.problem.schema.TIME, losses)
    now = np.array([day.counts for day in counted]), np.array([day.losses for day in counted])
    return slices.find_degraded_slices(now, before, binning)


def _collect_values(came: Sequence[OutcomeSums], name: str) -> np.ndarray:
    return np.array([getattr(day, name) for day in came], float)
