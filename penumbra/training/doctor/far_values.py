"""Numbers of a few rows that are far beyond all others, as of a decimal sign that was lost or a unit that changed."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.tables import format_number

TAIL = 0.001  # share of the rows beyond the quantile that is measured by
FAR, NEAR = 10, 3  # times the quantile's distance from the median
MAX_FAR_ROWS = 5
MIN_ROWS = 1_000  # of fewer the quantile is an extreme itself
QUANTILE_ROWS = 100_000  # evenly picked, of which the quantiles are taken


def note_far_values(features: pl.DataFrame, label: pl.Series) -> Iterator[str]:
    """Note numbers that a few rows have far beyond all others, above or below.

    Such are those of up to 5 rows beyond 10 times the distance of the 0.1 % quantile from the median, where no other
    row is beyond 3 times: tails that are long have rows in between.

    Args:
        features: The derived features, [m, k]; those that aren't numbers are passed over, as nulls and NaN are.
        label: The target of the rows with an outcome, [n].

    Yields:
        A sentence for each column and side.
    """
    for name, values in [("the target", label), *((each.name, each) for each in features)]:
        if values.dtype.is_numeric():
            numbers = values.drop_nulls().cast(pl.Float64).to_numpy()
            numbers = numbers[np.isfinite(numbers)]
            yield from _note_side(name, numbers, 1)
            yield from _note_side(name, -numbers, -1)


def _note_side(name: str, numbers: np.ndarray, sign: int) -> Iterator[str]:
    """Numbers far above the others, float64 [n]; `sign` is -1 where all are negated."""
    if numbers.size < MIN_ROWS:
        return
    picked = numbers[:: max(1, numbers.size // QUANTILE_ROWS)]
    middle, tail = np.quantile(picked, [0.5, 1 - TAIL], method="lower")
    is_far = numbers > middle + NEAR * (tail - middle)
    far = numbers[is_far]
    if tail > middle and 0 < far.size <= MAX_FAR_ROWS and far.min() > middle + FAR * (tail - middle):
        way, least, bound = ("up", "most", "max") if sign > 0 else ("down", "least", "min")
        yield (
            f"{name} is {way} to {format_number(sign * far.max())} in {format_count(far.size, 'row')} of "
            f"{numbers.size:,}, and at {least} {format_number(sign * numbers[~is_far].max())} in the others: where "
            f"that can't be, have ingest quarantine such rows ({bound}=… of the column in problem/schema.py)"
        )
