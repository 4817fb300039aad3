"""Shares of a column's texts that match a pattern."""

import polars as pl

from penumbra.drafting.reading.words import BOOLEANS

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


def has_both_answers(text: pl.Series) -> bool:
    """Tell whether all texts are words for yes or no, and there are both.

    Args:
        text: Texts (String) without nulls; blanks around them don't matter.

    Returns:
        Whether they are, in whatever case.
    """
    words = {*text.str.strip_chars().str.to_lowercase().unique().head(2 * len(BOOLEANS))}
    return words <= BOOLEANS.keys() and len({BOOLEANS[word] for word in words}) > 1
