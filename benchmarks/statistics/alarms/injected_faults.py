"""Data faults injected into weeks of flights, and the share of them that is found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

import problem.schema
from benchmarks.statistics.alarms.shuffled_year import DAYS_PER_WEEK, ShuffledYear, shuffle_years
from monitoring.faults.data_faults import find_data_faults
from monitoring.faults.expectations import Expectations, learn_expectations
from penumbra.core.columns import DAY_COLUMN

WEEKS_PER_YEAR = 10  # of each world
CONTRACT_COLUMNS = list(problem.schema.Row.columns())
RowChange = Callable[[pl.DataFrame], pl.DataFrame]


def _to_celsius(name: str) -> pl.Expr:
    return ((pl.col(name) - 32) / 1.8).round(2)


def _replace_value(name: str, old: str, new: str) -> RowChange:
    return lambda rows: rows.with_columns(pl.col(name).cast(pl.String).replace(old, new))


def _insert_nulls(name: str, share: float) -> RowChange:
    keep = pl.struct("flight", "time_hour").hash(seed=2) % 1000 >= round(1000 * share)
    return lambda rows: rows.with_columns(pl.when(keep).then(pl.col(name)))


INJECTED_FAULTS: dict[str, tuple[set[str], RowChange]] = {
    "Fahrenheit → Celsius": (
        {"temp", "dewp"},
        lambda rows: rows.with_columns(_to_celsius("temp"), _to_celsius("dewp")),
    ),
    "Fahrenheit → Celsius, temp alone": ({"temp", "dewp"}, lambda rows: rows.with_columns(_to_celsius("temp"))),
    "miles → kilometres": (
        {"distance"},
        lambda rows: rows.with_columns((pl.col("distance") * 1.609344).round().cast(pl.Int16)),
    ),
    "a carrier renamed": ({"carrier"}, _replace_value("carrier", "UA", "UX")),
    "a destination renamed": ({"dest"}, _replace_value("dest", "ATL", "ATX")),
    "20 % nulls in temp": ({"temp"}, _insert_nulls("temp", 0.2)),
    "20 % nulls in wind_dir": ({"wind_dir"}, _insert_nulls("wind_dir", 0.2)),
    "a frozen sensor": ({"temp"}, lambda rows: rows.with_columns(pl.col("temp").first().over("origin"))),
}


def measure_fault_detection(rows: pl.DataFrame, known_days: int, count: int) -> float:
    """Print in how many weeks each fault is found; return the smallest share found in the first week."""
    made = [
        (world, learn_expectations(_select_contract(world.reference), problem.schema))
        for world in shuffle_years(rows, count, known_days)
    ]
    weeks = [FaultedWeek(world, norms, week) for world, norms in made for week in range(WEEKS_PER_YEAR)]
    print(
        f"\nData faults from a week's first day on, in {len(weeks)} weeks: found on the first day, and within the week"
    )
    print(f"{'':<46}{'day':>8}{'week':>8}")
    shares = []
    for name, (columns, change) in INJECTED_FAULTS.items():
        found = np.array([week.found(columns, change) for week in weeks])
        shares.append(float((found < DAYS_PER_WEEK).mean()))
        print(f"{name:<46}{(found == 0).mean():>8.3f}{shares[-1]:>8.3f}", flush=True)
    called = np.mean([any(week.usual) for week in weeks])
    print(f"of these weeks as they are {called:.1%} have something that is called a fault")
    return min(shares)


@dataclass(frozen=True)
class FaultedWeek:
    world: ShuffledYear
    norms: Expectations
    number: int

    @cached_property
    def days(self) -> list[pl.DataFrame]:
        """The rows of each day of the week, with all columns."""
        return self.world.part(*self.world.days(self.number)).partition_by(DAY_COLUMN, maintain_order=True)

    @cached_property
    def usual(self) -> list[set[tuple[str, str]]]:
        """What is called a fault on each day as it is."""
        return [self._faults(day) for day in self.days]

    def found(self, columns: set[str], change: RowChange) -> int:
        """The first day, from 0, on which there is a fault of these columns that isn't there without the change."""
        for number, (day, usual) in enumerate(zip(self.days, self.usual, strict=True)):
            if any(column in columns for _, column in self._faults(change(day)) - usual):
                return number
        return DAYS_PER_WEEK

    def _faults(self, day: pl.DataFrame) -> set[tuple[str, str]]:
        return {fault.key for fault in find_data_faults(_select_contract(day), self.norms)}


def _select_contract(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(CONTRACT_COLUMNS)
