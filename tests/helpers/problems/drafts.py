"""Drafts of problems as the analysis of data gives them, and tables that they could have been made from."""

import datetime as dt
import math
import random
from dataclasses import replace
from pathlib import Path

import polars as pl

from penumbra.drafting.draft import DraftColumn, DraftSource, DraftTarget, ProblemDraft

START, DAYS = dt.date(2024, 1, 1), 120
SHOPS = ("north", "south", "mühle")
SIZES = ("large", "medium", "small")


def write_orders(path: Path, days: int = DAYS, per_day: int = 12, start: dt.date = START) -> Path:
    """Write a table of orders as CSV.

    Args:
        path: The file.
        days: How many days.
        per_day: How many orders a day.
        start: The first day.

    Returns:
        The file.
    """
    rows = [_make_order(start + dt.timedelta(days=day), n) for day in range(days) for n in range(per_day)]
    pl.DataFrame(rows).write_csv(path)
    return path


def _make_order(day: dt.date, n: int) -> dict[str, str | int | float | None]:
    draw = random.Random(day.toordinal() * 1000 + n)
    amount, age, shop = round(draw.lognormvariate(3, 0.6), 2), draw.randint(18, 90), draw.choice(SHOPS)
    leaning = (age - 50) / 12 + math.log(amount / 20) - (shop == "north")
    returned = draw.random() < 1 / (1 + math.exp(-leaning))
    return {
        "order": f"{day:%y%m%d}-{n:03}",
        "ordered at": f"{day}T{8 + n % 12:02}:{n:02}:00",
        "shop": shop,
        "amount (EUR)": None if n == 7 else amount,
        "class": age,
        "gift?": "true" if n % 5 == 0 else "false",
        "comment": f"order {n} of {day}",
        "size": SIZES[(leaning > -1) + (leaning > 1)],
        "paid, in €": round(amount * (1.1 if shop == "north" else 0.9) + age / 10, 2),
        "returned?": "yes" if returned else "no",
    }


KEY = DraftColumn("order", "order", pl.String(), "key", is_key=True, max_length=20, example="240430-003")
TIME = DraftColumn(
    "ordered at", "ordered_at", pl.Datetime("us"), "time", features=("hour", "weekday"), example="2024-04-30T11:03:00"
)
SHOP = DraftColumn("shop", "shop", pl.Enum(SHOPS), "feature", categories=SHOPS, features=("category",), example="mühle")
AMOUNT = DraftColumn(
    *("amount (EUR)", "amount_eur", pl.Float64(), "feature"),
    nullable=True,
    minimum=0,
    maximum=10_000.0,
    features=("number",),
    example=20.5,
)
AGE = DraftColumn(
    "class",
    "class_",
    pl.Int16(),
    "feature",
    minimum=0,
    maximum=200,
    features=("number",),
    example=40,
    reason="whole numbers",
)
GIFT = DraftColumn("gift?", "gift", pl.Boolean(), "feature", features=("number",), example=True)
COMMENT = DraftColumn("comment", "comment", pl.String(), "unused", reason="free text, as good as never the same")
RETURNED = DraftColumn("returned?", "returned", pl.String(), "outcome", nullable=True, max_length=10, example="yes")
SIZE = DraftColumn("size", "size", pl.Enum(SIZES), "outcome", nullable=True, categories=SIZES, example="small")
PAID = DraftColumn("paid, in €", "paid_in", pl.Float64(), "outcome", nullable=True, minimum=0, example=19.9)
ROW = (KEY, TIME, SHOP, AMOUNT, AGE, GIFT, COMMENT)


def draft_orders(location: str, task: str = "binary") -> ProblemDraft:
    """Draft a problem of orders.

    Args:
        location: The file that the source reads.
        task: "binary", "classes" or "number".

    Returns:
        The draft.
    """
    outcomes = {"binary": RETURNED, "classes": SIZE, "number": PAID}
    column = outcomes[task]
    targets = {
        "binary": DraftTarget("binary", column.name, positive="yes"),
        "classes": DraftTarget("classes", column.name),
        "number": DraftTarget("number", column.name),
    }
    source = DraftSource("files", location, "", TIME.name, "month")
    last = START + dt.timedelta(days=DAYS - 1)
    return ProblemDraft((*ROW, column), targets[task], source, START, last, DAYS * 12, DAYS, ("a note",))


def drop_key(draft: ProblemDraft) -> ProblemDraft:
    """Make the draft one without a key.

    Args:
        draft: A draft of `draft_orders`.

    Returns:
        The draft without the key's column.
    """
    return replace(draft, columns=tuple(column for column in draft.columns if not column.is_key))
