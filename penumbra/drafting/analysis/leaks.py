"""Columns that tell the target, as the doctor would say of them: known only with it, or to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from penumbra.training.doctor.leakage import find_shared_missingness, find_single_feature_leaks
from penumbra.training.doctor.one_class_values import find_one_class_value
from penumbra.training.doctor.pair_leakage import find_telling_pairs


@dataclass(frozen=True)
class Leak:
    """A column that tells the target.

    Attributes:
        is_certain: Whether the doctor would refuse it as a feature.
        reason: What it tells, as a phrase.
    """

    is_certain: bool
    reason: str


def find_leaks(rows: pl.DataFrame, names: Sequence[str], target: str, is_number: bool) -> dict[str, Leak]:
    """Find the columns that tell the target by themselves, or two of them once they are compared.

    Args:
        rows: The values of all columns in the sample, oldest first.
        names: The columns that might be features.
        target: The target's column.
        is_number: Whether it is predicted as a number.

    Returns:
        By column, what it tells, where that is more than a good feature might.
    """
    known = rows.drop_nulls(target)
    columns, outcome = known.select(names), known[target]
    numbers = ~pl.selectors.string()
    features = columns.with_columns(numbers.to_physical().cast(pl.Float64))
    classes = None if is_number else outcome.cast(pl.String)
    found = {values.name: find_one_class_value(values, classes) for values in columns if classes is not None}
    leaks = {name: Leak(False, f"it {value}") for name, value in found.items() if value}
    findings = [
        *find_single_feature_leaks(features, outcome),
        *find_shared_missingness(rows.select(names), rows[target].is_not_null()),
    ]
    alone = {each.column: Leak(True, each.evidence) for each in findings}
    compared = {
        name: Leak(True, f"{evidence}; if it is known before, move it to Row")
        for pair, evidence in find_telling_pairs(features.drop(alone), outcome)
        for name in pair
    }
    return leaks | alone | compared
