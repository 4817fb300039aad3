"""Sums of paired losses by block of days, the unit of evidence.

Rows of one day share what happened on it, so that hundreds of them say little more than one; a comparison that
counts rows calls equal models different most of the time.
"""

import datetime as dt
from typing import Protocol

import polars as pl


class BlockSettings(Protocol):
    """The values of the settings' section `promotion` that blocks depend on."""

    block_days: int
    coverage: float


def sum_losses_by_block(rows: pl.DataFrame, until: dt.date, settings: BlockSettings) -> pl.DataFrame:
    """Sum paired losses by block of days.

    Blocks lie fixed in the calendar, so the sums of a complete one never change.

    Args:
        rows: One row for each prediction that can have a label (what was cancelled can't): `time` (Datetime or Date),
            `loss_live` and `loss_candidate` (Float64, null or NaN where there is no label or no prediction), `mature`
            (Boolean: its label is due).
        until: The first day that isn't over.
        settings: The days of a block, and the share of rows that must have a label.

    Returns:
        A row for each block, oldest first: `first` (Date), `rows`, `labels` (the rows with both losses), `live`,
        `candidate` and `difference` (sums over those; a positive difference says that the candidate was better), and
        `complete` (Boolean): every day is over, every row mature, and the share of labelled rows at least
        `settings.coverage`.
    """
    both = pl.col("loss_live").is_finite() & pl.col("loss_candidate").is_finite()
    live, candidate = pl.col("loss_live").filter(both).sum(), pl.col("loss_candidate").filter(both).sum()
    return (
        rows.group_by(compute_block_start("time", settings.block_days))
        .agg(
            rows=pl.len().cast(pl.Int64),
            labels=both.sum().cast(pl.Int64),
            live=live,
            candidate=candidate,
            difference=live - candidate,
            complete=pl.col("mature").all() & (both.sum() >= settings.coverage * pl.len()),
        )
        .with_columns(pl.col("complete") & (pl.col("first").dt.offset_by(f"{settings.block_days}d") <= until))
        .sort("first")
    )


def compute_block_start(time: str, days: int) -> pl.Expr:
    """Build the expression of the first day of the block that a moment is in, counted from 1970.

    Args:
        time: The column of the moment (Datetime or Date).
        days: The days of a block.

    Returns:
        An expression named `first`, of dtype Date.
    """
    return (pl.col(time).cast(pl.Date).to_physical() // days * days).cast(pl.Date).alias("first")
