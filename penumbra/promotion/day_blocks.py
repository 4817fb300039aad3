"""Rows to blocks of days: the unit of evidence. Rows of one day share weather and congestion, so that hundreds of them
say little more than one; a comparison that counts rows calls equal models different most of the time."""

import datetime as dt
from typing import Protocol

import polars as pl


class BlockSettings(Protocol):
    """The settings' `promotion.block_days` and `promotion.coverage`."""

    block_days: int
    coverage: float


def sum_losses_by_block(rows: pl.DataFrame, until: dt.date, terms: BlockSettings) -> pl.DataFrame:
    """Sums of paired losses by block of days, oldest first.

    `rows`: one for each prediction that can have a label (a cancelled flight can't): `time` (Datetime or Date),
    `loss_live` and `loss_candidate` (Float64, null or NaN where there is no label or no prediction), `mature` (Boolean:
    its label is due). `until`: the first day that isn't over.
    Gives `first` (Date), `rows`, `labels` (the rows with both losses), `live`, `candidate` and `difference` (sums over
    those; a positive difference says that the candidate was better), and `complete`: every day is over, every row
    mature, and the share of labelled rows at least the terms' coverage. Blocks lie fixed in the calendar, so what a
    complete one says never changes.
    """
    both = pl.col("loss_live").is_finite() & pl.col("loss_candidate").is_finite()
    live, candidate = pl.col("loss_live").filter(both).sum(), pl.col("loss_candidate").filter(both).sum()
    return (
        rows.group_by(_block_start("time", terms.block_days))
        .agg(
            rows=pl.len().cast(pl.Int64),
            labels=both.sum().cast(pl.Int64),
            live=live,
            candidate=candidate,
            difference=live - candidate,
            complete=pl.col("mature").all() & (both.sum() >= terms.coverage * pl.len()),
        )
        .with_columns(pl.col("complete") & (pl.col("first").dt.offset_by(f"{terms.block_days}d") <= until))
        .sort("first")
    )


def _block_start(time: str, days: int) -> pl.Expr:
    """The first day of the block that a moment is in, counted from 1970."""
    return (pl.col(time).cast(pl.Date).to_physical() // days * days).cast(pl.Date).alias("first")
