"""The day of a lasting change: where a series of daily values splits best into two means.

The days of the reference stand before all others. The estimate is the maximum of the standardised CUSUM, the split with
the least squared error. The interval has the days whose squared error is larger by no more than 7.35 variances of a
day, times the factor by which neighbouring days depend on each other.

Source: Hinkley, "Inference about the change-point in a sequence of random variables", 1970; for the interval Hansen,
"Sample splitting and threshold estimation", 2000, section 3: -2 log(1 - √0.95) is 7.35.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np

from monitoring.explanations.records import ChangeDay

INTERVAL_LIMIT = -2 * np.log(1 - np.sqrt(0.95))
MAX_CORRELATION = 0.8  # of neighbouring days
MIN_CHANGE_DAYS = 4


def estimate_change_day(values: Mapping[dt.date, float], before: Sequence[float]) -> ChangeDay | None:
    """Estimate the first day from which on values lie at another level.

    Args:
        values: A value for each day that is looked at, the earliest first.
        before: Values of earlier days, in the order of time, which are all from before the change.

    Returns:
        The day with its interval; None with fewer than four days in all, or where all values are the same.
    """
    days, series = list(values), np.array([*before, *values.values()], float)
    if not days or len(series) < MIN_CHANGE_DAYS:
        return None
    first = max(len(before), 1)
    splits = np.arange(first, len(series))
    explained = _measure_split_gains(series, splits)
    best = int(explained.argmax())
    residuals = _remove_level_change(series, int(splits[best]))
    variance = float((residuals**2).sum() / max(len(series) - 2, 1))
    if variance <= 0 < explained[best]:
        return _describe_days(days, splits - len(before), best, best)
    if variance <= 0:
        return None
    lost = (explained[best] - explained) / (variance * _measure_day_dependence(residuals))
    within = np.flatnonzero(lost <= INTERVAL_LIMIT)
    return _describe_days(days, splits - len(before), best, int(within[0]), int(within[-1]))


def _measure_split_gains(series: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """The squared error that a change of level explains which begins at each of these positions, float64 [splits]."""
    total = series.cumsum()
    size, after = len(series), len(series) - splits
    gap = total[splits - 1] / splits - (total[-1] - total[splits - 1]) / after
    return np.asarray(splits * after / size * gap**2)


def _remove_level_change(series: np.ndarray, split: int) -> np.ndarray:
    return np.concatenate([part - part.mean() for part in (series[:split], series[split:])])


def _measure_day_dependence(residuals: np.ndarray) -> float:
    """The long-run variance of the days in variances of a day, of an autoregression of first order; at least 1."""
    correlation = float((residuals[1:] * residuals[:-1]).sum() / (residuals**2).sum())
    bounded = min(max(correlation, 0.0), MAX_CORRELATION)
    return (1 + bounded) / (1 - bounded)


def _describe_days(days: Sequence[dt.date], at: np.ndarray, best: int, low: int, high: int | None = None) -> ChangeDay:
    first, last = int(at[low]), int(at[low if high is None else high])
    return ChangeDay(days[int(at[best])], days[first], days[last], is_open=first == int(at[0]))
