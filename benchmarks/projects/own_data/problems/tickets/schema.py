"""The team that a ticket ends with: five classes, no key, labels after twenty days, types of every kind."""

import dataframely as dy
import polars as pl

TIME = "opened"
TEAMS = ["billing", "delivery", "returns", "technical", "other"]


class Row(dy.Schema):
    """A ticket."""

    opened = dy.Datetime(nullable=False, time_zone="Europe/Berlin")
    from_ = dy.String(nullable=False, alias="from")
    product_line = dy.Categorical(nullable=True, alias="product-line")
    urgent = dy.Bool(nullable=True)
    bought = dy.Date(nullable=True)
    wait = dy.Time(nullable=True)
    spent = dy.Decimal(precision=10, scale=2, nullable=True, alias="spent [€]")
    words = dy.UInt16(nullable=False)


class Labelled(Row):
    """With the team."""

    team = dy.Enum(TEAMS, nullable=True)


def target() -> pl.Expr:
    """The team."""
    return pl.col("team")


EXAMPLE = {
    "opened": "2024-03-01T12:00:00+01:00",
    "from": "web",
    "product-line": "toys",
    "urgent": True,
    "bought": "2024-02-01",
    "wait": "00:10:00",
    "spent [€]": "19.90",
    "words": 40,
}
OUTCOME = {"team": "returns"}
