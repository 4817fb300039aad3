"""Labels that come late: for which days a judged window waits for them, and for which they have come since."""

import datetime as dt
from collections.abc import Sequence

import polars as pl

from flows.steps.monitor.measures.outcomes import OutcomeReader
from flows.steps.monitor.measures.window_limits import name_days
from flows.steps.monitor.measures.window_signals import get_day_start
from monitoring.losses.realised_loss import MIN_BAND_DAYS
from monitoring.windows.window_records import Window
from penumbra.core.histograms import OutcomeSums
from penumbra.core.settings import LabelSettings, Settings
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.label_counts import find_labelled_days, has_undue_labels


def compute_due_time(labels: LabelSettings, end: dt.date) -> dt.datetime:
    """Compute when the labels of a window's rows are due, but for answers that were given later.

    Args:
        labels: The settings' section `labels`.
        end: The first day after the window.

    Returns:
        The time (UTC).
    """
    return get_day_start(end) + dt.timedelta(hours=labels.delay_hours)


def list_awaited_days(reader: OutcomeReader, outcomes: Sequence[OutcomeSums]) -> list[dt.date]:
    """List the days of a window that don't count for its loss until more labels have come.

    Args:
        reader: What has read the outcomes.
        outcomes: The outcome sums of the window's days.

    Returns:
        The days; none while the window will be judged once more anyway, as its labels are still to be due.
    """
    settings, span = reader.settings, reader.span
    if span.now < compute_due_time(settings.labels, span.end):
        return []
    is_due = all(each.due == each.rows for each in outcomes)
    awaited = [day for day, each in zip(span.days, outcomes, strict=True) if each.rows and not (each.labels and is_due)]
    if not (awaited and is_due):
        return awaited
    # Of a day that has its labels and doesn't count all the same, as they give no loss, nothing more is to come.
    labelled = find_labelled_days(reader.index, reader.model.version, awaited, settings.promotion.coverage)
    return [day for day in awaited if day not in labelled]


def find_late_labels(
    settings: Settings, index: LogIndex, windows: Sequence[Window], rows: pl.DataFrame, now: dt.datetime
) -> dict[dt.date, list[dt.date]]:
    """Find the windows whose loss can be judged, or on more days, by labels that have come since they were judged.

    Args:
        settings: The settings' sections `labels`, `monitor` and `promotion` are read: a window waits for
            `monitor.period_days`.
        index: The index of predictions and labels.
        windows: The records of the windows that were judged.
        rows: The number of rows by day and model, as `count_daily_answers` returns it.
        now: The flows' time.

    Returns:
        By the first day of each such window, the days that count by now and didn't.
    """
    patience = dt.timedelta(days=settings.monitor.period_days)
    waiting = [window for window in windows if window.awaited and now <= window.judged + patience]
    found = {window.begin: _find_arrived_days(settings, index, rows, now, window) for window in waiting}
    return {begin: days for begin, days in found.items() if days}


def describe_late_labels(arrived: Sequence[dt.date], now: dt.datetime) -> list[str]:
    """Describe that a window is judged again.

    Args:
        arrived: The days of which labels have come late.
        now: The flows' time.

    Returns:
        A clause for the window's limits; none where nothing was late.
    """
    return [f"judged again on {now.date()}, as labels of {name_days(arrived)} came late"] if arrived else []


def _find_arrived_days(
    settings: Settings, index: LogIndex, rows: pl.DataFrame, now: dt.datetime, window: Window
) -> list[dt.date]:
    arrived = find_labelled_days(index, window.model, window.awaited, settings.promotion.coverage)
    within = pl.col("day").is_between(window.begin, window.end, closed="left")
    counted = rows.filter(within, pl.col("model") == window.model).height - len(window.awaited) + len(arrived)
    delay = settings.labels.delay_hours
    if counted < MIN_BAND_DAYS or (
        arrived and has_undue_labels(index, window.model, window.begin, window.end, delay, now)
    ):
        return []
    return arrived
