"""A small made-up problem, "orders", as a whole `problem/` folder: will this customer's order be their last one?

It has nothing of the flights: another key, few rows a day, a Boolean and an Enum column, a time without zone. A test
changes what it is about by replacing text in a file: `write_orders(folder, schema=[("age = dy.Int16", "row = …")])`.
"""

import datetime as dt
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings
from penumbra.data.batches import DataStore

Replacements = Iterable[tuple[str, str]]

FILES = {
    "__init__": '"""Orders and whether their customers left afterwards."""\n',
    "schema": '''"""An order, and whether its customer left."""

import dataframely as dy
import polars as pl

TIME = "at"


class Row(dy.Schema):
    """What is known when the order is placed."""

    order_id = dy.Int64(primary_key=True, min=1)
    at = dy.Datetime(nullable=False)
    region = dy.Enum(["north", "south", "west"])
    amount = dy.Float64(nullable=True, min=0, max=10_000)
    age = dy.Int16(nullable=False, min=18, max=99)
    member = dy.Bool(nullable=False)


class Labelled(Row):
    """With the outcome: null while it isn't known."""

    churned = dy.Bool(nullable=True)


def target() -> pl.Expr:
    """Whether the customer left."""
    return pl.col("churned")


EXAMPLE = {"order_id": 7, "at": "2024-03-01T12:00:00", "region": "west", "amount": 20.5, "age": 40, "member": True}
OUTCOME = {"churned": False}
''',
    "source": '''"""Made-up orders: a batch a month from January 2024 on, the same bytes every time."""

import datetime as dt
import io
import math
import random
from dataclasses import dataclass

import polars as pl

ROWS_PER_DAY = 60
MONTHS = 6


@dataclass(frozen=True)
class Batch:
    """A month, and the first day on which it is complete."""

    name: str
    complete: dt.date


def batches() -> list[Batch]:
    """All months."""
    return [Batch(f"2024-{month:02}", dt.date(2024 + month // 12, month % 12 + 1, 1)) for month in range(1, MONTHS + 1)]


def fetch(batch: str) -> dict[str, bytes]:
    """A month's orders as CSV."""
    first = dt.date.fromisoformat(f"{batch}-01")
    after = dt.date(first.year + first.month // 12, first.month % 12 + 1, 1)
    days = [first + dt.timedelta(days=n) for n in range((after - first).days)]
    header = "order_id,at,region,amount,age,member,churned\\n"
    return {"orders.csv": "".join([header, *map(write_order, make_orders(days))]).encode()}


def write_order(order: dict[str, object]) -> str:
    """A line of the file."""
    return ",".join(str(value) for value in order.values()) + "\\n"


def make_orders(days: list[dt.date]) -> list[dict[str, object]]:
    """The orders of these days; older customers and large amounts leave more often, members less."""
    orders = []
    for day in days:
        draw = random.Random(day.toordinal())
        for n in range(ROWS_PER_DAY):
            at = dt.datetime.combine(day, dt.time(8 + n % 12, n % 60))
            region, member = draw.choice(["north", "south", "west"]), draw.random() < 0.4
            amount, age = round(draw.lognormvariate(3, 0.6), 2), draw.randint(18, 90)
            leaning = (age - 50) / 15 + math.log(amount / 20) - 1.5 * member + 0.8 * (region == "west")
            churned = draw.random() < 1 / (1 + math.exp(-leaning))
            orders.append(
                {
                    "order_id": day.toordinal() * 10_000 + n,
                    "at": at.isoformat(),
                    "region": region,
                    "amount": amount,
                    "age": age,
                    "member": str(member).lower(),
                    "churned": str(churned).lower(),
                }
            )
    return orders


def parse(files: dict[str, bytes]) -> pl.DataFrame:
    """Rows of text."""
    return pl.read_csv(io.BytesIO(files["orders.csv"]), infer_schema=False, null_values=[""])


CONVERSIONS = [
    pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False),
    *(pl.col(name) == "true" for name in ("member", "churned")),
]
''',
    "features": '''"""The model's inputs."""

from penumbra.features import Category, Feature, Number

FEATURES: tuple[Feature, ...] = (Category("region"), Number("amount"), Number("age"))
''',
    "candidates": '''"""The experiments."""

from typing import Any

from penumbra.patterns import Candidate, Columns


def boosting(columns: Columns) -> Any:
    """A few small trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features=columns.categorical, max_iter=20, max_leaf_nodes=6, random_state=1
    )


def baseline(columns: Columns) -> Any:
    """The share, whatever the inputs."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


CANDIDATES = {"boosting": Candidate(boosting)}
''',
}
NUMBERS = itertools.count()


def write_orders(folder: Path, **changes: Replacements) -> Path:
    """Write the problem with some text of its files replaced.

    Args:
        folder: The folder to write, which becomes the package.
        changes: By the name of a file without ".py": pairs of a text that stands in it and what stands there instead.

    Returns:
        The folder, as `Workspace.use_problem` takes it.

    Raises:
        ValueError: A text to replace doesn't stand in the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES.keys() | changes.keys():
        text = FILES.get(name, "")
        for old, new in changes.get(name, ()):
            if old not in text:
                raise ValueError(f"{name}.py of the orders has no {old!r}")
            text = text.replace(old, new)
        (folder / f"{name}.py").write_text(text)
    return folder


def load_orders(folder: Path, **changes: Replacements) -> Problem:
    """Write the problem below a folder under a name of its own, and load it in this process.

    Args:
        folder: An empty folder; it is put on the import path.
        changes: See `write_orders`.

    Returns:
        The loaded problem.

    Raises:
        penumbra.core.problem.ProblemError: The changed problem has a fault.
    """
    package = f"orders_{next(NUMBERS)}"
    write_orders(folder / package, **changes)
    sys.path.insert(0, str(folder))
    try:
        return load_problem(package=package)
    finally:
        sys.path.remove(str(folder))


def open_orders_store(folder: Path, bad_row_share: float = 0.5, **changes: Replacements) -> DataStore:
    """Open a data store of the problem in a folder.

    Args:
        folder: Holds the problem, the data, and what is derived from them.
        bad_row_share: As in the settings.
        changes: See `write_orders`.

    Returns:
        The store, on the first of January 2025.
    """
    data = DataSettings(
        today=dt.date(2025, 1, 1),
        folder=folder / "data",
        derived=folder / "derived",
        remote="",
        commit=False,
        bad_row_share=bad_row_share,
    )
    return DataStore(data, load_orders(folder, **changes))
