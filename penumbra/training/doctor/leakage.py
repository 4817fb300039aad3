"""Features that know what they can't: the target, or what becomes known only after the prediction is made.

Several features that give the target away in a sum are found by `linear_leakage.py`, two that do once they are
compared by `pair_leakage.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from penumbra.core.metrics.proportions import compute_wilson_limits
from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.quoting import quote_value
from penumbra.features import Feature
from penumbra.training.doctor.checks import OUT_OF_FEATURES, SHARED_MISSINGNESS, Finding

MIN_LEAK_AUC = 0.99  # area under the ROC curve that no honest feature has alone
MIN_LEAK_AUC_LOWER = 0.9  # where the lower end of that area's 95 % interval must lie
MIN_CLASS_AUC = 0.999  # of one of several classes against all others, by a category or by what is missing
MAX_FLAG_VALUES = 2  # a number with more is no category
Z_95 = 1.96
LEAKAGE_BINS, MIN_ROWS_PER_BIN = 256, 5
MIN_PROXY_AUC = 0.9  # area from which on a feature stands for a group
MAX_TARGET_CLASSES = 20  # a numeric target with more values is a quantity
MIN_ROWS_PER_CLASS = 50  # rarer classes are left out
MAX_LEAKAGE_ROWS = 200_000  # of more rows an even choice is examined

MIN_SHARED_ROWS = 5  # rows lacking both: fewer are broken as a whole, such as a line of totals
MIN_SHARED_MISSING = 0.9  # share of the rows lacking the feature that lack the outcome too
MAX_SHARE_OTHERWISE = 0.25  # of that share: how many of the rows that have the feature may lack the outcome
MIN_OUTCOME_COVERAGE = 0.5  # share of the rows lacking the outcome that lack the feature too
MAX_OVERLAP_P_VALUE = 1e-3

LEAKAGE_REMEDY = f"ask whether {{}} is known when the prediction is made; if not, take it {OUT_OF_FEATURES}"

WHETHER_MISSING, BY_VALUE = "whether it is missing", "its value"
FeatureView = tuple[str, np.ndarray, np.ndarray]


class FeatureLook(NamedTuple):
    """How well a feature alone predicts outcomes, looked at in one way.

    Attributes:
        area: The mean area under the ROC curve over the outcomes.
        lower: The lowest of their lower 95 % limits.
        what: The way in words.
        areas: For each outcome its area, and the lower 95 % limit of that.
    """

    area: float
    lower: float
    what: str
    areas: Sequence[tuple[float, float]] = ()


def find_single_feature_leaks(features: pl.DataFrame, label: pl.Series) -> list[Finding]:
    """Find features of which one alone predicts the target almost perfectly, out of time.

    What the earlier half teaches is tried on the later half. A quantity counts as predicted if its being above the
    median is; several classes if each is, or if a category, or its being missing, tells one of them from all others
    (by numbers good features do that, too).

    Args:
        features: The features, [n, k], oldest row first.
        label: The target, [n].

    Returns:
        A finding for each such feature.
    """
    step = max(1, label.len() // MAX_LEAKAGE_ROWS)
    features, label = features.gather_every(step), label.gather_every(step)
    half, outcomes, found = label.len() // 2, split_target(label), []
    for values in features:
        looks = list(measure_areas(values, list(outcomes.values()), half))
        if told := _find_told_target(looks) or _find_told_class(values, looks, list(outcomes)):
            evidence = f"{told} on the later {format_count(label.len() - half, 'row')}"
            found.append(Finding("leakage", values.name, evidence, LEAKAGE_REMEDY.format(values.name)))
    return found


def _find_told_target(looks: Sequence[FeatureLook]) -> str:
    """What tells the target, as a sentence; "" if nothing does."""
    sure = [look for look in looks if look.area >= MIN_LEAK_AUC and look.lower >= MIN_LEAK_AUC_LOWER]
    return f"{max(sure).what} alone tells the target: ROC AUC {max(sure).area:.4f}" if sure else ""


def _find_told_class(values: pl.Series, looks: Sequence[FeatureLook], classes: Sequence[str]) -> str:
    """What tells one of several classes from all others, as a sentence; "" if nothing does."""
    is_category = values.dtype == pl.String or values.drop_nulls().n_unique() <= MAX_FLAG_VALUES
    told = [
        (area, f"{look.what} alone tells class {quote_value(name)} from all others: ROC AUC {area:.4f}")
        for look in looks
        if look.what == WHETHER_MISSING or (look.what == BY_VALUE and is_category)
        for name, (area, lower) in zip(classes, look.areas, strict=True)
        if area >= MIN_CLASS_AUC and lower >= MIN_LEAK_AUC_LOWER
    ]
    return max(told, default=(0.0, ""))[1]


def find_proxies(features: pl.DataFrame, groups: pl.Series) -> list[tuple[str, float]]:
    """Find features of which one alone tells the group that a row belongs to, out of time.

    Args:
        features: The features, [n, k], oldest row first.
        groups: The group of each row, String [n], null where it isn't known.

    Returns:
        The name of each such feature, and the area under the ROC curve with which it tells the groups apart.
    """
    known = groups.is_not_null()
    features, groups = features.filter(known), groups.drop_nulls()
    if groups.n_unique() <= 1:
        return []
    step = max(1, groups.len() // MAX_LEAKAGE_ROWS)
    features, outcomes = features.gather_every(step), list(split_target(groups.gather_every(step)).values())
    half = features.height // 2
    areas = {
        each.name: max((look.area for look in measure_areas(each, outcomes, half)), default=0.0) for each in features
    }
    return [(name, area) for name, area in areas.items() if area >= MIN_PROXY_AUC]


def split_target(label: pl.Series) -> Mapping[str, np.ndarray]:
    """Split a target into yes-or-no questions.

    Args:
        label: The target, [n].

    Returns:
        Bool [n] each: a yes or no itself, of a quantity whether it is above the median, of classes whether it is each,
        by the class's name.
    """
    if label.dtype == pl.Boolean:
        return {label.name: label.to_numpy()}
    if label.dtype.is_numeric() and label.n_unique() > MAX_TARGET_CLASSES:
        return {label.name: (label > label.median()).to_numpy()}
    counts = label.value_counts(name="rows").filter(pl.col("rows") >= MIN_ROWS_PER_CLASS)
    return {f"{value}": (label == value).to_numpy() for value in counts[label.name].sort()}


def measure_areas(values: pl.Series, outcomes: Sequence[np.ndarray], half: int) -> Iterator[FeatureLook]:
    """Measure how well a feature alone predicts outcomes: by its value, its order, or its being missing.

    Args:
        values: The feature, [n], oldest row first.
        outcomes: What `split_target` returned, bool [n] each.
        half: The number of the rows that are learnt from; the later ones are predicted.

    Yields:
        What each way to look at it shows.
    """
    codes = _encode_values(values, half)
    looks = [list(_feature_views(values, codes, outcome, half)) for outcome in outcomes]
    for look in zip(*looks, strict=True):
        pairs = zip(outcomes, look, strict=True)
        areas = [_auc_with_lower_limit(outcome[half:][rows], scores[rows]) for outcome, (_, scores, rows) in pairs]
        mean, lowest = float(np.mean([area for area, _ in areas])), min(lower for _, lower in areas)
        yield FeatureLook(mean, lowest, look[0][0], areas)


def _feature_views(values: pl.Series, codes: np.ndarray, outcome: np.ndarray, half: int) -> Iterator[FeatureView]:
    """For each way to look at a feature: the way in words, scores float64 [m] of the later rows, and which rows count,
    bool [m].
    """
    known = codes > 0
    learnt, everywhere, present = _target_encode(codes, outcome, half), np.full(len(codes) - half, True), known[half:]
    yield BY_VALUE, learnt, everywhere
    if not known.all():
        yield "its value, where there is one,", learnt, present
    yield WHETHER_MISSING, _target_encode(known.astype(int), outcome, half), everywhere
    if values.dtype != pl.String:
        numbers = values.cast(pl.Float64).fill_null(0).to_numpy()
        earlier, _ = _auc_with_lower_limit(outcome[:half][known[:half]], numbers[:half][known[:half]])
        yield "its order", numbers[half:] * (1 if earlier >= 0.5 else -1), present


def _encode_values(values: pl.Series, half: int) -> np.ndarray:
    """Code values, int64 [n]: 0 for missing, then by category, or by quantile bin of the earlier half's numbers."""
    if values.dtype == pl.String:
        return values.rank("dense").fill_null(0).to_numpy().astype(int)
    numbers = values.cast(pl.Float64).fill_nan(None)
    earlier = numbers[:half].drop_nulls().to_numpy()
    bins = min(LEAKAGE_BINS, max(2, len(earlier) // MIN_ROWS_PER_BIN))
    edges = np.unique(np.quantile(earlier, np.linspace(0, 1, bins + 1))) if len(earlier) else np.empty(0)
    binned = 1 + np.searchsorted(edges, numbers.fill_null(0).to_numpy(), side="right")
    return np.where(numbers.is_null().to_numpy(), 0, binned)


def _target_encode(codes: np.ndarray, outcome: np.ndarray, half: int) -> np.ndarray:
    """Scores of the later rows: the mean outcome of their code in the earlier ones, drawn to the mean of all by one
    row's weight (target encoding: Micci-Barreca, SIGKDD Explorations 3(1), 2001)."""
    size = int(codes.max(initial=0)) + 1
    rows = np.bincount(codes[:half], minlength=size)
    hits = np.bincount(codes[:half], weights=outcome[:half], minlength=size)
    return ((hits + hits.sum() / max(half, 1)) / (rows + 1))[codes[half:]]


def _auc_with_lower_limit(outcome: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve, by ranks (Mann & Whitney 1947), and the lower end of its 95 % interval.

    That is Wilson's for as many trials as the rarer outcome has rows, as the area's variance is never larger
    (Birnbaum & Klose, "Bounds for the variance of the Mann-Whitney statistic", 1957).
    """
    positives = int(outcome.sum())
    rarer = min(positives, len(outcome) - positives)
    if not rarer:
        return 0.5, 0.0
    ranks = pl.Series(scores).rank("average").to_numpy()
    area = (ranks[outcome].sum() - positives * (positives + 1) / 2) / (positives * (len(outcome) - positives))
    return float(area), compute_wilson_limits(float(area), rarer, Z_95)[0]


def find_unavailable_columns(kinds: Sequence[Feature], target: pl.Expr, contract: Sequence[str]) -> list[Finding]:
    """Find features that read columns which no request has, and a target that every request can tell.

    Args:
        kinds: The features.
        target: The expression of the target.
        contract: The columns that are known when the prediction is made.

    Returns:
        A finding for each such feature, and for such a target.
    """
    found = []
    for kind in kinds:
        unknown = [column for column in kind.columns if column not in contract]
        if unknown:
            evidence = f"it reads {', '.join(unknown)}, and a request has no such column (Row in problem/schema.py)"
            found.append(Finding("afterwards", kind.name, evidence, f"take {kind.name} {OUT_OF_FEATURES}"))
    read = target.meta.root_names()
    if all(column in contract for column in read):
        remedy = "move what is a label from Row to Labelled in problem/schema.py: nobody can ask with it"
        found.append(Finding("afterwards", ", ".join(read), "target() reads only what a request has already", remedy))
    return found


def find_shared_missingness(columns: pl.DataFrame, has_outcome: pl.Series) -> list[Finding]:
    """Find columns that are missing almost only where the outcome is, and mostly there: both become known together.

    Where most rows lack the outcome, so do most that lack any column: those that have it must lack the outcome far less
    often. How likely that is by chance is told by Fisher's exact test, for all columns together by Bonferroni.

    Args:
        columns: The columns, [n, k], null for missing.
        has_outcome: Whether the outcome is known, bool [n].

    Returns:
        A finding for each such column.

    Source:
        Fisher, "Statistical Methods for Research Workers", 1934.
    """
    found, without = [], int((~has_outcome).sum())
    for name in columns.columns:
        missing = columns[name].is_null()
        both, lacking = int((missing & ~has_outcome).sum()), int(missing.sum())
        if both < max(MIN_SHARED_ROWS, MIN_SHARED_MISSING * lacking, MIN_OUTCOME_COVERAGE * without):
            continue
        share, otherwise = both / lacking, (without - both) / max(columns.height - lacking, 1)
        if otherwise > MAX_SHARE_OTHERWISE * share:
            continue
        if _overlap_p_value(both, lacking, without, columns.height) < MAX_OVERLAP_P_VALUE / columns.width:
            rows = format_count(lacking, "row that lacks it has", "rows that lack it have")
            evidence = (
                f"{format_share(share)} of the {rows} no outcome, and {format_share(otherwise)} of the "
                f"{columns.height - lacking:,} that have it"
            )
            remedy = f"ask whether {name} is known when the prediction is made; if not, it has no place in Row"
            found.append(Finding(SHARED_MISSINGNESS, name, evidence, remedy))
    return found


def _overlap_p_value(both: int, first: int, second: int, rows: int) -> float:
    """Compute how likely two sets of rows of these sizes have so many rows in common, or more, if independent."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(both - 1, rows, second, first))
