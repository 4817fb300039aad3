"""Made-up orders, 40 a day."""

import datetime as dt
import math
import random

import polars as pl

from benchmarks.projects.own_data.problems.tables import DAYS, START


def load_table() -> pl.DataFrame:
    """Older customers and large amounts leave more often; every 50th amount is missing."""
    return pl.DataFrame([make_order(START + dt.timedelta(days=day), n) for day in range(DAYS) for n in range(40)])


def make_order(day: dt.date, n: int) -> dict[str, str | None]:
    """The n-th order of a day."""
    draw = random.Random(day.toordinal() * 1000 + n)
    amount, age, member = round(draw.lognormvariate(3, 0.6), 2), draw.randint(18, 90), draw.random() < 0.4
    leaning = (age - 50) / 15 + math.log(amount / 20) - 1.5 * member
    return {
        "number": f"{day.toordinal() * 100 + n}.{n % 10}0",
        "order date": dt.datetime.combine(day, dt.time(8 + n % 12, n)).isoformat(),
        "batch": draw.choice(["north", "south", "west"]),
        "amount (EUR)": None if n == 30 and day.day % 2 else str(amount),
        "day": str(age),
        "class": str(member).lower(),
        "in.put*s [%]": str(round(draw.random(), 3)),
        "events": str(int(draw.random() < 1 / (1 + math.exp(-leaning)))),
    }
