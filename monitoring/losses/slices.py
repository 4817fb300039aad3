"""Slices with higher loss: where the model loses more in a window than on the same slice of its reference.

Only a rise beyond what the days explain counts.

The window's days are put back among the reference's, and as many are drawn from all, again and again (see
permutation.py). A slice's rise has its own limit over the permutations, raised by one factor for all slices, so that
the largest ratio keeps the promise for all of them together: where the days could stand in any order, at most one
window in `WINDOWS_PER_ALARM` names any slice.

Source: the idea of Westfall, Young, *Resampling-Based Multiple Testing*, 1993.
"""

from collections.abc import Iterator

import numpy as np

from monitoring.losses.realised_loss import compute_mean_band
from monitoring.permutation import compute_simultaneous_limits, draw_permutations
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import MISSING_CATEGORY, Binning, DegradedSlice
from penumbra.core.text.quoting import escape_text

WINDOWS_PER_ALARM = 20
MIN_SLICE_LABELS = 50  # labels, in the window and in the reference
MAX_NAMED_SLICES = 10

SliceSums = tuple[np.ndarray, np.ndarray]


def find_degraded_slices(
    window: SliceSums, reference: SliceSums, binning: Binning, seed: int = 0
) -> list[DegradedSlice]:
    """Find the slices whose loss has risen.

    Args:
        window: For each day of the window and each bin the number of labelled rows, int64 [days, bins], and the sum of
            their losses, float64 [days, bins].
        reference: The same of the reference.
        binning: The bins.
        seed: Seed of the permutations.

    Returns:
        Ten slices at most, those whose loss has risen most first.
    """
    places = [
        each
        for each in list_category_slices(binning)
        if _count_labels(window, each[2]) >= MIN_SLICE_LABELS <= _count_labels(reference, each[2])
    ]
    if not places:
        return []
    at = [place for *_, place in places]
    rows, losses = (np.concatenate([now[:, at], before[:, at]]) for now, before in zip(window, reference, strict=True))
    drawn = draw_permutations(len(window[0]), len(reference[0]), WINDOWS_PER_ALARM, seed)
    more = _slice_means(drawn, rows, losses) - _slice_means(~drawn, rows, losses)
    limits = compute_simultaneous_limits(more, WINDOWS_PER_ALARM)
    risen = np.flatnonzero((limits > 0) & (more[0] > limits))
    named = [
        _describe_slice(window, reference, *places[each])
        for each in risen[np.argsort(-more[0, risen])][:MAX_NAMED_SLICES]
    ]
    return [each for each in named if each]


def list_category_slices(binning: Binning) -> Iterator[tuple[str, str, int]]:
    """List the slices that can be looked at: each value of each category column, and that it is missing.

    Args:
        binning: The bins.

    Yields:
        Column, value, and the place of its bin in a profile.
    """
    for column, words in binning.words.items():
        if column != PREDICTION_COLUMN:
            place = binning.columns[column]
            yield from ((column, word, place.start + at) for at, word in enumerate(words))
            yield column, MISSING_CATEGORY, place.stop - 1


def _count_labels(sums: SliceSums, at: int) -> int:
    return int(sums[0][:, at].sum())


def _slice_means(drawn: np.ndarray, rows: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Over the days drawn, of each slice: float64 [replays, slices]; 0 where it has no rows."""
    known = drawn @ rows.astype(float)
    return np.divide(drawn @ losses, known, out=np.zeros_like(known), where=known > 0)


def _describe_slice(window: SliceSums, reference: SliceSums, column: str, value: str, at: int) -> DegradedSlice | None:
    now = compute_mean_band(window[1][:, at], window[0][:, at])
    if now is None:
        return None
    before = float(reference[1][:, at].sum() / _count_labels(reference, at))
    return DegradedSlice(column, escape_text(value), now.rows, now.mean, now.low, now.high, before)
