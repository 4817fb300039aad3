"""Where is the model wrong? The slices of a window's rows on which it loses more than it did on the same of its
reference, beyond what the days explain.

The window's days are put back among the reference's, and as many are drawn from all, again and again (see replays.py).
A slice's rise has its own limit over the replays, raised by one factor for all slices, so that the largest ratio keeps
the promise for all of them together (the idea of Westfall, Young, *Resampling-Based Multiple Testing*, 1993): where the
days could stand in any order, at most one window in `ONE_IN` names any slice.
"""

from collections.abc import Iterator

import numpy as np

from counts import PREDICTION, Binning, Slice
from monitoring.loss import band
from monitoring.replays import draws, limit

ONE_IN = 20
FEWEST = 50  # labels, in the window and in the reference
MOST = 10
MISSING = "(missing)"

Sums = tuple[np.ndarray, np.ndarray]


def worse(window: Sums, reference: Sums, binning: Binning, seed: int = 0) -> list[Slice]:
    """Those whose loss has risen, the most risen first, ten at most. `window` and `reference`: of each day and bin how
    many labelled rows, int64 [days, size of the binning], and the sum of their losses, float64 of the same shape."""
    places = [each for each in _places(binning) if _labels(window, each[2]) >= FEWEST <= _labels(reference, each[2])]
    if not places:
        return []
    at = [place for *_, place in places]
    rows, losses = (np.concatenate([now[:, at], before[:, at]]) for now, before in zip(window, reference, strict=True))
    drawn = draws(len(window[0]), len(reference[0]), ONE_IN, seed)
    more = _means(drawn, rows, losses) - _means(~drawn, rows, losses)
    scale = limit(more, ONE_IN)
    ratios = np.divide(more, scale, out=np.zeros_like(more), where=scale > 0)
    risen = np.flatnonzero(ratios[0] > limit(ratios.max(axis=1), ONE_IN))
    named = [_named(window, reference, *places[each]) for each in risen[np.argsort(-more[0, risen])][:MOST]]
    return [each for each in named if each]


def _places(binning: Binning) -> Iterator[tuple[str, str, int]]:
    """Column, word and bin of each slice that can be looked at."""
    for column, words in binning.words.items():
        if column != PREDICTION:
            place = binning.columns[column]
            yield from ((column, word, place.start + at) for at, word in enumerate(words))
            yield column, MISSING, place.stop - 1


def _labels(sums: Sums, at: int) -> int:
    return int(sums[0][:, at].sum())


def _means(drawn: np.ndarray, rows: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Over the days drawn, of each slice: float64 [replays, slices]; 0 where it has no rows."""
    known = drawn @ rows.astype(float)
    return np.divide(drawn @ losses, known, out=np.zeros_like(known), where=known > 0)


def _named(window: Sums, reference: Sums, column: str, value: str, at: int) -> Slice | None:
    now = band(window[1][:, at], window[0][:, at])
    if now is None:
        return None
    before = float(reference[1][:, at].sum() / _labels(reference, at))
    return Slice(column, value, now.rows, now.mean, now.low, now.high, before)
