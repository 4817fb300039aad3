"""`penumbra bench few-rows`: which data faults are found where a day has few rows, how soon, and how many are false.

The rows are flights, thinned to so many a day, and their days stand in a random order: nothing changes but the faults.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

import problem.schema
from benchmarks.helpers import flight_stream
from benchmarks.statistics.alarms.injected_faults import CONTRACT_COLUMNS, INJECTED_FAULTS, RowChange
from benchmarks.statistics.alarms.shuffled_year import DAYS_PER_WEEK, YEAR_DAYS
from monitoring.faults.expectations import Expectations, learn_expectations
from monitoring.faults.grouped_faults import find_grouped_faults
from penumbra.core.columns import DAY_COLUMN

ROWS_PER_DAY = (5, 10, 20, 50, 100)
KNOWN_DAYS, FIRST_DAY = 59, dt.date(2013, 1, 1)
WORLDS, FIRST_SEED = 4, 11_000  # the limits were chosen on other seeds
STARTS, WEEKS_SEEN = (0, 12, 24), (1, 2, 4)
FaultKeys = set[tuple[str, str]]


def main() -> None:
    """Print the tables, and a JSON document in the last line."""
    rows = read_flights()
    result = {}
    for count in ROWS_PER_DAY:
        worlds = [ThinnedYear.draw(rows, count, FIRST_SEED + number) for number in range(WORLDS)]
        false = [bool(faults) for world in worlds for faults in world.list_weekly_faults(0, world.weeks, None)]
        print(f"\n{count} rows a day, {worlds[0].describe()}: found in {len(worlds) * len(STARTS)} trials within")
        print(f"{'':<46}" + "".join(f"{f'{weeks} weeks':>9}" for weeks in WEEKS_SEEN))
        found = {name: measure_detection(worlds, *fault) for name, fault in INJECTED_FAULTS.items()}
        for name, shares in found.items():
            print(f"{name:<46}{''.join(f'{share:>9.2f}' for share in shares)}", flush=True)
        print(
            f"of {len(false):,} weeks as they are {np.mean(false):.3f} have something that is called a fault",
            flush=True,
        )
        result[count] = {
            "false": round(float(np.mean(false)), 4),
            "found_in_4_weeks_min": round(min(shares[-1] for shares in found.values()), 3),
        }
    print(json.dumps(result))


def read_flights() -> pl.DataFrame:
    """Read the year's flights with the number of their day, 0 to 363 (UTC)."""
    rows = flight_stream.read_checked_rows(flight_stream.LAST_MONTH).sort(problem.schema.TIME)
    dates = rows[problem.schema.TIME].dt.date()
    numbered = rows.select(CONTRACT_COLUMNS).with_columns((dates - dates.min()).dt.total_days().alias(DAY_COLUMN))
    return numbered.filter(pl.col(DAY_COLUMN) < YEAR_DAYS)


def measure_detection(worlds: Sequence["ThinnedYear"], columns: set[str], change: RowChange) -> list[float]:
    """Measure the share of faults that are found.

    Args:
        worlds: The worlds.
        columns: The columns that the fault is to be found in.
        change: What the fault does to rows.

    Returns:
        The share found within each of `WEEKS_SEEN`.
    """
    first = np.array([_find_first_week(world, start, columns, change) for world in worlds for start in STARTS])
    return [float((first < weeks).mean()) for weeks in WEEKS_SEEN]


def _find_first_week(world: "ThinnedYear", start: int, columns: set[str], change: RowChange) -> int:
    """The first week, from 0, in which there is a fault of these columns that isn't there without the change."""
    usual = list(world.list_weekly_faults(start, start + WEEKS_SEEN[-1], None))
    changed = world.list_weekly_faults(start, start + WEEKS_SEEN[-1], change)
    for week, (faults, known) in enumerate(zip(changed, usual, strict=True)):
        if any(column in columns for _, column in faults - known):
            return week
    return WEEKS_SEEN[-1]


