"""What a row is, and what is to be predicted of it."""

import datetime as dt
from typing import Any

import dataframely as dy
import polars as pl

TIME = "sent_at"


class Row(dy.Schema):
    """What is known of a parcel when it is sent, which is when the prediction is made."""

    parcel = dy.Int64(primary_key=True, min=1)
    sent_at = dy.Datetime(
        nullable=False,
        min=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        max=dt.datetime(2099, 12, 31, tzinfo=dt.UTC),
        time_zone="UTC",
    )
    carrier = dy.Enum(["blue", "green", "red"])
    weight_kg = dy.Float64(nullable=True, min=0, max=100)
    distance_km = dy.Int32(nullable=False, min=0, max=5_000)
    express = dy.Bool(nullable=False)


class Labelled(Row):
    """And what is known later."""

    hours = dy.Float64(nullable=True, min=0, max=1_000)


def target() -> pl.Expr:
    """How many hours it needed; null where that isn't known."""
    return pl.col("hours")


EXAMPLE: dict[str, Any] = {
    "parcel": 739252017,
    "sent_at": "2025-01-01T10:50:00Z",
    "carrier": "green",
    "weight_kg": 4.5,
    "distance_km": 310,
    "express": False,
}
OUTCOME: dict[str, Any] = {"hours": 21.5}  # what happened to the example
QUESTION = "How many hours did the parcel need?"
