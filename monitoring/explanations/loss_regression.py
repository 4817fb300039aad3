"""The reference's loss by what its rows are like: a ridge regression on the bins of all columns.

It tells what other rows would lose if each were as hard as it was on the reference. A row's loss is a sum of one effect
for each column, that of the bin it is in. The strength of the ridge is the one that predicts left out stretches of days
best. All is known as a whole and with each of ten stretches of days left out, for intervals by the jackknife.

Source: Oaxaca, "Male-female wage differentials in urban labor markets", 1973; Blinder, "Wage discrimination", 1973; for
the ridge Hoerl, Kennard, 1970.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np

from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning

MIN_REFERENCE_DAYS, MAX_STRETCHES = 10, 10
TAIL_GROUPS, WORD_GROUPS = 5, 20  # of bins that have an effect in common: on either side of a number, and of words
RIDGE_STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # in mean days of rows


@dataclass(frozen=True)
class LossRegression:
    """What is known of the reference's loss; `n` is 1 for all days, and one more for each stretch that is left out.

    Attributes:
        rows: The number of rows, float64 [n].
        loss: The sum of their losses, float64 [n].
        counts: Their number by bin, float64 [n, bins].
        losses: The sum of losses by bin, float64 [n, bins].
        by_columns: The effect of each bin on the loss of a row, by the columns alone, float64 [n, bins].
        by_all: The same by columns and predictions together.
    """

    rows: np.ndarray
    loss: np.ndarray
    counts: np.ndarray
    losses: np.ndarray
    by_columns: np.ndarray
    by_all: np.ndarray


@dataclass(frozen=True)
class _StretchSums:
    """Sums over the rows of some days: by bin, and by pair of groups of bins."""

    rows: float
    loss: float
    counts: np.ndarray
    losses: np.ndarray
    pairs: np.ndarray
    group_losses: np.ndarray

    def __add__(self, other: "_StretchSums") -> "_StretchSums":
        return _StretchSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: "_StretchSums") -> "_StretchSums":
        return _StretchSums(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    @property
    def centred(self) -> np.ndarray:
        """By group the sum of losses above the mean, float64 [groups]."""
        return np.asarray(self.group_losses - self.loss / self.rows * self.pairs.diagonal())


def learn_loss_regression(
    bins: np.ndarray, losses: np.ndarray, days: np.ndarray, binning: Binning
) -> LossRegression | None:
    """Learn the loss of a reference's rows from their bins.

    Args:
        bins: The place of each row's bin of each column in a profile, int64 [rows, columns].
        losses: The loss of each row, float64 [rows]; rows with NaN are left out.
        days: The day of each row, [rows] of anything that sorts.
        binning: The bins.

    Returns:
        What is known of the loss; None where fewer than ten days have a loss, or no column has bins.
    """
    known = np.isfinite(losses)
    named, day_index = np.unique(days[known], return_inverse=True)
    if len(named) < MIN_REFERENCE_DAYS or not binning.size:
        return None
    stretches = day_index * MAX_STRETCHES // len(named)
    groups = _group_bins(np.bincount(bins[known].ravel(), minlength=binning.size), binning)
    sums = list(_sum_stretches(bins[known], losses[known], stretches, groups))
    whole = reduce(add, sums)
    kept, per_day = [whole - each for each in sums], whole.rows / len(named)
    of_columns = [span for name, span in binning.columns.items() if name != PREDICTION_COLUMN]
    used = np.unique(np.concatenate([groups[:0], *(groups[span] for span in of_columns)]))
    by_columns, by_all = (
        _fit_effects(whole, kept, sums, each, per_day)[:, groups] for each in (used, np.arange(groups.max() + 1))
    )
    every = [whole, *kept]
    rows, loss, counts, by_bin = (
        np.array([getattr(each, name) for each in every]) for name in ("rows", "loss", "counts", "losses")
    )
    return LossRegression(rows, loss, counts, by_bin, by_columns, by_all)


def _group_bins(counts: np.ndarray, binning: Binning) -> np.ndarray:
    """The group of each bin, int64 [bins]: null for itself, of a number ever finer ones towards the ends, where shifts
    lead to, and the rarest words together."""
    groups, used = np.zeros(binning.size, np.int64), 0
    for name, span in binning.columns.items():
        known = counts[span][:-1]
        found = _group_number_bins(len(known)) if name in binning.edges else _group_word_bins(known)
        groups[span] = used + np.append(found, found.max() + 1)
        used = int(groups[span].max()) + 1
    return groups


def _group_number_bins(size: int) -> np.ndarray:
    """1, 2, 4, 8 and the other bins from either end."""
    at = np.arange(size)
    octave = np.minimum(np.log2(np.minimum(at, size - 1 - at) + 1).astype(np.int64), TAIL_GROUPS - 1)
    return np.where(at < size / 2, octave, 2 * TAIL_GROUPS - 1 - octave)


def _group_word_bins(counts: np.ndarray) -> np.ndarray:
    ranks = np.argsort(np.argsort(-counts, kind="stable"))
    return np.minimum(ranks, WORD_GROUPS - 1)


def _sum_stretches(
    bins: np.ndarray, losses: np.ndarray, stretches: np.ndarray, groups: np.ndarray
) -> Iterator[_StretchSums]:
    from scipy.sparse import csr_matrix

    width, size = bins.shape[1], len(groups)
    for stretch in np.unique(stretches):
        within = stretches == stretch
        at, lost = bins[within], losses[within]
        places = np.arange(0, at.size + 1, width)
        design = csr_matrix((np.ones(at.size), groups[at].ravel(), places), (len(at), groups.max() + 1))
        counts = np.bincount(at.ravel(), minlength=size).astype(float)
        by_bin = np.bincount(at.ravel(), np.repeat(lost, width), size)
        pairs = (design.T @ design).toarray()
        yield _StretchSums(float(len(at)), float(lost.sum()), counts, by_bin, pairs, design.T @ lost)


def _fit_effects(
    whole: _StretchSums, kept: list[_StretchSums], left_out: list[_StretchSums], used: np.ndarray, per_day: float
) -> np.ndarray:
    """The effect of each group over all days and without each stretch, float64 [1 + stretches, groups]."""
    fits = [np.array([_solve_ridge(each, used, by * per_day) for each in kept]) for by in RIDGE_STRENGTHS]
    errors = [sum(_measure_left_out_error(*each) for each in zip(fit, left_out, kept, strict=True)) for fit in fits]
    best = int(np.argmin(errors))
    return np.vstack([_solve_ridge(whole, used, RIDGE_STRENGTHS[best] * per_day), fits[best]])


def _solve_ridge(sums: _StretchSums, used: np.ndarray, penalty: float) -> np.ndarray:
    """The effects that lose least, with their squares as a penalty; 0 for groups that aren't used: float64 [groups]."""
    from scipy.linalg import cho_factor, cho_solve

    effects = np.zeros(len(sums.pairs))
    if not len(used):
        return effects
    pairs = sums.pairs[np.ix_(used, used)]
    pairs[np.diag_indices_from(pairs)] += penalty
    factor = cho_factor(pairs.T, overwrite_a=True, check_finite=False)  # in LAPACK's order, so that nothing is copied
    effects[used] = cho_solve(factor, sums.centred[used], check_finite=False)
    return effects


def _measure_left_out_error(effects: np.ndarray, out: _StretchSums, kept: _StretchSums) -> float:
    """The squared error on a stretch that was left out, but for what all effects have in common."""
    usual = kept.loss / kept.rows - float(effects @ kept.pairs.diagonal()) / kept.rows
    rows = out.pairs.diagonal()
    squares = effects @ out.pairs @ effects + 2 * usual * effects @ rows + usual**2 * out.rows
    return float(squares - 2 * (effects @ out.group_losses + usual * out.loss))
