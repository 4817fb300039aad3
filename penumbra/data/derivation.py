"""What is derived from a batch's raw files: the rows that keep the contract with their features, and the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from penumbra.core import encoding
from penumbra.core.columns import BATCH_COLUMN, BROKEN_RULES_COLUMN, INPUTS_COLUMN, ROW_NUMBER_COLUMN
from penumbra.core.problem import Problem
from penumbra.data.contract import check_rows
from penumbra.data.flywheel import FLYWHEEL_COLUMNS, build_flywheel_frame, decode_flywheel_rows
from penumbra.data.flywheel_manifest import is_flywheel_batch
from penumbra.data.source_reader import BatchEmpty, BatchRefused, parse_batch_files


@dataclass(frozen=True)
class BatchCheckResult:
    """The result of checking one batch against the contract.

    Attributes:
        batch: The batch's name.
        rows: How many rows it has.
        broken: How many rows break each rule, by the rule's name.
        rejected: How many rows break at least one.
    """

    batch: str
    rows: int
    broken: Mapping[str, int]
    rejected: int

    def __str__(self) -> str:
        if not self.rejected:
            return f"{self.batch}: {self.rows:,} rows, all keep the contract"
        rules = ", ".join(f"{rule} {count:,}" for rule, count in self.broken.items())
        return f"{self.batch}: {self.rows:,} rows, {self.rejected:,} of them quarantined ({rules})"


@dataclass(frozen=True)
class DerivedBatch:
    """A batch as it was checked.

    Attributes:
        result: The counts of rows and of broken rules.
        rows: The rows that keep the contract, with their features as a struct and the batch's name; of a flywheel batch
            also `penumbra.data.flywheel.FLYWHEEL_COLUMNS`.
        rejected: The other rows: batch, row number, broken rules, and the original text.
    """

    result: BatchCheckResult
    rows: pl.DataFrame
    rejected: pl.DataFrame


def derive_batch(problem: Problem, batch: str, files: Mapping[str, bytes], bad_row_share: float) -> DerivedBatch:
    """Check a batch against the contract and derive its features.

    Args:
        problem: The problem, with schema, source and features.
        batch: The batch's name.
        files: The content of its raw files, by path relative to the batch's folder.
        bad_row_share: The largest share of rows that may break the contract.

    Returns:
        The rows that keep the contract, and those that don't.

    Raises:
        BatchRefused: The files can't be read, too many rows break the contract, or a feature fails for a row.
        BatchEmpty: Where it has no rows.
    """
    rows, conversions = _read_rows(problem, batch, files)
    checked = check_rows(problem, batch, rows, conversions)
    result = BatchCheckResult(batch, rows.height, checked.broken, checked.rejected.height)
    _refuse_if_too_bad(result, checked.faults, bad_row_share)
    features = _derive_features(problem, batch, checked.good)
    kept = rows.with_row_index(ROW_NUMBER_COLUMN).join(checked.rejected, on=ROW_NUMBER_COLUMN, how="anti")
    own = kept.select(name for name in FLYWHEEL_COLUMNS if name in rows.columns)
    good = checked.good.with_columns(
        pl.struct(features).alias(INPUTS_COLUMN), pl.lit(batch).alias(BATCH_COLUMN), *own.iter_columns()
    )
    named = checked.rejected.select(pl.lit(batch).alias(BATCH_COLUMN), ROW_NUMBER_COLUMN, BROKEN_RULES_COLUMN)
    rejected = pl.concat([named, rows[checked.rejected[ROW_NUMBER_COLUMN]]], how="horizontal")
    return DerivedBatch(result, good, rejected)


def _read_rows(problem: Problem, batch: str, files: Mapping[str, bytes]) -> tuple[pl.DataFrame, Sequence[pl.Expr]]:
    """The rows, and the conversions that the problem's source asks for of its own."""
    if is_flywheel_batch(batch):
        names = list(problem.schema.Labelled.columns())
        return build_flywheel_frame(decode_flywheel_rows(batch, files), names), ()
    return parse_batch_files(problem, batch, files), problem.source.CONVERSIONS


def _derive_features(problem: Problem, batch: str, rows: pl.DataFrame) -> pl.DataFrame:
    try:
        return encoding.derive_features(problem.features.FEATURES, rows)
    except encoding.UncomputableFeature as error:
        raise BatchRefused(f"batch {batch} refused: {error}") from error


def _refuse_if_too_bad(result: BatchCheckResult, faults: Sequence[str], limit: float) -> None:
    if not result.rows:
        raise BatchEmpty(f"batch {result.batch} refused: it has no rows")
    if result.rejected > limit * result.rows:
        share = result.rejected / result.rows
        raise BatchRefused(
            f"batch {result.batch} refused: {share:.1%} of its rows break the contract, {limit:.1%} is allowed "
            f"(data.bad_row_share); {'; '.join([str(result), *faults])}"
        )