@dataclass(frozen=True)
class ThinnedYear:
    """A year with some rows a day and its days in random order.

    Args:
        rows: The contract's columns and the day's number, in the order of time.
        norms: What is expected of a day, learnt from the first 59 days.
    """

    rows: pl.DataFrame
    norms: Expectations

    @classmethod
    def draw(cls, rows: pl.DataFrame, count: int, seed: int) -> "ThinnedYear":
        """Draw rows and the order of days.

        Args:
            rows: All rows, with the day's number.
            count: Rows a day in the mean.
            seed: Seed of the draws.

        Returns:
            The year, whose rows' times are those of their new days.
        """
        random = np.random.default_rng(seed)
        taken = rows.filter(pl.Series(random.random(rows.height) < count * YEAR_DAYS / rows.height))
        places = pl.Series("place", random.permutation(YEAR_DAYS))[taken[DAY_COLUMN].to_numpy()]
        time, midnight = pl.col(problem.schema.TIME), pl.lit(FIRST_DAY).cast(pl.Datetime("us", "UTC"))
        moved = taken.with_columns(places.alias(DAY_COLUMN)).with_columns(
            (midnight + pl.duration(days=DAY_COLUMN) + (time - time.dt.truncate("1d"))).alias(problem.schema.TIME)
        )
        ordered = moved.sort(problem.schema.TIME)
        known = ordered.filter(pl.col(DAY_COLUMN) < KNOWN_DAYS).select(CONTRACT_COLUMNS)
        return cls(ordered, learn_expectations(known, problem.schema))

    @property
    def weeks(self) -> int:
        """The number of whole weeks after the reference."""
        return (YEAR_DAYS - KNOWN_DAYS) // DAYS_PER_WEEK

    @cached_property
    def counts(self) -> dict[dt.date, int]:
        """The number of rows of each day after the reference."""
        later = self.rows.filter(pl.col(DAY_COLUMN) >= KNOWN_DAYS)
        return dict(later.group_by(pl.col(problem.schema.TIME).dt.date()).len().iter_rows())

    def describe(self) -> str:
        """Describe how many days are judged together.

        Returns:
            Such as "judged by 10 days".
        """
        return f"judged by {'the day' if self.norms.block_days == 1 else self.norms.period}"

    def list_weekly_faults(self, first: int, end: int, change: RowChange | None) -> Iterator[FaultKeys]:
        """List what is called a fault in each week.

        Args:
            first: The first week after the reference, in which a fault begins.
            end: The week after the last one.
            change: What the fault does to all rows from then on; None for none.

        Yields:
            Kind and column of each fault of a week.
        """
        began = KNOWN_DAYS + first * DAYS_PER_WEEK
        rows = self.rows.filter(pl.col(DAY_COLUMN) < KNOWN_DAYS + end * DAYS_PER_WEEK)
        before, after = (rows.filter((pl.col(DAY_COLUMN) >= began) == is_after) for is_after in (False, True))
        changed = pl.concat([before, change(after) if change else after], how="vertical_relaxed")
        by_day = {
            day: part.select(CONTRACT_COLUMNS)
            for (day,), part in changed.with_columns(DAY_COLUMN).partition_by(DAY_COLUMN, as_dict=True).items()
        }
        for week in range(first, end):
            yield self._list_faults(KNOWN_DAYS + week * DAYS_PER_WEEK, by_day)

    def _list_faults(self, begin: int, by_day: dict[int, pl.DataFrame]) -> FaultKeys:
        days = [_get_date(number) for number in range(begin, begin + DAYS_PER_WEEK)]
        found = find_grouped_faults(
            days,
            {day: count for day, count in self.counts.items() if day <= days[-1]},
            lambda group: pl.concat(
                [by_day[number] for day in group if (number := (day - FIRST_DAY).days) in by_day],
                how="vertical_relaxed",
            ),
            self.norms,
        )
        return {fault.key for _, faults in found for fault in faults}


def _get_date(number: int) -> dt.date:
    return FIRST_DAY + dt.timedelta(days=number)


if __name__ == "__main__":
    main()
