"""Validation that grows with experience: the rows on which a live model failed are kept out of what candidates learn
from, and every candidate is scored on them beside the usual validation (Kiela et al., "Dynabench: rethinking
benchmarking in NLP", 2021).

They are the live model's failures and nobody else's: the live model looks bad on them by construction, so that scores
on them compare candidates, never a candidate with the live model. And they are unlike the rest: a few in a thousand are
taken, lest what remains to learn from be much easier than the world.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl


def select_worst_failures(rows: pl.DataFrame, share: float = 0.004, most: int = 200) -> pl.DataFrame:
    """The rows with the largest `loss`, the worst first: this share of them, at most so many, rounded down. On a day of
    chaos everything fails, so that a day (`day`, where there is such a column) gives no more than a fifth of them."""
    count = min(int(len(rows) * share), most)
    worst = rows.sort("loss", descending=True, maintain_order=True)
    if "day" in rows.columns:
        worst = worst.filter(pl.int_range(pl.len()).over("day") < max(1, count // 5))
    return worst.head(count)


def mask_matching_rows(rows: pl.DataFrame, kept: pl.DataFrame, key: Sequence[str]) -> np.ndarray:
    """Which rows are among the kept ones: bool [n]."""
    marked = kept.select(key).unique().with_columns(pl.lit(value=True).alias("kept"))
    return rows.select(key).join(marked, on=key, how="left", maintain_order="left")["kept"].is_not_null().to_numpy()
