"""The doctor's checks of data, contract and features before anything is fitted; leakage has modules of its own.

Every check is a function of frames that returns findings: none where all is well.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.columns import BATCH_COLUMN, BROKEN_RULES_COLUMN, ROW_NUMBER_COLUMN
from penumbra.core.text.counts import format_count, format_share

MAX_MISSING_SHARE = 0.95  # missing in a larger share of the rows: nearly empty
MAX_FROZEN_P_VALUE = 1e-6  # where a latest batch without variation is less likely than that, its column is frozen
MAX_BATCH_OVERLAP = 0.05  # share of a batch that may lie before the end of the one before: time zones, late reports
BATCH_END_QUANTILE = 0.999  # of a batch's rows lie before its end: a single wrong clock doesn't move it
OUT_OF_FEATURES = "out of problem/features.py (where that is left out, out of Row in problem/schema.py)"
CONSTANT_TARGET = "constant target"
LIFELESS_FEATURE = "lifeless"
EMPTY_FEATURE = "empty"
CONSTANT_FEATURE = "constant"
NEARLY_EMPTY_FEATURE = "nearly empty"
SHARED_MISSINGNESS = "shared missingness"
# What takes all batches to tell: in a few of them the quarter is constant, and most rows wait for their outcome.
FINDINGS_OF_ALL_BATCHES = (CONSTANT_FEATURE, NEARLY_EMPTY_FEATURE, SHARED_MISSINGNESS)


@dataclass(frozen=True)
class Finding:
    """A fault of data, contract or features.

    Args:
        check: Name of the check that found it.
        column: The column or columns.
        evidence: What shows it.
        remedy: What to do.
    """

    check: str
    column: str
    evidence: str
    remedy: str


def find_constant_target(label: pl.Series) -> list[Finding]:
    """Find a target that is the same in all rows.

    Args:
        label: The target of all rows that have one.

    Returns:
        A finding, or none.
    """
    if label.n_unique() > 1:
        return []
    evidence = (
        f"it is {label[0]!s} in all {format_count(label.len(), 'row that has', 'rows that have')} one"
        if label.len()
        else "no row has one"
    )
    return [
        Finding(CONSTANT_TARGET, "target", evidence, "see whether target() in problem/schema.py reads the right column")
    ]


def find_numeric_flag(label: pl.Series) -> list[Finding]:
    """Find a target that is a number and only ever 0 or 1: it would be predicted as a quantity.

    Args:
        label: The target of all rows that have one.

    Returns:
        A finding, or none.
    """
    if not label.dtype.is_numeric() or label.n_unique() != 2 or set(label.unique()) != {0, 1}:
        return []
    evidence = (
        f"it is a number, {label.dtype}, and 0 or 1 in all "
        f"{format_count(label.len(), 'row that has', 'rows that have')} one"
    )
    remedy = "a yes or no is Boolean: return the comparison with 1 (== 1) from target() in problem/schema.py"
    return [Finding("target", "target", evidence, remedy)]


def find_constant_features(features: pl.DataFrame, batch: pl.Series, day: pl.Series) -> list[Finding]:
    """Find features that are constant or nearly empty, in all rows or in the latest batch only.

    Args:
        features: The features, [n, k], null for missing.
        batch: The batch of each row, [n], by names that sort by time.
        day: The day of each row, [n]: rows of a day are alike, so a rare value may be absent for many rows by chance.

    Returns:
        A finding for each such feature.
    """
    found = (_constant_finding(features[name], batch, day, batch == batch.max()) for name in features.columns)
    return [finding for finding in found if finding]


def _constant_finding(values: pl.Series, batch: pl.Series, day: pl.Series, latest: pl.Series) -> Finding | None:
    if symptom := _describe_symptom(values):
        evidence = f"{symptom} in all {format_count(values.len(), 'row')}"
        return Finding(
            _name_symptom(values), values.name, evidence, f"take it {OUT_OF_FEATURES}, or repair where it comes from"
        )
    symptom = _describe_symptom(values.filter(latest))
    if not symptom or not _has_varied_before(values, batch, day, latest):
        return None
    evidence = (
        f"{symptom} in the {format_count(int(latest.sum()), 'row')} of the latest batch, {batch.max()!s}, and "
        "never before"
    )
    return Finding(
        LIFELESS_FEATURE, values.name, evidence, f"see what changed at its source when {batch.max()!s} began"
    )


def _name_symptom(values: pl.Series) -> str:
    if values.null_count() == values.len():
        return EMPTY_FEATURE
    return NEARLY_EMPTY_FEATURE if values.has_nulls() else CONSTANT_FEATURE


def _describe_symptom(values: pl.Series) -> str:
    """Say whether a column is nearly empty or constant; "" where it is neither."""
    missing = values.null_count() / max(values.len(), 1)
    if missing > MAX_MISSING_SHARE:
        return f"{format_share(missing)} missing"
    return f"constant ({values[0]!s})" if values.n_unique() == 1 else ""


def _has_varied_before(values: pl.Series, batch: pl.Series, day: pl.Series, latest: pl.Series) -> bool:
    """Tell whether no earlier batch looked like the latest (within a month its number never varies), and that isn't by
    chance: neither by rows, nor by days, of which a flag that is rare has many without it.
    """
    frame = pl.DataFrame({"value": values, "batch": batch, "day": day}).filter(~latest)
    if frame.is_empty() or any(_describe_symptom(part["value"]) for part in frame.partition_by("batch")):
        return False
    now, days_now = values.filter(latest), day.filter(latest).n_unique()
    usual: Any = None if now.null_count() > MAX_MISSING_SHARE * now.len() else now[0]
    alike = frame.select("day", alike=pl.col("value").eq_missing(pl.lit(usual, values.dtype)))
    by_day = alike.group_by("day").agg(pl.col("alike").mean() > MAX_MISSING_SHARE)["alike"].mean()
    chances = alike["alike"].mean() ** (now.len() * MAX_MISSING_SHARE), by_day**days_now  # type: ignore[operator]
    return bool(max(chances) < MAX_FROZEN_P_VALUE)


def find_repeated_keys(rows: pl.DataFrame, key: Sequence[str]) -> list[Finding]:
    """Find keys that several batches have; within one batch the contract refuses them.

    Args:
        rows: The key's columns, and `penumbra.batch`.
        key: The columns of the key.

    Returns:
        A finding, or none.
    """
    if not key:
        return []
    repeated = rows.group_by(key, maintain_order=True).agg(BATCH_COLUMN).filter(pl.col(BATCH_COLUMN).list.len() > 1)
    if repeated.is_empty():
        return []
    first = repeated.row(0, named=True)
    example = ", ".join(f"{column} {first[column]}" for column in key)
    evidence = (
        f"{format_count(repeated.height, 'key appears', 'keys appear')} more than once, such as {example} in "
        f"{' and '.join(first[BATCH_COLUMN])}"
    )
    remedy = (
        "deliver each row once (a correction replaces the batch that it corrects), or add to the primary key in "
        "problem/schema.py what tells the rows apart"
    )
    return [Finding("key", ", ".join(key), evidence, remedy)]


def find_unordered_batches(times: Mapping[str, pl.Series]) -> list[Finding]:
    """Find batches that don't lie after the one before, in time.

    A batch may reach a little into the next one, as months do in several time zones.

    Args:
        times: The instants of each batch's rows (Datetime), oldest batch first.

    Returns:
        A finding for each batch that begins too early.
    """
    ordered = [(batch, instants.drop_nulls().sort()) for batch, instants in times.items()]
    pairs = itertools.pairwise((batch, instants) for batch, instants in ordered if instants.len())
    return [finding for before, after in pairs if (finding := _unordered_finding(*before, *after))]


def _unordered_finding(before: str, old: pl.Series, batch: str, new: pl.Series) -> Finding | None:
    early = int((new < _quantile_of_sorted(old, BATCH_END_QUANTILE)).sum())
    if early <= MAX_BATCH_OVERLAP * new.len() and _quantile_of_sorted(new, 0.5) >= _quantile_of_sorted(old, 0.5):
        return None
    old_span, new_span = (
        f"{_quantile_of_sorted(instants, 0)} to {_quantile_of_sorted(instants, 1)}" for instants in (old, new)
    )
    evidence = (
        f"{early:,} of the {format_count(new.len(), 'row')} of {batch} ({new_span}) lie before the end of "
        f"{before} ({old_span})"
    )
    remedy = (
        "later batches judge what earlier ones taught: let their names sort by time and each hold the rows of its "
        "own time (problem/source.py)"
    )
    return Finding("time", new.name, evidence, remedy)


def _quantile_of_sorted(ordered: pl.Series, share: float) -> Any:
    return ordered[int(share * (ordered.len() - 1))]


def find_keyless_labels(rejected: pl.DataFrame, key: Sequence[str], labels: Sequence[str]) -> list[Finding]:
    """Find labels that can never meet a prediction, because the key of their row breaks the contract.

    Args:
        rejected: The quarantine, as the data store returns it; each broken rule is named column|rule.
        key: The columns of the key.
        labels: The columns that are labels.

    Returns:
        A finding for each column of the key.
    """
    known = [column for column in labels if column in rejected.columns]
    if rejected.is_empty() or not known:
        return []
    labelled = rejected.filter(pl.any_horizontal(pl.col(known).is_not_null()))
    return [finding for column in key if (finding := _keyless_finding(column, labelled, known))]


def _keyless_finding(column: str, labelled: pl.DataFrame, labels: Sequence[str]) -> Finding | None:
    broken = pl.col(BROKEN_RULES_COLUMN).list.eval(pl.element().str.replace(r"\|[^|]*$", "") == column).list.any()
    lost = labelled.filter(broken)
    if lost.is_empty():
        return None
    first = lost.row(0, named=True)
    shown = ", ".join(f"{name} {first.get(name)}" for name in [column, *labels])
    where = f"row {first[ROW_NUMBER_COLUMN]} of {first[BATCH_COLUMN]}"
    evidence = f"{format_count(lost.height, 'row has', 'rows have')} a label and no usable key: {where} has {shown}"
    return Finding("labels", column, evidence, f"deliver labels with the {column} that their prediction was asked for")
