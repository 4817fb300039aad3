"""`penumbra bench alarms`: measure how often alarms are false, how soon drift is found, and which data faults are.

The data are weeks of real flights whose days stand in a random order, so that the truth is known; and then problems of
every kind, made and real.
"""

import datetime as dt
import json
from itertools import product

import numpy as np
import polars as pl

from benchmarks.helpers.rates import compute_alarm_rate
from benchmarks.statistics.alarms import drift_detectors, injected_faults, lasting_changes, shuffled_year
from benchmarks.statistics.alarms.shuffled_year import DAYS_PER_WEEK, ShuffledYear, shuffle_years
from benchmarks.statistics.stationary import tables
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN
from penumbra.core.settings import load_settings

REFERENCE_DAYS = 59  # days of reference, as the shipped model has
YEARS, FEW_YEARS = 40, 20
EVIDENTLY_WEEKS = 40  # weeks, one of each world: it takes seconds for each
SLICED_CARRIERS = ("UA", "US")  # with 58,665 and 20,536 flights a year
REFERENCE_LENGTHS = (30, 59, 90, 180)


def main() -> None:
    rows, one_in = shuffled_year.read_scored_year(), load_settings().monitor.one_in
    ours = measure_false_alarms(rows, one_in)
    compare_reference_lengths(rows, one_in)
    weeks_to_1_sigma = lasting_changes.measure_shift_detection(rows, REFERENCE_DAYS, one_in)
    lasting_changes.compare_with_cusum(rows, REFERENCE_DAYS, one_in)
    measure_slice_detection(rows)
    found = injected_faults.measure_fault_detection(rows, REFERENCE_DAYS, FEW_YEARS)
    judge_real_year(rows, one_in)
    print("\nOther problems")
    results = tables.measure_problems()
    rates = [ours, *((each.counted.rate, each.counted.bound) for each in results)]
    worst = dict(zip(("false_alarm_max", "false_alarm_upper95_max"), map(max, zip(*rates, strict=True)), strict=True))
    result = {"problems": len(results), **worst, "fault_detection_min": found, "weeks_to_1_sigma": weeks_to_1_sigma}
    print(json.dumps(result))


def measure_false_alarms(rows: pl.DataFrame, one_in: float) -> tuple[float, float]:
    """Print how often each way alarms where nothing changes; return our rate and its upper bound."""
    alone, sigma, cusum, flags = [], [], [], []
    each: list[list[tuple[bool, bool]]] = []
    for world in shuffle_years(rows, YEARS, REFERENCE_DAYS):
        each.append([drift_detectors.judge_by_penumbra(world, week, one_in) for week in range(world.weeks)])
        alone.append([(found, False) for found in drift_detectors.judge_by_reference_limits(world, one_in)])
        sigma.append(drift_detectors.judge_by_three_sigma(world))
        cusum.append([(False, found) for found in drift_detectors.judge_by_cusum(world)])
        flags += [[drift_detectors.judge_by_evidently(world, 0)]] if len(flags) < EVIDENTLY_WEEKS else []
    weeks = sum(map(len, each))
    print(
        f"Weeks without drift that raise an alarm: {weeks:,} weeks in {YEARS} worlds, "
        f"{REFERENCE_DAYS} days of reference"
    )
    print(f"{'':<46}{'weeks':>7}{'drift':>8}{'loss':>8}{'either':>8}{'upper 95 %':>12}")
    ours = _print_row(f"ours, one in {one_in:g} for all together", each)
    _print_row("a limit from the reference alone, one in 100", alone)
    _print_row("±3 sigma of the reference's weeks (NannyML)", sigma)
    _print_row("a CUSUM of the loss, one in 336", cusum)
    _print_row("Evidently's preset: the dataset has drifted", [[(week[0][0], False)] for week in flags])
    _print_row("Evidently's preset: some column has", [[(week[0][1], False)] for week in flags])
    return ours


