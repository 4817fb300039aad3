"""What can be wrong with data, contract and features before anything is learnt from them; leakage has its own files.

Every check is a function of frames that returns findings: none where all is well.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.encoding import FeatureEncoder
from penumbra.features import Expression, Feature, Record

MAX_MISSING_SHARE = 0.95  # missing in a larger share of the rows: nearly empty
MAX_FROZEN_P_VALUE = 1e-6  # where a latest batch without variation is less likely than that, its column is frozen
MAX_BATCH_OVERLAP = 0.05  # share of a batch that may lie before the end of the one before: time zones, late reports
BATCH_END_QUANTILE = 0.999  # of a batch's rows lie before its end: a single wrong clock doesn't move it
SKEW_TOLERANCE = 1e-6  # between two ways to the same prediction


@dataclass(frozen=True)
class Finding:
    """One thing wrong: which check found it, in which column (or columns), what shows it, what to do."""

    check: str
    column: str
    evidence: str
    remedy: str


def find_constant_target(label: pl.Series) -> list[Finding]:
    """A target with nothing to tell apart; `label` is the target of all rows that have one."""
    if label.n_unique() > 1:
        return []
    evidence = f"it is {label[0]!s} in all {label.len():,} rows that have one" if label.len() else "no row has one"
    return [Finding("target", "target", evidence, "see whether target() in problem/schema.py reads the right column")]


def find_constant_features(features: pl.DataFrame, batch: pl.Series) -> list[Finding]:
    """Features that are constant or nearly empty, in all rows or in the latest batch only.

    `features` [n, k], null is missing; `batch` [n] names that sort by time.
    """
    found = (_constant_finding(features[name], batch, batch == batch.max()) for name in features.columns)
    return [finding for finding in found if finding]


def _constant_finding(values: pl.Series, batch: pl.Series, latest: pl.Series) -> Finding | None:
    if symptom := _describe_symptom(values):
        evidence = f"{symptom} in all {values.len():,} rows"
        return Finding(
            "lifeless", values.name, evidence, "take it out of problem/features.py, or repair where it comes from"
        )
    symptom = _describe_symptom(values.filter(latest))
    if not symptom or not _has_varied_before(values, batch, latest):
        return None
    evidence = f"{symptom} in the {latest.sum():,} rows of the latest batch, {batch.max()!s}, and never before"
    return Finding("lifeless", values.name, evidence, f"see what changed at its source when {batch.max()!s} began")


def _describe_symptom(values: pl.Series) -> str:
    """What is lifeless about a column, in words; "" where nothing is."""
    missing = values.null_count() / max(values.len(), 1)
    if missing > MAX_MISSING_SHARE:
        return f"{missing:.1%} missing"
    return f"constant ({values[0]!s})" if values.n_unique() == 1 else ""


def _has_varied_before(values: pl.Series, batch: pl.Series, latest: pl.Series) -> bool:
    """No earlier batch looked like the latest (within a month its number never varies), and that isn't by chance."""
    frame = pl.DataFrame({"value": values, "batch": batch}).filter(~latest)
    if frame.is_empty() or any(_describe_symptom(part["value"]) for part in frame.partition_by("batch")):
        return False
    now = values.filter(latest)
    usual: Any = None if now.null_count() > MAX_MISSING_SHARE * now.len() else now[0]
    alike = frame.select(pl.col("value").eq_missing(pl.lit(usual, values.dtype)).mean()).item()
    return bool(alike ** (now.len() * MAX_MISSING_SHARE) < MAX_FROZEN_P_VALUE)


def find_repeated_keys(rows: pl.DataFrame, key: Sequence[str]) -> list[Finding]:
    """Keys that several batches have; within one the contract refuses them. `rows` has the key and "batch"."""
    if not key:
        return []
    repeated = rows.group_by(key, maintain_order=True).agg("batch").filter(pl.col("batch").list.len() > 1)
    if repeated.is_empty():
        return []
    first = repeated.row(0, named=True)
    example = ", ".join(f"{column} {first[column]}" for column in key)
    evidence = f"{repeated.height:,} keys appear more than once, such as {example} in {' and '.join(first['batch'])}"
    remedy = (
        "deliver each row once (a correction replaces the batch that it corrects), or add to the primary key in "
        "problem/schema.py what tells the rows apart"
    )
    return [Finding("key", ", ".join(key), evidence, remedy)]


def find_unordered_batches(times: Mapping[str, pl.Series]) -> list[Finding]:
    """Batches that don't lie after the one before; `times` has each batch's instants, oldest batch first.

    A batch may reach a little into the next one, as months do in several time zones.
    """
    ordered = [(batch, instants.drop_nulls().sort()) for batch, instants in times.items()]
    pairs = itertools.pairwise((batch, instants) for batch, instants in ordered if instants.len())
    return [finding for before, after in pairs if (finding := _unordered_finding(*before, *after))]


