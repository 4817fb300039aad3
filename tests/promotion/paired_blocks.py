"""Blocks of a day each, with the summed losses of a live model and a candidate."""

import datetime as dt

import polars as pl

from penumbra.core.metrics.losses import LossScale
from penumbra.core.settings import load_settings
from penumbra.promotion.unseen_losses import EarlierDays

TERMS = load_settings(environ={}).promotion
SCALE = LossScale("log-loss", 1.0)
GATE = EarlierDays(TERMS.seen_days)  # as many days at the gate as a new recipe has to be seen on
DAY = dt.date(2013, 4, 1)


def blocks(differences, complete=True):
    """A block a day of 100 rows in which the candidate's losses add up to so much less than 50."""
    given = pl.Series(differences, dtype=pl.Float64)
    return pl.DataFrame({"difference": given}).with_columns(
        first=pl.Series([DAY + dt.timedelta(days=day) for day in range(len(given))], dtype=pl.Date),
        rows=pl.lit(100, dtype=pl.Int64),
        labels=pl.lit(100, dtype=pl.Int64),
        live=pl.lit(50.0),
        candidate=50 - given,
        complete=pl.lit(complete),
    )
