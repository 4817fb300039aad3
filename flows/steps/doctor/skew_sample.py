"""The rows on which training and service are compared: real ones, some with gaps, some from the contract's ranges."""

import math
from collections.abc import Iterator

import dataframely as dy
import polars as pl

from penumbra.core.checks.expression_checks import sample_columns

SAMPLED_SHARE = 0.25  # of the number of real rows


def pick_skew_rows(rows: pl.DataFrame, contract: type[dy.Schema], count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pick real rows evenly, and make awkward rows: with gaps, with new values.

    Args:
        rows: Rows with the contract's columns and others.
        contract: The schema of a request.
        count: The number of real rows at most.

    Returns:
        The real rows with all their columns; the awkward ones with the contract's.
    """
    real = rows.gather_every(math.ceil(rows.height / count))
    plain = real.select(list(contract.columns()))
    sampled = _sample_contract(contract, math.ceil(count * SAMPLED_SHARE))
    return real, pl.concat([*_make_gaps(plain, contract), *sampled])


def _make_gaps(plain: pl.DataFrame, contract: type[dy.Schema]) -> Iterator[pl.DataFrame]:
    """Yield no rows, and then a row for each column that may be missing, in which it is."""
    yield plain.clear()
    for i, gap in enumerate(name for name, column in contract.columns().items() if column.nullable):
        yield plain[[i % plain.height]].with_columns(pl.lit(None, plain[gap].dtype).alias(gap))


def _sample_contract(contract: type[dy.Schema], count: int) -> Iterator[pl.DataFrame]:
    """Yield rows of the contract's ranges that keep its rules too, if dataframely can make any."""
    try:
        yield contract.filter(sample_columns(contract, list(contract.columns()), count))[0]
    except Exception:  # of a pattern, a length or a condition of the user's own
        return
