"""Two features that tell the target once they are compared: who won by the goals of both, late by two dates."""

import operator
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.training.doctor.checks import OUT_OF_FEATURES, Finding
from penumbra.training.doctor.leakage import MIN_LEAK_AUC, MIN_LEAK_AUC_LOWER, measure_areas, split_target

MIN_PAIR_AUC = 0.999  # area under the ROC curve; honest features come nearer to 1 by two than by one
MAX_PAIR_COLUMNS = 8  # of numbers those that tell most alone, as parts of a comparison do; of text the first
MAX_PAIR_ROWS = 10_000  # of more rows an even choice is examined
SCREENED_ROWS, MAX_CHANGES = 2_000, 0.5  # an even choice of these; of the changes of the outcome that chance makes

COMPARISONS = {"-": operator.sub, "+": operator.add, "·": operator.mul, "/": operator.truediv}
PAIR_LEAK_REMEDY = f"see which of them is known only after the prediction is made, and take it {OUT_OF_FEATURES}"


def find_pair_leaks(features: pl.DataFrame, label: pl.Series) -> list[Finding]:
    """Find pairs of features of which a comparison predicts the target almost perfectly, out of time.

    Args:
        features: The features, [n, k], oldest row first.
        label: The target, [n].

    Returns:
        A finding for each such pair.
    """
    pairs = find_telling_pairs(features, label)
    return [Finding("leakage", ", ".join(names), evidence, PAIR_LEAK_REMEDY) for names, evidence in pairs]


def find_telling_pairs(features: pl.DataFrame, label: pl.Series) -> list[tuple[tuple[str, str], str]]:
    """Find pairs of columns of which a comparison predicts the target almost perfectly, out of time.

    Of two numbers their difference, sum, product and ratio are tried, of two texts whether they are equal. Columns that
    predict it alone are left out; and nothing is tried where no class has rows enough.

    Args:
        features: The columns, [n, k], numbers, Booleans or String, oldest row first.
        label: The target, [n].

    Returns:
        The names of each such pair, with what its best comparison tells, as a phrase.
    """
    step = max(1, label.len() // MAX_PAIR_ROWS)
    features, label = features.gather_every(step), label.gather_every(step)
    half, outcomes, found = label.len() // 2, list(split_target(label).values()), []
    for first, second in _list_pairs(features, outcomes, half) if outcomes else ():
        measured = _measure_comparisons(first, second, outcomes, half)
        area, what = max(measured, key=lambda each: each[0], default=(0.0, ""))
        if area >= MIN_PAIR_AUC:
            rows = format_count(label.len() - half, "row")
            evidence = f"{what} alone tells the target: ROC AUC {area:.4f} on the later {rows}"
            found.append(((first.name, second.name), evidence))
    return found


def _list_pairs(
    features: pl.DataFrame, outcomes: Sequence[np.ndarray], half: int
) -> Iterator[tuple[pl.Series, pl.Series]]:
    """The pairs to try: both numbers, or both text."""
    areas = {
        each.name: max((look.area for look in measure_areas(each, outcomes, half)), default=0) for each in features
    }
    names = [name for name in sorted(areas, key=lambda name: -areas[name]) if areas[name] < MIN_LEAK_AUC]
    is_text = {name: features.schema[name] == pl.String for name in names}
    for kind in (False, True):
        tried = [name for name in names if is_text[name] == kind][:MAX_PAIR_COLUMNS]
        yield from combinations(features.select(name for name in features.columns if name in tried), 2)


def _measure_comparisons(
    first: pl.Series, second: pl.Series, outcomes: Sequence[np.ndarray], half: int
) -> Iterator[tuple[float, str]]:
    """For each comparison that is sure to tell the target: the mean area over the outcomes, and the comparison in
    words."""
    for words, values in _compare(first, second):
        if _may_tell(values, outcomes[0]):
            for look in measure_areas(values, outcomes, half):
                if look.lower >= MIN_LEAK_AUC_LOWER:
                    yield look.area, f"of {words} {look.what}"


def _may_tell(values: pl.Series, outcome: np.ndarray) -> bool:
    """Whether the outcome changes more rarely in the order of the values than by chance, as it does where they tell it;
    to see that takes a tenth of the time of measuring it."""
    step = max(1, len(outcome) // SCREENED_ROWS)
    numbers, chosen = values.to_numpy()[::step], outcome[::step]
    known = ~np.isnan(numbers)
    ordered = chosen[known][np.argsort(numbers[known], kind="stable")]
    share = ordered.mean() if ordered.size else 0.0
    changes = np.count_nonzero(ordered[1:] != ordered[:-1])
    return bool(changes <= 2 + MAX_CHANGES * 2 * share * (1 - share) * ordered.size)


def _compare(first: pl.Series, second: pl.Series) -> Iterator[tuple[str, pl.Series]]:
    if first.dtype == pl.String:
        yield f"{first.name} = {second.name}", (first == second).cast(pl.Float64)
        return
    numbers = first.cast(pl.Float64), second.cast(pl.Float64)
    for sign, compare in COMPARISONS.items():
        values = compare(*numbers)
        yield f"{first.name} {sign} {second.name}", values.set(~values.is_finite(), None)
