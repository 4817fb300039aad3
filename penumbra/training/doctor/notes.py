"""What the doctor notes without calling it a fault: what is slow, what can't be done, what costs a candidate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from penumbra.core.encoding import FeatureEncoder
from penumbra.core.problem import ProblemSchema
from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import quote_value
from penumbra.features import Expression, Feature
from penumbra.patterns.candidate import Candidate, Columns
from penumbra.training.doctor.leakage import LEAKAGE_REMEDY, MAX_LEAKAGE_ROWS, find_proxies
from penumbra.training.doctor.one_class_values import find_one_class_value
from penumbra.training.doctor.waiting_outcomes import describe_late_beginning, find_waiting_outcomes

MAX_BOOSTING_VALUES = 255  # of a category, in scikit-learn's histogram gradient boosting
WIDE_MARGIN_SHARE = 0.2  # of the baseline's loss; a model seldom gains more over the baseline than that


def note_slow_features(kinds: Sequence[Feature]) -> Iterator[str]:
    """Note features that are slow for single records.

    Args:
        kinds: The features.

    Yields:
        A sentence for each.
    """
    free = (kind.name for kind in kinds if isinstance(kind, Expression))
    yield from (f"{name} is a free polars expression: about 150 µs in the answer to a single record" for name in free)


def note_missing_key(key: Sequence[str]) -> Iterator[str]:
    """Note what a contract without a primary key does without.

    Args:
        key: The columns of the key.

    Yields:
        A sentence, or none.
    """
    if not key:
        yield (
            "Row has no primary key: labels find their predictions by the prediction's id alone, and neither repeated "
            "rows nor a canary's share can be told (primary_key=True in problem/schema.py marks a key's columns)"
        )


def note_one_class_values(features: pl.DataFrame, label: pl.Series) -> Iterator[str]:
    """Note features that have a value, or lack one, in rows of one class alone.

    Args:
        features: The derived features of the rows with an outcome, [n, k].
        label: The target, [n].

    Yields:
        A sentence for each such feature; none where the target is a number.
    """
    if label.dtype.is_numeric():
        return
    step = max(1, label.len() // MAX_LEAKAGE_ROWS)
    classes = label.gather_every(step).cast(pl.String)
    for values in features.gather_every(step):
        if found := find_one_class_value(values, classes):
            yield f"{values.name} {found}: {LEAKAGE_REMEDY.format(values.name)}"


def note_constant_inputs(features: pl.DataFrame, inputs: pl.DataFrame) -> Iterator[str]:
    """Note features that vary, but not among the rows with an outcome, from which alone a model learns.

    Args:
        features: The derived features of all rows, [m, k].
        inputs: The same of the rows with an outcome, [n, k].

    Yields:
        A sentence for each.
    """
    for values in inputs:
        if values.n_unique() == 1 < features[values.name].n_unique():
            value = "no value" if values[0] is None else f"the value {quote_value(values[0])}"
            yield (
                f"{values.name} has {value} in all {format_count(values.len(), 'row')} with an outcome, and others in "
                "rows without one: no model learns anything from it, and those are rows of another kind"
            )


def note_waiting_outcomes(days: pl.DataFrame, delay_hours: float) -> Iterator[str]:
    """Note outcomes that end long before the rows do, or begin long after them.

    Args:
        days: The days with rows: `day` (Date), the number of `rows`, and of those `known`, with an outcome.
        delay_hours: The setting `labels.delay_hours`.

    Yields:
        A sentence for each.
    """
    if late := describe_late_beginning(days):
        yield late
    if waiting := find_waiting_outcomes(days):
        advice = f": where they come so late, set labels.delay_hours = {waiting.hours} (it is {delay_hours:g})"
        yield f"{waiting}{advice if delay_hours < waiting.hours else ''}"


def note_large_categories(
    features: pl.DataFrame, kinds: Sequence[Feature], candidates: Mapping[str, Candidate]
) -> Iterator[str]:
    """Note categories with more values than the candidates can take that learn from them as categories.

    Args:
        features: The derived features, [n, k], String for categories.
        kinds: The features, in the order of the matrix's columns.
        candidates: The candidates that are tried, by name.

    Yields:
        A sentence for each such category.
    """
    encoder: Any = FeatureEncoder(tuple(kinds), {})
    counts = {position: features[encoder.names[position]].drop_nulls().n_unique() for position in encoder.categorical}
    large = {position: values for position, values in counts.items() if values > MAX_BOOSTING_VALUES}
    limited = {name: _find_limited_columns(candidate, encoder) for name, candidate in candidates.items() if large}
    for position, values in large.items():
        if affected := [name for name, positions in limited.items() if position in positions]:
            yield (
                f"{encoder.names[position]} has {format_count(values, 'value')}, and {', '.join(affected)} can take "
                f"{MAX_BOOSTING_VALUES} and will be left out: fold rare values together in problem/features.py, or "
                "one-hot encode them before another one"
            )


def _find_limited_columns(candidate: Candidate, columns: Columns) -> set[int]:
    """The positions that a candidate's boosting takes as categories; none where it can't be made."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    try:
        estimator: Any = candidate.make(columns)
        parts = [estimator, *estimator.get_params(deep=True).values()]
    except Exception:  # whatever the user's function does: training leaves it out with the reason
        return set()
    boosting = [
        part for part in parts if isinstance(part, HistGradientBoostingClassifier | HistGradientBoostingRegressor)
    ]
    listed = [part.categorical_features for part in boosting]
    return {int(column) for each in listed if isinstance(each, list | tuple) for column in each if type(column) is int}


def note_sensitive_features(
    kinds: Sequence[Feature], schema: ProblemSchema, features: pl.DataFrame, groups: pl.DataFrame
) -> Iterator[str]:
    """Note features that read a sensitive column, and those that stand for one.

    Args:
        kinds: The features.
        schema: The problem's schema, with `SENSITIVE`.
        features: The derived features, [n, k], oldest row first.
        groups: The groups of these rows, as `select_groups` gives them, [n].

    Yields:
        A sentence for each sensitive column that features read, and for each feature that tells its groups.
    """
    for name, expression in schema.SENSITIVE.items():
        columns = set(expression.meta.root_names())
        reading = {kind.name for kind in kinds if columns & set(kind.columns)}
        if reading:
            yield (
                f"the sensitive groups of {name} are made of {', '.join(sorted(columns))}, which is an input of "
                f"{', '.join(sorted(reading))}: the model may decide by them"
            )
        for proxy, area in find_proxies(features.drop(reading, strict=False), groups[name]):
            yield (
                f"{proxy} alone tells the groups of {name} (ROC AUC {area:.3f}), which SENSITIVE names: the model may "
                "decide by it in their place"
            )


def note_wide_margins(settings: Settings) -> Iterator[str]:
    """Note margins that would let a model pass that has lost most of what it had gained.

    Args:
        settings: Sections [gate] and [promotion] are read.

    Yields:
        A sentence for each.
    """
    margins = {
        "gate.margin_share": settings.gate.margin_share,
        "gate.slice_margin_share": settings.gate.slice_margin_share,
        "promotion.margin_share": settings.promotion.margin_share,
    }
    yield from (
        f"{name} = {share:g} lets a model pass that loses {share:.0%} of the baseline's loss more than the live one: "
        "margins are shares (0.01 is 1 %), not amounts of the loss"
        for name, share in margins.items()
        if share > WIDE_MARGIN_SHARE
    )
