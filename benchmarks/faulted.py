"""Faults put into a week of flights, and which of them are found."""

from collections.abc import Callable

import numpy as np
import polars as pl

import problem.schema
from benchmarks.shuffled import DAY, World, worlds
from monitoring.data_faults import Norms, find, known

CONTRACT = list(problem.schema.Row.columns())
Change = Callable[[pl.DataFrame], pl.DataFrame]


def _celsius(name: str) -> pl.Expr:
    return ((pl.col(name) - 32) / 1.8).round(2)


def _renamed(name: str, old: str, new: str) -> Change:
    return lambda rows: rows.with_columns(pl.col(name).cast(pl.String).replace(old, new))


def _nulls(name: str, share: float) -> Change:
    keep = pl.struct("flight", "time_hour").hash(seed=2) % 1000 >= round(1000 * share)
    return lambda rows: rows.with_columns(pl.when(keep).then(pl.col(name)))


FAULTS: dict[str, tuple[set[str], Change]] = {
    "Fahrenheit → Celsius": ({"temp", "dewp"}, lambda rows: rows.with_columns(_celsius("temp"), _celsius("dewp"))),
    "Fahrenheit → Celsius, temp alone": ({"temp", "dewp"}, lambda rows: rows.with_columns(_celsius("temp"))),
    "miles → kilometres": (
        {"distance"},
        lambda rows: rows.with_columns((pl.col("distance") * 1.609344).round().cast(pl.Int16)),
    ),
    "a carrier renamed": ({"carrier"}, _renamed("carrier", "UA", "UX")),
    "a destination renamed": ({"dest"}, _renamed("dest", "ATL", "ATX")),
    "20 % nulls in temp": ({"temp"}, _nulls("temp", 0.2)),
    "20 % nulls in wind_dir": ({"wind_dir"}, _nulls("wind_dir", 0.2)),
    "a frozen sensor": ({"temp"}, lambda rows: rows.with_columns(pl.col("temp").first().over("origin"))),
}


def faults(rows: pl.DataFrame, known_days: int, count: int) -> float:
    """Print in how many worlds each fault is found; return the smallest share found in the first week."""
    print(f"\nData faults from a week's first day on, in {count} worlds: found on the first day, and in the first week")
    print(f"{'':<46}{'day':>8}{'week':>8}")
    made = [(world, known(_contract(world.reference), problem.schema)) for world in worlds(rows, count, known_days)]
    shares = []
    for name, (columns, change) in FAULTS.items():
        found = np.array([_found(world, norms, columns, change) for world, norms in made])
        shares.append(float(found.any(axis=1).mean()))
        print(f"{name:<46}{found[:, 0].mean():>8.2f}{shares[-1]:>8.2f}", flush=True)
    weeks = [any(_days(world, norms, week, lambda rows: rows)) for world, norms in made for week in range(world.weeks)]
    print(f"of {len(weeks)} weeks without one, {np.mean(weeks):.1%} have something that is called a fault")
    return min(shares)


def _found(world: World, norms: Norms, columns: set[str], change: Change) -> list[bool]:
    """Of each day of the first week: is a fault of these columns found that isn't there without the change?"""
    usual, now = (_days(world, norms, 0, each) for each in (lambda rows: rows, change))
    return [any(column in columns for _, column in keys - known) for keys, known in zip(now, usual, strict=True)]


def _days(world: World, norms: Norms, week: int, change: Change) -> list[set[tuple[str, str]]]:
    first, end = world.days(week)
    days = change(world.part(first, end)).partition_by(DAY, maintain_order=True)
    return [{fault.key for fault in find(_contract(day), norms)} for day in days]


def _contract(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(CONTRACT)