def _unordered_finding(before: str, old: pl.Series, batch: str, new: pl.Series) -> Finding | None:
    early = int((new < _quantile_of_sorted(old, BATCH_END_QUANTILE)).sum())
    if early <= MAX_BATCH_OVERLAP * new.len() and _quantile_of_sorted(new, 0.5) >= _quantile_of_sorted(old, 0.5):
        return None
    evidence = (
        f"{early:,} of the {new.len():,} rows of {batch} ({_quantile_of_sorted(new, 0)} to {_quantile_of_sorted(new, 1)}) lie before the end of "
        f"{before} ({_quantile_of_sorted(old, 0)} to {_quantile_of_sorted(old, 1)})"
    )
    remedy = (
        "later batches judge what earlier ones taught: let their names sort by time and each hold the rows of its "
        "own time (problem/source.py)"
    )
    return Finding("time", new.name, evidence, remedy)


def _quantile_of_sorted(ordered: pl.Series, share: float) -> Any:
    return ordered[int(share * (ordered.len() - 1))]


def find_keyless_labels(rejected: pl.DataFrame, key: Sequence[str], labels: Sequence[str]) -> list[Finding]:
    """Labels that can never meet a prediction, as their row's key breaks the contract.

    `rejected` is the quarantine: batch, row, the rules broken (each named column|rule) in the list "broken", and the
    original text.
    """
    known = [column for column in labels if column in rejected.columns]
    if rejected.is_empty() or not known:
        return []
    labelled = rejected.filter(pl.any_horizontal(pl.col(known).is_not_null()))
    return [finding for column in key if (finding := _keyless_finding(column, labelled, known))]


def _keyless_finding(column: str, labelled: pl.DataFrame, labels: Sequence[str]) -> Finding | None:
    broken = pl.col("broken").list.eval(pl.element().str.starts_with(f"{column}|")).list.any()
    lost = labelled.filter(broken)
    if lost.is_empty():
        return None
    first = lost.row(0, named=True)
    shown = ", ".join(f"{name} {first.get(name)}" for name in [column, *labels])
    evidence = (
        f"{lost.height:,} rows have a label and no usable key: row {first['row']} of {first['batch']} has {shown}"
    )
    return Finding("labels", column, evidence, f"deliver labels with the {column} that their prediction was asked for")


@dataclass(frozen=True)
class SkewSample:
    """What the service was asked [n], and what training makes of it: derived features [n, k], predictions (penumbra/core/task.py)."""

    records: Sequence[Record]
    features: pl.DataFrame
    expected: np.ndarray


def find_serving_skew(inputs: FeatureEncoder, asked: SkewSample, answers: Mapping[str, Sequence[Any]]) -> list[Finding]:
    """Answers that aren't the training-time predictions, by way of asking; an answer is a number, several, or the words
    of a refusal."""
    return [finding for way, said in answers.items() if (finding := _skew_finding(inputs, asked, way, said))]


def _skew_finding(inputs: FeatureEncoder, asked: SkewSample, way: str, said: Sequence[Any]) -> Finding | None:
    none = np.full(asked.expected.shape[1:], np.nan)
    numbers = np.array([none if isinstance(answer, str) else answer for answer in said])
    agree = np.abs(numbers - asked.expected) <= SKEW_TOLERANCE
    differing = np.flatnonzero(~agree.reshape(len(agree), -1).all(axis=1))
    if not differing.size:
        return None
    first = int(differing[0])
    record, names = asked.records[first], ", ".join(_differing_inputs(inputs, asked, differing))
    evidence = (
        f"{differing.size:,} of {len(said):,} answers to {way} differ: {said[first]} instead of training's "
        f"{asked.expected[first]} for {dict(record)}"
    )
    if not names:
        return Finding(
            "skew", "prediction", evidence, "the inputs agree: compare service/ with penumbra/registry/bundle.py"
        )
    return Finding("skew", names, evidence, "make the kind's expr() and scalar() agree, and run `make train` again")


def _differing_inputs(inputs: FeatureEncoder, asked: SkewSample, positions: np.ndarray) -> Iterator[str]:
    """The names of the inputs that a single record and a frame of training give differently at any of these rows."""
    of_frame = inputs.encode_frame(asked.features[positions])
    for column, kind in enumerate(inputs.kinds):
        row = FeatureEncoder((kind,), inputs.tables).row()
        of_records = np.array([row(asked.records[position])[0] for position in positions])
        if not np.array_equal(of_records, of_frame[:, column], equal_nan=True):
            yield kind.name


def list_slow_features(kinds: Sequence[Feature]) -> list[str]:
    """What is no fault, but has its price."""
    free = (kind.name for kind in kinds if isinstance(kind, Expression))
    return [f"{name} is a free polars expression: about 150 µs in the answer to a single record" for name in free]
