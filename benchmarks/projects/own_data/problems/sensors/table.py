"""Made-up readings, 800 a day."""

import datetime as dt
import random

import polars as pl

from benchmarks.projects.own_data.problems.tables import DAYS, START

MACHINES = 100


def load_table() -> pl.DataFrame:
    """The load grows with turns and heat, and now and then it is a hundred times as large."""
    draw = random.Random(7)
    rows = [make_reading(draw, START + dt.timedelta(days=day), n) for day in range(DAYS) for n in range(800)]
    return pl.DataFrame(rows, orient="row", schema=["machine", "measured.at", "heat-°C", "turns/min", "kind{}", "load"])


def make_reading(draw: random.Random, day: dt.date, n: int) -> tuple[str, ...]:
    """The n-th reading of a day."""
    heat, turns, mill = draw.gauss(60, 15), draw.randint(200, 3000), n % 2
    noise = draw.paretovariate(2.5) * draw.choice((-1, 1))
    return (
        f"m-{n % MACHINES}",
        f"{day}T{n // MACHINES * 3:02}:00:00.000Z",
        f"{heat:.2f}",
        str(turns),
        ("lathe", "mill")[mill],
        f"{turns / 10 + heat * (1 + mill) + 20 * noise:.3f}",
    )
