"""Signals of a window: faults of each day, loss, labels, and the candidate's difference from the live model."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import polars as pl

from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from monitoring.drift.window_drift import ModelProfiles, compute_alarm_budget
from monitoring.faults.arrivals import find_refusal_faults, find_volume_faults
from monitoring.faults.data_faults import DataFault, is_accepted_fault
from monitoring.faults.grouped_faults import find_grouped_faults
from monitoring.losses.loss_threshold import DailyLosses, judge_losses
from monitoring.losses.realised_loss import compute_mean_band
from monitoring.losses.slices import find_degraded_slices
from monitoring.permutation import count_memory_days
from monitoring.windows.window_records import (
    DayFault,
    LabelArrivals,
    RealisedCoverage,
    ShadowDisagreement,
    WindowLoss,
)
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, DegradedSlice, OutcomeSums, sum_losses_by_day
from penumbra.core.metrics.calibration import compute_binned_calibration_error
from penumbra.core.predictions import compute_distances
from penumbra.core.settings import MonitorSettings, Settings
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.daily import read_day_records, summarise_broken_records
from penumbra.logs.queries.shadow import pair_shadow_outputs

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class WindowSpan:
    """The days of a window.

    Attributes:
        begin: The first day.
        end: The first day after the window.
        now: The flows' time.
        rows: The number of rows of every day so far, within the window or not, whichever model answered.
        uncounted: The number of the window's rows that each other model answered, which neither drift nor loss counts.
    """

    begin: dt.date
    end: dt.date
    now: dt.datetime
    rows: Mapping[dt.date, int]
    uncounted: Mapping[str, int] = field(default_factory=dict)

    @property
    def days(self) -> list[dt.date]:
        """The window's days, from the first day on that has any rows."""
        every = [self.begin + number * ONE_DAY for number in range((self.end - self.begin).days)]
        return [day for day in every if day >= min(self.rows, default=self.end)]

    def count_rows(self, days: Sequence[dt.date]) -> int:
        """Count the rows of some days.

        Args:
            days: The days, within the window or not.

        Returns:
            The number of rows.
        """
        return sum(self.rows.get(day, 0) for day in days)


def get_day_start(day: dt.date) -> dt.datetime:
    """Compute when a day begins.

    Args:
        day: A day (UTC).

    Returns:
        Its midnight in UTC.
    """
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def list_window_faults(
    monitor: MonitorSettings, index: LogIndex, model: WatchedModel, span: WindowSpan
) -> Iterator[DayFault]:
    """List the data faults of each day that the settings don't accept.

    Args:
        monitor: The settings' section `monitor`.
        index: The index of predictions and labels.
        model: The model that answered, with what is expected of a day.
        span: The window's days.

    Yields:
        The faults, day by day.
    """
    turned_away = summarise_broken_records(index, model.problem.schema)
    days = span.days if monitor.on_faults else []
    volumes = [([day], find_volume_faults(span.rows, day, model.arrivals)) for day in days]
    refusals = [([day], _list_refusal_faults(turned_away, day)) for day in days]
    for together, found in [*volumes, *refusals, *_list_row_faults(index, model, span, days)]:
        yield from (
            DayFault(together[0], each.what, each.column, each.text, each.cause, len(together))
            for each in found
            if not any(is_accepted_fault(each, day, monitor.accept) for day in together)
        )


def _list_row_faults(
    index: LogIndex, model: WatchedModel, span: WindowSpan, days: Sequence[dt.date]
) -> list[tuple[list[dt.date], list[DataFault]]]:
    """Find the faults of each day's rows; of the rows of some days together where a day has too few."""

    def read_rows(together: list[dt.date]) -> pl.DataFrame:
        return pl.concat(read_day_records(index, day, model.problem.schema) for day in together if span.rows.get(day))

    key = tuple(days), frozenset(each for each in span.rows.items() if each[0] < span.end)
    if model.norms and key not in model.row_faults:
        model.row_faults[key] = list(find_grouped_faults(days, span.rows, read_rows, model.norms))
    return model.row_faults.get(key, [])


def _list_refusal_faults(turned_away: pl.DataFrame, day: dt.date) -> list[DataFault]:
    """The fault of a day with many refused records, by their day of arrival: nothing else is known of them."""
    share = pl.col("records") / (pl.col("records") + pl.col("answered"))
    before = turned_away.filter(pl.col("day") < day).select(share).to_series().to_list()
    today = turned_away.filter(pl.col("day") == day).select("records", "answered", "field")
    if not today.height:
        return []
    records, answered, field = today.row(0)
    return find_refusal_faults(records, answered, field, before)


