"""Columns that go with the order of the rows: of days that are made up from it, their faults would be the order's."""

import polars as pl

ORDERED_SCORE = 5  # standard errors by which neighbours are more alike than any two rows


def find_ordered_columns(values: pl.DataFrame) -> list[str]:
    """Find the columns by which rows are sorted or grouped, whole or in part.

    Args:
        values: Columns in the order of the rows, which may be a sample.

    Returns:
        The names of those in which neighbours are more alike than any two rows are: equal more often, or of numbers
        with ranks that are correlated (von Neumann's ratio, Bartels 1982); or missing together.
    """
    return [each.name for each in values if _is_ordered(each)]


def _is_ordered(values: pl.Series) -> bool:
    scores = [_score_equality(values.is_null())]
    known = values.drop_nulls()
    if known.dtype.is_numeric() or known.dtype.is_temporal():
        scores.append(_score_ranks(known.rank()))
    elif not known.dtype.is_nested():
        scores.append(_score_equality(known))
    return max(scores) > ORDERED_SCORE


def _score_equality(values: pl.Series) -> float:
    """By how many standard errors more neighbours are equal than chance would have it."""
    pairs = len(values) - 1
    expected = float(((values.value_counts()["count"] / max(len(values), 1)) ** 2).sum())
    if pairs < 1 or not 0 < expected < 1:
        return 0.0
    equal = float((values.head(pairs) == values.tail(pairs)).mean() or 0)  # type: ignore[arg-type]
    return (equal - expected) / (expected * (1 - expected) / pairs) ** 0.5


def _score_ranks(ranks: pl.Series) -> float:
    """By how many standard errors the ranks of neighbours are correlated."""
    pairs = len(ranks) - 1
    if pairs < 1 or ranks.n_unique() < 2:
        return 0.0
    deviations = ranks - ranks.mean()
    together, alone = (deviations.head(pairs) * deviations.tail(pairs)).sum(), (deviations**2).sum()
    return float(together) / float(alone) * pairs**0.5
