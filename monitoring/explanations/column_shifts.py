"""The shift of a column in words, and how far each day is on the way of it, from counts by bin."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from penumbra.core.histograms import Binning
from penumbra.core.text.counts import format_share
from penumbra.core.text.quoting import escape_text

QUARTILES = (0.25, 0.5, 0.75)
MIN_RANK_SHIFT = 0.02  # of a number's mean rank, 0 to 1, for it to be called higher or lower
MIN_NULL_SHIFT = 0.01
MIN_SHARE_SHIFT = 0.001
MAX_NAMED_VALUES = 2  # that grew, and that shrank
UNKNOWN_VALUES, MISSING_VALUES = "other values", "(missing)"


def project_days(days: np.ndarray, window: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Place days between the reference and a window by a column's shares of rows.

    Args:
        days: Counts by bin of the column, int64 [days, bins].
        window: Counts of the window, int64 [bins].
        reference: Counts of the reference, int64 [bins].

    Returns:
        For each day the mean over its rows of (w - r) / (w + r), with the shares w and r that the row's bin has in
        window and reference: float64 [days], from -1 to 1. NaN for a day without rows.
    """
    now, then = _compute_shares(window), _compute_shares(reference)
    weights = np.divide(now - then, now + then, out=np.zeros_like(now), where=now + then > 0)
    rows = days.sum(axis=1)
    return np.divide(days @ weights, rows, out=np.full(len(days), np.nan), where=rows > 0)


def describe_shift(
    binning: Binning, column: str, window: np.ndarray, reference: np.ndarray, classes: Sequence[str] = ()
) -> str:
    """Describe how the values of a column differ from the reference's.

    Args:
        binning: The bins.
        column: The column's name.
        window: Counts of the window by bin of the column, int64 [bins].
        reference: Counts of the reference, int64 [bins].
        classes: Names of the classes, where the column's words are their positions.

    Returns:
        Words, such as "higher: quartiles 29, 37, 44 → 59, 66, 73", or for categories, and numbers whose middle is where
        it was, "more web (20.0% → 50.0%); less north (30.0% → 5.0%)"; "" where nothing of it can be named.
    """
    now, then = _compute_shares(window), _compute_shares(reference)
    nulls = (
        f"missing in {format_share(then[-1])} → {format_share(now[-1])}"
        if abs(now[-1] - then[-1]) >= MIN_NULL_SHIFT
        else ""
    )
    if column in binning.edges:
        return "; ".join(filter(None, [_describe_number(binning.edges[column], now[:-1], then[:-1]), nulls]))
    words = [*(_name_word(word, classes) for word in binning.words[column]), UNKNOWN_VALUES, MISSING_VALUES]
    return _describe_words(words, now - then, now, then)


def _compute_shares(counts: np.ndarray) -> np.ndarray:
    return counts / max(counts.sum(), 1)


def _describe_number(edges: Sequence[float], now: np.ndarray, then: np.ndarray) -> str:
    if not now.sum() or not then.sum():
        return ""
    now, then = now / now.sum(), then / then.sum()
    moved = float((now - then) @ (then.cumsum() - then / 2))
    if abs(moved) < MIN_RANK_SHIFT:
        return _describe_words(_name_number_bins(edges), now - then, now, then)
    word = "higher" if moved > 0 else "lower"
    return f"{word}: quartiles {_format_quartiles(edges, then)} → {_format_quartiles(edges, now)}"


def _name_number_bins(edges: Sequence[float]) -> list[str]:
    """What is in each bin: above the edge before, and up to its own."""
    if not edges:
        return ["any number"]
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]:.4g}", *between, f"above {edges[-1]:.4g}"]


def _format_quartiles(edges: Sequence[float], shares: np.ndarray) -> str:
    """Of each quartile the upper edge of its bin."""
    at = np.searchsorted(shares.cumsum(), np.array(QUARTILES) - 1e-9)
    shown = [f"{edges[each]:.4g}" if each < len(edges) else f"above {edges[-1]:.4g}" for each in at]
    return ", ".join(shown)


def _name_word(word: str, classes: Sequence[str]) -> str:
    return escape_text(classes[int(word)] if classes and word.isdecimal() and int(word) < len(classes) else word)


def _describe_words(words: Sequence[str], moved: np.ndarray, now: np.ndarray, then: np.ndarray) -> str:
    ordered = np.argsort(-moved, kind="stable").tolist()
    grown = [at for at in ordered if moved[at] >= MIN_SHARE_SHIFT][:MAX_NAMED_VALUES]
    shrunk = [at for at in ordered[::-1] if moved[at] <= -MIN_SHARE_SHIFT][:MAX_NAMED_VALUES]
    parts = [("more", grown), ("less", shrunk)]
    return "; ".join(
        f"{how} {', '.join(f'{words[at]} ({format_share(then[at])} → {format_share(now[at])})' for at in found)}"
        for how, found in parts
        if found
    )
