"""Small tables of text, and what is drafted from them."""

import csv
import datetime as dt
import random
from pathlib import Path

from penumbra.drafting.analysis.problem_analysis import draft_problem

ROWS = 400
FIRST_DAY = dt.date(2024, 1, 1)


def make_orders(rows=ROWS, **columns):
    """Two orders a day with a number, and whether each came late; more columns by name, of as many values as there are
    rows, or of fewer, of which each row has one by chance."""
    chance = random.Random(1)
    table = {
        "day": [(FIRST_DAY + dt.timedelta(days=n // 2)).isoformat() for n in range(rows)],
        "amount": [str(chance.randint(10, 90)) for _ in range(rows)],
        "late": [chance.choice(["yes", "no", "no"]) for _ in range(rows)],
    }
    return table | {
        name: values if len(values) == rows else chance.choices(values, k=rows) for name, values in columns.items()
    }


def write_csv(path, table, *, separator=",", encoding="utf-8"):
    """Write columns of text."""
    with Path(path).open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def draft_orders(folder, rows=ROWS, **columns):
    """Draft the problem whether an order comes late."""
    return draft_problem(str(write_csv(folder / "orders.csv", make_orders(rows, **columns))), "late")


def draft_column(folder, values, name="value"):
    """Draft one more column of the orders."""
    return get_column(draft_orders(folder, **{name: values}), name)


def get_column(draft, name):
    """The column of a draft with this name."""
    return next(column for column in draft.columns if column.name == name)


def draft_table(folder, table, target="late", **options):
    """Draft a problem from columns of text."""
    return draft_problem(str(write_csv(folder / "data.csv", table)), target, **options)
