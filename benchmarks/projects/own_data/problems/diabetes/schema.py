"""The progression of a disease after a year: a number, known late; names that are ours elsewhere."""

import dataframely as dy
import polars as pl

TIME = "time"


class Row(dy.Schema):
    """A patient at the first visit."""

    id = dy.Int32(primary_key=True, min=0, max=1_000_000)
    time = dy.Datetime(primary_key=True, time_zone="UTC")
    sex = dy.Int8(nullable=False, min=1, max=2)
    label = dy.Int16(nullable=False, min=0, max=120)  # years of age
    score = dy.Float64(nullable=False, min=0, max=100)  # body mass index
    value = dy.Float64(nullable=True, min=0, max=300)  # blood pressure
    model = dy.Float64(nullable=True, min=0, max=10)  # log of triglycerides


class Labelled(Row):
    """With the progression."""

    prediction = dy.Float64(nullable=True, min=0, max=1000)


def target() -> pl.Expr:
    """The progression."""
    return pl.col("prediction")


EXAMPLE = {
    "id": 7,
    "time": "2024-03-01T12:00:00Z",
    "sex": 1,
    "label": 50,
    "score": 26.2,
    "value": 94.0,
    "model": 4.6,
}
OUTCOME = {"prediction": 151.0}
