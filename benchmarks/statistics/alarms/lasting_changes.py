"""Lasting changes put into weeks of flights: how soon they are seen, and how soon a CUSUM sees them."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import polars as pl

from benchmarks.statistics.alarms import drift_detectors
from benchmarks.statistics.alarms.shuffled_year import DAYS_PER_WEEK, ShuffledYear, shuffle_years
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN

CHANGED_YEARS = 20
CALM_WEEKS, MAX_WEEKS = 8, 8  # before a lasting change, and after it began
FEW_ROWS = 20  # a day, of a small service
SHIFT_LABEL = "temperature {:+.1f} standard deviations"
RAMP_LABEL = "temperature rises by {:g} in 8 weeks"
LATE_LABEL = "{:.0%} of punctual flights are late"
RowChange = Callable[[pl.DataFrame], pl.DataFrame]


def measure_shift_detection(rows: pl.DataFrame, known_days: int, one_in: float) -> float:
    """Print in how many worlds a lasting change is seen in its first week and later; return the weeks, in the median,
    until a temperature higher by one standard deviation is."""
    print(
        f"\nLasting changes after {CALM_WEEKS} calm weeks, in {CHANGED_YEARS} worlds: share seen in the first week, by "
        f"drift and by loss;\nwithin {MAX_WEEKS} weeks; weeks until it is seen (median)"
    )
    print(f"{'':<46}{'first':>8}{'drift':>8}{'loss':>8}{f'within {MAX_WEEKS}':>10}{'median':>8}")
    sigma = float(rows["temp"].std())  # type: ignore[arg-type]
    made = list(shuffle_years(rows, CHANGED_YEARS, known_days, first_seed=2000))
    weeks = {name: _measure_change(name, made, change, one_in) for name, change in _make_changes(sigma, known_days)}
    print(f"the same with {FEW_ROWS} rows a day")
    few = rows.filter(pl.int_range(pl.len()).shuffle(seed=0).over(DAY_COLUMN) < FEW_ROWS)
    made = list(shuffle_years(few, CHANGED_YEARS, known_days, first_seed=3000))
    for name, change in _make_large_changes(sigma, known_days):
        _measure_change(name, made, change, one_in)
    return weeks[SHIFT_LABEL.format(1.0)]


def _measure_change(name: str, made: list[ShuffledYear], change: RowChange, one_in: float) -> float:
    """Print the line of a change; return the median weeks until it is seen."""
    found = [_find_change(each.with_change(change, MAX_WEEKS, CALM_WEEKS), one_in) for each in made]
    drifted, lossy, weeks = (np.array(each) for each in zip(*found, strict=True))
    shares = "".join(f"{share:>8.2f}" for share in ((weeks == 1).mean(), drifted.mean(), lossy.mean()))
    print(f"{name:<46}{shares}{np.isfinite(weeks).mean():>10.2f}{_format_weeks(weeks):>8}", flush=True)
    return float(np.median(weeks))


def _format_weeks(weeks: np.ndarray) -> str:
    return "never" if np.isinf(np.median(weeks)) else f"{np.median(weeks):g}"


def _find_change(world: ShuffledYear, one_in: float) -> tuple[bool, bool, float]:
    """Whether drift and loss see the change in its first week, and in which week it is first seen."""
    weeks = [drift_detectors.judge_by_penumbra(world, CALM_WEEKS, one_in)]
    while not any(weeks[-1]) and len(weeks) < MAX_WEEKS:
        weeks.append(drift_detectors.judge_by_penumbra(world, CALM_WEEKS + len(weeks), one_in))
    return *weeks[0], float(len(weeks)) if any(weeks[-1]) else np.inf


def compare_with_cusum(rows: pl.DataFrame, known_days: int, one_in: float) -> None:
    """Print when a lasting rise of the loss is seen by ours and by a CUSUM."""
    print(f"\nThe loss alone: {'':<30}{'ours within ' + str(MAX_WEEKS):>17}{'median':>8}{'CUSUM':>10}{'median':>8}")
    made = list(shuffle_years(rows, CHANGED_YEARS, known_days, first_seed=2000))
    for share in (0.05, 0.1, 0.2):
        late = pl.col(LABEL_COLUMN) | pick_share(share)
        worlds = [
            world.with_change(lambda rows, late=late: rows.with_columns(late), MAX_WEEKS, CALM_WEEKS) for world in made
        ]
        ours, theirs = (
            np.array([_find_first_week(world, find) for world in worlds])
            for find in (partial(_judge_loss, one_in=one_in), drift_detectors.judge_by_cusum)
        )
        shares = (
            f"{np.isfinite(each).mean():>{width}.2f}{_format_weeks(each):>8}"
            for each, width in ((ours, 17), (theirs, 10))
        )
        print(f"{LATE_LABEL.format(share):<46}{''.join(shares)}", flush=True)


def _judge_loss(world: ShuffledYear, one_in: float) -> list[bool]:
    return [drift_detectors.has_high_loss(world, week, one_in) for week in range(world.weeks)]


def _find_first_week(world: ShuffledYear, find: Callable[[ShuffledYear], list[bool]]) -> float:
    seen = find(world)[CALM_WEEKS:]
    return seen.index(True) + 1.0 if any(seen) else np.inf


def _make_changes(sigma: float, known_days: int) -> Iterator[tuple[str, RowChange]]:
    yield "none", lambda rows: rows
    for size in (0.5, 1.0, 2.0, 3.0):
        yield SHIFT_LABEL.format(size), lambda rows, size=size: rows.with_columns(pl.col("temp") + size * sigma)
    for size in (1, 2):
        yield (
            RAMP_LABEL.format(size),
            lambda rows, size=size: rows.with_columns(pl.col("temp") + size * sigma * _ramp(known_days)),
        )
    for share in (0.01, 0.02, 0.05):
        united = pick_share(share / 0.175) & (pl.col("carrier") == "UA")
        moved = pl.when(united).then(pl.lit("DL")).otherwise(pl.col("carrier").cast(pl.String)).alias("carrier")
        yield f"{share:.0%} of flights go to another carrier", lambda rows, moved=moved: rows.with_columns(moved)
    for factor in (1.1, 1.3, 1.6):
        yield f"scores times {factor}", lambda rows, by=factor: rows.with_columns(pl.col(PREDICTION_COLUMN) * by)
    for share in (0.05, 0.1, 0.2):
        late = pl.col(LABEL_COLUMN) | pick_share(share)
        yield LATE_LABEL.format(share), lambda rows, late=late: rows.with_columns(late)


def _make_large_changes(sigma: float, known_days: int) -> Iterator[tuple[str, RowChange]]:
    """Of those a few, for a service with few rows."""
    wanted = {SHIFT_LABEL.format(1.0), SHIFT_LABEL.format(2.0), LATE_LABEL.format(0.1), LATE_LABEL.format(0.2)}
    return ((name, change) for name, change in _make_changes(sigma, known_days) if name in wanted | {"none"})


def pick_share(share: float) -> pl.Expr:
    """Return the expression that picks a `share` of rows by a hash."""
    return pl.struct("flight", "time_hour").hash(seed=1) % 10_000 < round(10_000 * share)


def _ramp(known_days: int) -> pl.Expr:
    """From 0 to 1 over the weeks of the change."""
    return (pl.col(DAY_COLUMN) - known_days - DAYS_PER_WEEK * CALM_WEEKS + 1) / (DAYS_PER_WEEK * MAX_WEEKS)