def find_memory_span(monitor: MonitorSettings, known: ModelProfiles, span: WindowSpan) -> WindowSpan:
    """Find the days before a window that are judged together with it.

    Args:
        monitor: The settings' section `monitor`.
        known: The profiles of the model that answered.
        span: The window's days.

    Returns:
        The days, from the first one on that the model has answered; none where it has answered nothing before.
    """
    first = span.end - count_memory_days(monitor.window_days) * ONE_DAY
    before = [day for day in known.answered if first <= day < span.begin]
    return replace(span, begin=min(before, default=span.begin), end=span.begin)


def measure_losses(
    settings: Settings,
    outcomes: Sequence[OutcomeSums],
    before: Sequence[OutcomeSums],
    model: WatchedModel,
    binning: Binning,
) -> dict[str, Any]:
    """Measure loss and labels of a window.

    Args:
        settings: The settings' sections `monitor` and `promotion` are read.
        outcomes: The outcome sums of the window's days, at least one.
        before: Those of the days before it that are judged together with it.
        model: The model that answered.
        binning: The bins of the sums.

    Returns:
        The fields `loss`, `labels`, `calibration`, `coverage` and `slices` of the window's record.
    """
    whole = reduce(add, outcomes)
    counted = [day for day in outcomes if day.labels and whole.due == whole.rows]
    return {
        "loss": _measure_realised_loss(settings, [*before, *outcomes], counted, model),
        "labels": LabelArrivals(whole.due, whole.arrived),
        "calibration": compute_binned_calibration_error(whole.scores) if counted else None,
        "coverage": _measure_coverage(counted, model),
        "slices": _find_degraded_slices(settings, counted, model, binning) if counted else [],
    }


def measure_disagreement(
    index: LogIndex, candidate: str | None, model: WatchedModel, span: WindowSpan
) -> ShadowDisagreement | None:
    """Measure the difference between the candidate's predictions and the model's own.

    Args:
        index: The index of predictions and labels.
        candidate: The candidate's version; None without one.
        model: The model that answered.
        span: The window's days.

    Returns:
        The mean difference over the rows that both predicted; None where there are none.
    """
    if candidate in (None, model.version):
        return None
    rows, known, total = 0, 0, 0.0
    for day in span.days:
        begin, end = get_day_start(day), get_day_start(day + ONE_DAY)
        for part in pair_shadow_outputs(index, model.version, str(candidate), begin, end):
            distances = compute_distances(*(extract_predictions(model.task, part[name]) for name in ("output", "said")))
            rows, known = rows + len(distances), known + int((~np.isnan(distances)).sum())
            total += float(np.nansum(distances))
    mean = total / known if known else float("nan")
    return ShadowDisagreement(rows, mean, model.floor, str(candidate)) if rows else None


def _measure_realised_loss(
    settings: Settings, recent: Sequence[OutcomeSums], counted: Sequence[OutcomeSums], model: WatchedModel
) -> WindowLoss | None:
    found = compute_mean_band(_collect_values(counted, "loss"), _collect_values(counted, "labels"))
    if found is None:
        return None
    monitor, daily = settings.monitor, (_collect_values(recent, name) for name in ("loss", "squares", "labels"))
    judged = judge_losses(DailyLosses(*daily), model.losses, compute_alarm_budget(monitor), monitor.window_days)
    nearest = max(judged, key=lambda each: each.ratio, default=None)
    longer = None if nearest is None or nearest is judged[0] else nearest
    limit = judged[0].threshold if judged else None
    clipped = sum(day.clipped for day in counted) / found.rows
    return WindowLoss(found.rows, found.mean, found.low, found.high, limit, clipped, longer)


def _measure_coverage(counted: Sequence[OutcomeSums], model: WatchedModel) -> RealisedCoverage | None:
    found = compute_mean_band(_collect_values(counted, "covered"), _collect_values(counted, "labels"), is_rate=True)
    return (
        None
        if found is None
        else RealisedCoverage(found.rows, found.mean, found.low, found.high, model.limits.coverage)
    )


def _find_degraded_slices(
    settings: Settings, counted: Sequence[OutcomeSums], model: WatchedModel, binning: Binning
) -> list[DegradedSlice]:
    """Find slices with higher loss.

    The reference is thinned to as large a share as a day of the window has labels: fewer rows differ more by chance.
    """
    labels, usual = (float(np.mean(each)) for each in (_collect_values(counted, "labels"), model.losses.labels))
    reference = model.reference.sample(fraction=min(1.0, labels / usual), seed=0)
    predictions = extract_predictions(model.task, reference[PREDICTION_COLUMN])
    losses = compute_known_losses(
        model.task, settings.promotion.loss, reference[LABEL_COLUMN], predictions, model.ceiling
    )
    before = sum_losses_by_day(reference, binning, model.problem.schema.TIME, losses + model.excess)
    now = np.array([day.counts for day in counted]), np.array([day.losses for day in counted])
    return find_degraded_slices(now, before, binning)


def _collect_values(outcomes: Sequence[OutcomeSums], name: str) -> np.ndarray:
    return np.array([getattr(day, name) for day in outcomes], float)
