"""The rise of the mean loss above the reference's, taken apart: shift of the inputs, and change of the relation.

The shift of the inputs is what the window's rows would lose above the reference's if each were as hard as it was on
the reference (see loss_regression.py): the sum over all bins of (share now - share then) times the bin's effect. The
rest of the rise is the change of the relation: the same rows lose more. The regression on the columns alone gives each
column its part of the inputs; what columns and predictions together explain beyond that is a part of its own. A slice's
part is (loss now - loss then) times the share that it has now, whatever is behind it.

Intervals are Student's t about the jackknife's variance, over the window's days and over stretches of the reference's
days, with the degrees of freedom of Welch and Satterthwaite.

Source: Kitagawa, "Components of a difference between two rates", 1955; Oaxaca, 1973; Blinder, 1973; Cai, Namkoong,
Yadlowsky, "Diagnosing model performance under distribution shift", 2023, for the parts; Efron, Stein, "The jackknife
estimate of variance", 1981.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.explanations.loss_regression import LossRegression
from monitoring.explanations.records import LossPart, LossRise
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning

MAX_NAMED_COLUMNS = 5
MIN_UNSEEN_SHARE = 0.01
CONFIDENCE = 0.95
OTHER_COLUMNS = "all other columns, and combinations"
TOTALS = ("rise", "inputs", "relation")


@dataclass(frozen=True)
class SlicePlace:
    """A slice whose part of the rise is asked for.

    Attributes:
        name: Its name in words.
        at: The place of its bin in a profile.
    """

    name: str
    at: int


def decompose_loss_rise(
    counts: np.ndarray,
    losses: np.ndarray | None,
    regression: LossRegression,
    binning: Binning,
    slices: Sequence[SlicePlace] = (),
) -> LossRise | None:
    """Take the rise of a window's mean loss apart.

    Args:
        counts: The number of rows by bin of each of the window's days, int64 [days, bins]: of the labelled rows, or
            without labels of all.
        losses: The sum of their losses by bin, float64 [days, bins]; None without labels.
        regression: What is known of the reference's loss.
        binning: The bins.
        slices: The slices whose parts are asked for; each has rows in window and reference.

    Returns:
        The parts with their intervals; None with fewer than two days that have rows.
    """
    first = next(iter(binning.columns.values()), slice(0, 0))
    has_rows = counts[:, first].sum(axis=1) > 0
    if has_rows.sum() < 2:
        return None
    days = counts[has_rows].astype(float)
    lost = np.zeros_like(days) if losses is None else losses[has_rows]
    now = [_leave_out_each(each) for each in (days[:, first].sum(axis=1), lost[:, first].sum(axis=1), days, lost)]
    named = slices if losses is not None else ()
    measured = _measure_parts(now, regression, binning, [each.at for each in named])
    order, columns = _gather_columns(measured, binning)
    totals = [_describe_part(name, at, measured) for at, name in enumerate(TOTALS)]
    is_labelled = losses is not None
    return LossRise(
        usual=float(regression.loss[0] / regression.rows[0]),
        labels=int(now[0][0]) if is_labelled else 0,
        rise=totals[0] if is_labelled else None,
        inputs=totals[1],
        relation=totals[2] if is_labelled else None,
        columns=[_describe_part(name, at, columns) for at, name in enumerate(order)],
        slices=_describe_slices(named, measured),
        unseen=_find_unseen_shares(now[2][0], regression.counts[0], binning),
    )


@dataclass(frozen=True)
class _MeasuredParts:
    """Values of all parts: of all days float64 [parts], without each day of the window and each stretch of the
    reference float64 [left out, parts]."""

    whole: np.ndarray
    by_window: np.ndarray
    by_reference: np.ndarray

    def select(self, weights: np.ndarray) -> "_MeasuredParts":
        """Combine parts by weights, float64 [parts, combinations]."""
        return _MeasuredParts(self.whole @ weights, self.by_window @ weights, self.by_reference @ weights)


def _leave_out_each(days: np.ndarray) -> np.ndarray:
    """The sum over all days, and without each of them: float64 [1 + days, ...]."""
    total = days.sum(axis=0, keepdims=True)
    return np.concatenate([total, total - days])


def _measure_parts(
    now: Sequence[np.ndarray], regression: LossRegression, binning: Binning, slices: Sequence[int]
) -> _MeasuredParts:
    then = [regression.rows, regression.loss, regression.counts, regression.losses]
    effects = [regression.by_columns, regression.by_all]

    def measure(current: Sequence[np.ndarray], before: Sequence[np.ndarray], by: Sequence[np.ndarray]) -> np.ndarray:
        moved = current[2] / current[0][:, None] - before[2] / before[0][:, None]
        rise = current[1] / current[0] - before[1] / before[0]
        inputs = (moved * by[1]).sum(axis=1)
        columns = np.add.reduceat(moved * by[0], binning.starts, axis=1)
        risen = _divide(current[3], current[2])[:, slices] - _divide(before[3], before[2])[:, slices]
        of_slices = risen * current[2][:, slices] / current[0][:, None]
        return np.column_stack([rise, inputs, rise - inputs, columns, of_slices])

    whole, whole_then, whole_effects = ([each[:1] for each in some] for some in (now, then, effects))
    return _MeasuredParts(
        measure(whole, whole_then, whole_effects)[0],
        measure([each[1:] for each in now], whole_then, whole_effects),
        measure(whole, [each[1:] for each in then], [each[1:] for each in effects]),
    )


def _divide(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.divide(sums, rows, out=np.zeros_like(sums), where=rows > 0)


def _gather_columns(measured: _MeasuredParts, binning: Binning) -> tuple[list[str], _MeasuredParts]:
    """The columns with the largest parts, and all others together with what only combinations explain."""
    names, first = list(binning.columns), len(TOTALS)
    ordered = sorted(range(len(names)), key=lambda at: -abs(measured.whole[first + at]))
    shown = [at for at in ordered if names[at] != PREDICTION_COLUMN][:MAX_NAMED_COLUMNS]
    weights = np.zeros((len(measured.whole), len(shown) + 1))
    for place, at in enumerate(shown):
        weights[first + at, place], weights[first + at, -1] = 1, -1
    weights[TOTALS.index("inputs"), -1] = 1
    return [*(names[at] for at in shown), OTHER_COLUMNS], measured.select(weights)


def _describe_slices(slices: Sequence[SlicePlace], measured: _MeasuredParts) -> list[LossPart]:
    first = len(measured.whole) - len(slices)
    parts = [_describe_part(each.name, first + at, measured) for at, each in enumerate(slices)]
    return sorted(parts, key=lambda part: -part.amount)


def _describe_part(name: str, at: int, measured: _MeasuredParts) -> LossPart:
    """A part with its interval."""
    from scipy.special import stdtrit

    left_out = (measured.by_window[:, at], measured.by_reference[:, at])
    variances = [float((len(each) - 1) / len(each) * ((each - each.mean()) ** 2).sum()) for each in left_out]
    total = sum(variances)
    freedom = total**2 / max(sum(v**2 / (len(e) - 1) for v, e in zip(variances, left_out, strict=True)), 1e-300)
    amount = float(measured.whole[at])
    reach = float(stdtrit(max(freedom, 1.0), (1 + CONFIDENCE) / 2) * np.sqrt(total)) if total > 0 else 0.0
    return LossPart(name, amount, amount - reach, amount + reach)


def _find_unseen_shares(now: np.ndarray, then: np.ndarray, binning: Binning) -> dict[str, float]:
    shares = {
        name: float(now[span][then[span] == 0].sum() / max(now[span].sum(), 1))
        for name, span in binning.columns.items()
    }
    return {name: share for name, share in shares.items() if share >= MIN_UNSEEN_SHARE and name != PREDICTION_COLUMN}
