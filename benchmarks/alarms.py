"""`make bench-alarms`: how often nothing is called drift, how soon drift is, and which data faults are found; on weeks
of real flights whose days stand in a random order, so that the truth is known."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import polars as pl

import settings
from benchmarks import faulted, shuffled, watchers
from benchmarks.shuffled import WEEK, World, worlds

KNOWN = 59  # days of reference, as the shipped model has
WORLDS, FEW, CHANGED, PATIENCE = 60, 20, 30, 6
EVIDENTLY = 40  # weeks, one of each world: it takes seconds for each
CARRIERS = ("UA", "US")  # with 58,665 and 20,536 flights a year
LENGTHS = (30, 59, 90, 180)
SIGMA = "temperature {:+.1f} standard deviations"


def main() -> None:
    rows, one_in = shuffled.read(), settings.load().monitor.one_in
    rate, bound = false_alarms(rows, one_in)
    lengths(rows, one_in)
    shifts(rows, one_in)
    sliced(rows)
    found = faulted.faults(rows, KNOWN, FEW)
    as_it_was(rows, one_in)
    result = {"false_alarm_rate": rate, "false_alarm_upper95": bound, "fault_detection_min": found}
    print(json.dumps(result))


def false_alarms(rows: pl.DataFrame, one_in: float) -> tuple[float, float]:
    """Print how often each way alarms where nothing changes; return our rate and its upper bound."""
    alone, sigma, flags = [], [], []
    each: list[list[tuple[bool, bool]]] = []
    for world in worlds(rows, WORLDS, KNOWN):
        each.append([watchers.ours(world, week, one_in) for week in range(world.weeks)])
        alone.append([(found, False) for found in watchers.reference_alone(world, one_in)])
        sigma.append(watchers.three_sigma(world))
        flags += [[watchers.evidently(world, 0)]] if len(flags) < EVIDENTLY else []
    weeks = sum(map(len, each))
    print(f"Weeks without drift that raise an alarm: {weeks:,} weeks in {WORLDS} worlds, {KNOWN} days of reference")
    print(f"{'':<46}{'weeks':>7}{'drift':>8}{'loss':>8}{'either':>8}{'upper 95 %':>12}")
    ours = _row(f"ours, one in {one_in:g} for both together", each)
    _row("a limit from the reference alone, one in 100", alone)
    _row("±3 sigma of the reference's weeks (NannyML)", sigma)
    _row("Evidently's preset: the dataset has drifted", [[(week[0][0], False)] for week in flags])
    _row("Evidently's preset: some column has", [[(week[0][1], False)] for week in flags])
    return ours


def _row(name: str, found: list[list[tuple[bool, bool]]]) -> tuple[float, float]:
    weeks = np.array([flags for world in found for flags in world])
    rate, bound = _rate([[any(flags) for flags in world] for world in found])
    shares = "".join(f"{share:>8.3f}" for share in [*weeks.mean(axis=0), rate])
    print(f"{name:<46}{len(weeks):>7,}{shares}{bound:>12.3f}", flush=True)
    return rate, bound


def _rate(worlds: list[list[bool]]) -> tuple[float, float]:
    """The share of weeks and its upper 95 % bound: by worlds, whose weeks share a reference, or if that is larger as if
    every week stood for itself (Clopper, Pearson, 1934)."""
    from scipy.stats import beta, t

    weeks, alarms = sum(map(len, worlds)), sum(map(sum, worlds))
    rates = np.array([np.mean(world) for world in worlds])
    by_worlds = rates.mean() + t.ppf(0.95, len(rates) - 1) * rates.std(ddof=1) / np.sqrt(len(rates))
    by_weeks = 1.0 if alarms == weeks else beta.ppf(0.95, alarms + 1, weeks - alarms)
    return round(alarms / weeks, 4), round(float(max(by_worlds, by_weeks)), 4)


def lengths(rows: pl.DataFrame, one_in: float) -> None:
    print("\nThe same by days of reference")
    print(f"{'':<46}{'weeks':>7}{'drift':>8}{'loss':>8}{'either':>8}{'upper 95 %':>12}")
    for known in LENGTHS:
        found = worlds(rows, FEW, known, first_seed=1000)
        _row(f"{known} days", [[watchers.ours(each, week, one_in) for week in range(each.weeks)] for each in found])


def shifts(rows: pl.DataFrame, one_in: float) -> None:
    """Print in how many worlds a lasting change is seen in its first week, and after how many weeks in the median."""
    print(
        f"\nLasting changes in {CHANGED} worlds: share seen in the first week, by drift and by loss; within {PATIENCE}"
    )
    print("weeks; weeks until it is seen (median)")
    print(f"{'':<46}{'first':>8}{'drift':>8}{'loss':>8}{f'within {PATIENCE}':>10}{'median':>8}")
    made = list(worlds(rows, CHANGED, KNOWN, first_seed=2000))
    for name, change in _changes(float(rows["temp"].std())):  # type: ignore[arg-type]
        changed = [world.shifted(change, PATIENCE) for world in made]
        _seen(name, np.array([[watchers.ours(each, w, one_in) for w in range(PATIENCE)] for each in changed]))


def sliced(rows: pl.DataFrame) -> None:
    """Print how often a week names any slice where nothing changes, and where flights of one carrier become late: that
    carrier, and another one."""
    made = list(worlds(rows, FEW, KNOWN, first_seed=4000))
    named = [bool(watchers.risen(world, week)) for world in made for week in range(world.weeks)]
    print(
        f"\nSlices on which loss has risen: {len(named):,} weeks without drift, {np.mean(named):.3f} of which name any"
    )
    print(f"{f'share of {FEW} worlds, in the first week':<46}{'named':>8}{'another':>9}")
    for carrier, share in product(CARRIERS, (0.1, 0.2, 0.4)):
        late = pl.col("label") | (_share(share) & (pl.col("carrier") == carrier))
        changed = [world.shifted(lambda rows, late=late: rows.with_columns(label=late), 1) for world in made]
        found = [{value for column, value in watchers.risen(each, 0) if column == "carrier"} for each in changed]
        seen, others = (
            np.mean(each) for each in zip(*((carrier in f, bool(f - {carrier})) for f in found), strict=True)
        )
        print(f"{f'{share:.0%} of punctual flights of {carrier} are late':<46}{seen:>8.2f}{others:>9.2f}", flush=True)


def _seen(name: str, seen: np.ndarray) -> None:
    """`seen`: bool [worlds, weeks, 2]."""
    either = seen.any(axis=2)
    first = np.where(either.any(axis=1), either.argmax(axis=1) + 1, np.inf)
    shares = [either[:, 0].mean(), *seen[:, 0].mean(axis=0)]
    median = "never" if np.isinf(np.median(first)) else f"{np.median(first):.0f}"
    print(f"{name:<46}{''.join(f'{s:>8.2f}' for s in shares)}{either.any(axis=1).mean():>10.2f}{median:>8}", flush=True)


def _changes(sigma: float) -> Iterator[tuple[str, Callable[[pl.DataFrame], pl.DataFrame]]]:
    yield "none", lambda rows: rows
    for size in (0.5, 1.0, 2.0, 3.0):
        yield SIGMA.format(size), lambda rows, size=size: rows.with_columns(pl.col("temp") + size * sigma)
    for share in (0.02, 0.05, 0.1):
        united = _share(share / 0.175) & (pl.col("carrier") == "UA")
        moved = pl.when(united).then(pl.lit("DL")).otherwise(pl.col("carrier").cast(pl.String)).alias("carrier")
        yield f"{share:.0%} of flights go to another carrier", lambda rows, moved=moved: rows.with_columns(moved)
    for factor in (1.1, 1.3, 1.6):
        yield f"scores times {factor}", lambda rows, by=factor: rows.with_columns(pl.col("prediction") * by)
    for share in (0.05, 0.1, 0.2):
        late = pl.col("label") | _share(share)
        yield f"{share:.0%} of punctual flights are late", lambda rows, late=late: rows.with_columns(label=late)


def _share(share: float) -> pl.Expr:
    """Rows picked by a hash."""
    return pl.struct("flight", "time_hour").hash(seed=1) % 10_000 < round(10_000 * share)


def as_it_was(rows: pl.DataFrame, one_in: float) -> None:
    """Print how often the real order of days alarms: with the shipped reference, and with the latest days as one."""
    start = (dt.date(2013, 2, 1) - dt.date(2013, 1, 1)).days
    fixed = _weeks(rows, start, one_in)
    moving = [_weeks(rows, first, one_in, weeks=1)[0] for first in range(0, shuffled.DAYS - KNOWN - WEEK + 1, WEEK)]
    print(f"\nThe year as it was: weeks that raise an alarm, with {KNOWN} days of reference")
    print(f"{'':<46}{'weeks':>7}{'drift':>8}{'loss':>8}")
    for name, found in (("from February on, never renewed", fixed), ("always the days just before", moving)):
        drifted, lossy = np.sum(found, axis=0)
        print(f"{name:<46}{len(found):>7}{drifted:>8}{lossy:>8}", flush=True)


def _weeks(rows: pl.DataFrame, start: int, one_in: float, weeks: int = 52) -> list[tuple[bool, bool]]:
    """Ours on the weeks after a reference that begins on a day of the year."""
    served = pl.col("day").is_between(start, start + KNOWN + WEEK * weeks, closed="left")
    year = World(rows.filter(served).with_columns(pl.col("day") - start), KNOWN)
    return [watchers.ours(year, week, one_in) for week in range(year.weeks)]


if __name__ == "__main__":
    main()
