"""`python3 shop_orders.py FOLDER 2024-01 2024-05`: orders of a made-up shop, a CSV file for each month.

For the recorded example; the same files every time. Fashion comes back more often than books, and what is bought in a
hurry or cheaply, more often still; from April on a new size table makes returns of shoes rarer.
"""

import csv
import datetime as dt
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

ORDERS_PER_DAY = 80
LEANING = {"books": -2.6, "electronics": -1.4, "fashion": 0.4, "shoes": 0.3, "toys": -1.8}
PRICES = {"books": 14, "electronics": 120, "fashion": 45, "shoes": 70, "toys": 25}
NEW_SIZE_TABLE = dt.date(2024, 4, 1)
COLUMNS = (
    *("order no.", "ordered at", "country", "category", "price (EUR)", "discount", "items", "express"),
    *("customer since", "refund (EUR)", "returned"),
)


def write_months(folder: Path, first: str, last: str) -> None:
    """Write a file of orders for each month.

    Args:
        folder: Where they go; it is made.
        first: The first month, such as 2024-01.
        last: The last one.
    """
    folder.mkdir(exist_ok=True)
    day = dt.date.fromisoformat(f"{first}-01")
    while (month := f"{day:%Y-%m}") <= last:
        following = (day + dt.timedelta(days=31)).replace(day=1)
        with (folder / f"{month}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            for number in range((following - day).days):
                rows.writerows(make_orders(day + dt.timedelta(days=number)))
        day = following


def make_orders(day: dt.date) -> Iterator[list[object]]:
    """Make the orders of a day.

    Args:
        day: The day.

    Yields:
        The values of an order, of each of `COLUMNS`, in the order of their times.
    """
    draw = random.Random(day.toordinal())
    luck = draw.gauss(0, 0.25)  # the day's orders share it
    for number, second in enumerate(sorted(draw.sample(range(86_400), ORDERS_PER_DAY))):
        category, express = draw.choice(list(LEANING)), draw.random() < 0.2
        price = round(PRICES[category] * draw.lognormvariate(0, 0.4), 2)
        discount = draw.choice([0, 0, 0, 10, 20, 50])
        since = draw.randint(2010, 2024)
        leaning = LEANING[category] + luck + 0.02 * discount + 0.5 * express - 0.05 * (2024 - since) - 0.6
        leaning -= 0.9 if category == "shoes" and day >= NEW_SIZE_TABLE else 0
        returned = draw.random() < 1 / (1 + math.exp(-leaning))
        yield [
            f"A{day:%y%m%d}-{number:03}",
            (dt.datetime.combine(day, dt.time()) + dt.timedelta(seconds=second)).isoformat(" "),
            draw.choice(["AT", "CH", "DE", "DE", "DE"]),
            category,
            price,
            discount if draw.random() < 0.97 else "",
            1 + int(draw.expovariate(1.2)),
            "yes" if express else "no",
            since,
            price if returned else 0,
            "yes" if returned else "no",
        ]


if __name__ == "__main__":
    write_months(Path(sys.argv[1]), sys.argv[2], sys.argv[-1])
