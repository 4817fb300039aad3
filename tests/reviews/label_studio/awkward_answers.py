"""A contract whose outcome has a column of each kind, with names and classes that XML has to escape."""

from types import SimpleNamespace
from typing import Any

import dataframely as dy
import polars as pl

CLASSES = ['"fog" & <haze>', "no value", "$clear"]


class Row(dy.Schema):
    at = dy.Datetime(nullable=False)


class Labelled(Row):
    left = dy.Bool(nullable=False)
    sky = dy.Enum(CLASSES, nullable=False)
    price = dy.Float64(nullable=True, min=0, alias='price, "net" <EUR> & more')
    remark = dy.String(nullable=False)
    tags = dy.List(dy.Int64(), nullable=False)


SCHEMA: Any = SimpleNamespace(Row=Row, Labelled=Labelled, TIME="at", QUESTION="", target=lambda: pl.col("left"))
