"""Shares of a column's texts that match a pattern."""

import polars as pl

MIN_READ_SHARE = 0.99  # of a column's values, that are of its dtype; the others are told


def measure_match(text: pl.Series, pattern: str) -> float:
    """Measure how many texts match a pattern.

    Args:
        text: Texts (String) without nulls; blanks around them don't matter.
        pattern: A regular expression for a whole text.

    Returns:
        The share of the texts, from 0 to 1.
    """
    return len(text.filter(text.str.strip_chars().str.contains(f"^(?:{pattern})$"))) / max(len(text), 1)


def is_matched(text: pl.Series, pattern: str) -> bool:
    """Tell whether about all texts match a pattern.

    Args:
        text: Texts (String) without nulls; blanks around them don't matter.
        pattern: A regular expression for a whole text.

    Returns:
        Whether at most one of a hundred doesn't.
    """
    return measure_match(text, pattern) >= MIN_READ_SHARE