def _print_row(name: str, found: list[list[tuple[bool, bool]]]) -> tuple[float, float]:
    weeks = np.array([flags for world in found for flags in world])
    rate, bound = compute_alarm_rate([[any(flags) for flags in world] for world in found])
    shares = "".join(f"{share:>8.3f}" for share in [*weeks.mean(axis=0), rate])
    print(f"{name:<46}{len(weeks):>7,}{shares}{bound:>12.3f}", flush=True)
    return rate, bound


def compare_reference_lengths(rows: pl.DataFrame, one_in: float) -> None:
    """Print the false alarms on weeks of `rows` by the length of the reference, at one alarm `one_in` weeks."""
    print("\nThe same by days of reference")
    print(f"{'':<46}{'weeks':>7}{'drift':>8}{'loss':>8}{'either':>8}{'upper 95 %':>12}")
    for known in REFERENCE_LENGTHS:
        found = shuffle_years(rows, FEW_YEARS, known, first_seed=1000)
        _print_row(
            f"{known} days",
            [[drift_detectors.judge_by_penumbra(each, week, one_in) for week in range(each.weeks)] for each in found],
        )


def measure_slice_detection(rows: pl.DataFrame) -> None:
    """Print how often a week names any slice where nothing changes, and where flights of one carrier become late: that
    carrier, and another one."""
    made = list(shuffle_years(rows, FEW_YEARS, REFERENCE_DAYS, first_seed=4000))
    named = [bool(drift_detectors.find_risen_slices(world, week)) for world in made for week in range(world.weeks)]
    print(
        f"\nSlices on which loss has risen: {len(named):,} weeks without drift, {np.mean(named):.3f} of which name any"
    )
    print(f"{f'share of {FEW_YEARS} worlds, in the first week':<46}{'named':>8}{'another':>9}")
    for carrier, share in product(SLICED_CARRIERS, (0.1, 0.2, 0.4)):
        late = pl.col(LABEL_COLUMN) | (lasting_changes.pick_share(share) & (pl.col("carrier") == carrier))
        changed = [world.with_change(lambda rows, late=late: rows.with_columns(late), 1) for world in made]
        found = [
            {value for column, value in drift_detectors.find_risen_slices(each, 0) if column == "carrier"}
            for each in changed
        ]
        seen, others = (
            np.mean(each) for each in zip(*((carrier in f, bool(f - {carrier})) for f in found), strict=True)
        )
        print(f"{f'{share:.0%} of punctual flights of {carrier} are late':<46}{seen:>8.2f}{others:>9.2f}", flush=True)


def judge_real_year(rows: pl.DataFrame, one_in: float) -> None:
    """Print how often the real order of days alarms: with the shipped reference, and with the latest days as one."""
    start = (dt.date(2013, 2, 1) - dt.date(2013, 1, 1)).days
    fixed = _judge_weeks(rows, start, one_in)
    moving = [
        _judge_weeks(rows, first, one_in, weeks=1)[0]
        for first in range(0, shuffled_year.YEAR_DAYS - REFERENCE_DAYS - DAYS_PER_WEEK + 1, DAYS_PER_WEEK)
    ]
    print(f"\nThe year as it was: weeks that raise an alarm, with {REFERENCE_DAYS} days of reference")
    print(f"{'':<46}{'weeks':>7}{'drift':>8}{'loss':>8}")
    for name, found in (("from February on, never renewed", fixed), ("always the days just before", moving)):
        drifted, lossy = np.sum(found, axis=0)
        print(f"{name:<46}{len(found):>7}{drifted:>8}{lossy:>8}", flush=True)


def _judge_weeks(rows: pl.DataFrame, start: int, one_in: float, weeks: int = 52) -> list[tuple[bool, bool]]:
    """Ours on the weeks after a reference that begins on a day of the year."""
    served = pl.col(DAY_COLUMN).is_between(start, start + REFERENCE_DAYS + DAYS_PER_WEEK * weeks, closed="left")
    year = ShuffledYear(rows.filter(served).with_columns(pl.col(DAY_COLUMN) - start), REFERENCE_DAYS)
    return [drift_detectors.judge_by_penumbra(year, week, one_in) for week in range(year.weeks)]


if __name__ == "__main__":
    main()
