"""Made-up tickets, 30 a day."""

import datetime as dt
import random

import polars as pl

from benchmarks.projects.own_data.problems.tables import DAYS, START

from .schema import TEAMS


def load_table() -> pl.DataFrame:
    """The source and the product tell the team in three cases of five."""
    return pl.DataFrame([make_ticket(START + dt.timedelta(days=day), n) for day in range(DAYS) for n in range(30)])


def make_ticket(day: dt.date, n: int) -> dict[str, str | None]:
    """The n-th ticket of a day."""
    draw = random.Random(day.toordinal() * 1000 + n)
    source, product = draw.choice(["web", "mail", "phone"]), draw.choice(["toys", "books", "garden"])
    usual = TEAMS[(["web", "mail", "phone"].index(source) + ["toys", "books", "garden"].index(product)) % 5]
    return {
        "opened": f"{dt.datetime.combine(day, dt.time(8 + n % 12, n)).isoformat()}+0{2 if day.month > 3 else 1}:00",
        "from": source,
        "product-line": product if n % 9 else None,
        "urgent": draw.choice(["true", "false"]) if n % 11 else None,
        "bought": (day - dt.timedelta(days=draw.randint(0, 60))).isoformat(),
        "wait": f"00:{draw.randint(0, 59):02}:00",
        "spent [€]": f"{draw.lognormvariate(3, 1):.2f}",
        "words": str(draw.randint(3, 400)),
        "team": usual if draw.random() < 0.6 else draw.choice(TEAMS),
    }
