"""What is derived from a batch's raw files: the rows that keep the contract, and the others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import polars as pl

from penumbra.core import encoding
from penumbra.core.columns import BATCH_COLUMN, BROKEN_RULES_COLUMN, ROW_NUMBER_COLUMN
from penumbra.core.problem import Problem
from penumbra.core.raw_files import RawFiles
from penumbra.core.text.counts import format_count, format_share
from penumbra.data.flywheel import FLYWHEEL_COLUMNS, build_flywheel_frame, decode_flywheel_rows
from penumbra.data.flywheel_manifest import is_flywheel_batch
from penumbra.data.partitions.contract import (
    CheckedRows,
    ColumnReading,
    check_rows,
    convert_rows,
    describe_unreadable_columns,
)
from penumbra.data.partitions.contract_rules import can_check_in_parts, list_unique_values, merge_broken_counts
from penumbra.data.partitions.repeated_rows import find_repeated_rows
from penumbra.data.partitions.row_parts import RowParts, read_row_slices
from penumbra.data.source_reader import (
    BatchEmpty,
    BatchRefused,
    collect_parsed_rows,
    parse_batch_files,
    write_parsed_rows,
)
from penumbra.features import Category, ClockMinutes, Difference, Hour, Month, Number, Weekday

ROWS_AT_ONCE = 1 << 17  # of a batch that doesn't come as a whole
# For any value of the dtypes that they may read.
COMPUTABLE_KINDS = (Number, Category, ClockMinutes, Difference, Weekday, Hour, Month)


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
            return f"{self.batch}: {format_count(self.rows, 'row')}, all keep the contract"
        rules = ", ".join(f"{rule} {count:,}" for rule, count in self.broken.items())
        return f"{self.batch}: {format_count(self.rows, 'row')}, {self.rejected:,} of them quarantined ({rules})"


@dataclass(frozen=True)
class DerivedBatch:
    """A batch as it was checked.

    Attributes:
        result: The counts of rows and of broken rules.
        rows: The rows that keep the contract, whose features can be computed, with the batch's name; of a flywheel
            batch also `penumbra.data.flywheel.FLYWHEEL_COLUMNS`.
        rejected: The other rows: batch, row number, broken rules, and the original text.
    """

    result: BatchCheckResult
    rows: pl.LazyFrame
    rejected: pl.LazyFrame


@dataclass(frozen=True)
class PartCheck:
    """What is known of a part of a batch once its rows were checked.

    Attributes:
        result: The counts of its rows and of broken rules.
        readings: How the values of each column could be read.
        fault: Why its features can't be computed; None where they can.
    """

    result: BatchCheckResult
    readings: Mapping[str, ColumnReading]
    fault: BatchRefused | None


def derive_batch(problem: Problem, batch: str, files: RawFiles, bad_row_share: float, scratch: Path) -> DerivedBatch:
    """Check a batch against the contract, and that its features can be computed.

    Where `parse()` gives more than some hundred thousand rows as a LazyFrame, only so many are in memory at once,
    unless CONVERSIONS or a rule of the contract read other rows. The result is the same.

    Args:
        problem: The problem, with schema, source and features.
        batch: The batch's name.
        files: Its raw files.
        bad_row_share: The largest share of rows that may break the contract.
        scratch: A folder for files that are needed as long as the result is.

    Returns:
        The rows that keep the contract, and those that don't.

    Raises:
        BatchRefused: The files can't be read, too many rows break the contract, or a feature fails for a row.
        BatchEmpty: Where it has no rows.
        OSError: A file can't be written.
    """
    rows = _read_rows(problem, batch, files, scratch)
    repeated = None if isinstance(rows, pl.DataFrame) else _find_repeated(problem, batch, rows, scratch)
    kept, rejected = (RowParts(None if repeated is None else scratch / name) for name in ("kept", "rejected"))
    parts, first = list[PartCheck](), 0
    for part in _list_parts(rows):
        checked = check_rows(problem, batch, part, _get_conversions(problem, batch), first, repeated)
        rejected.add(_name_rejected(batch, part, first, checked))
        parts.append(_derive_part(problem, batch, part, first, checked, kept))
        first += part.height
    result = _merge_results(problem, [part.result for part in parts])
    readings = {name: reduce(add, (part.readings[name] for part in parts)) for name in parts[0].readings}
    _refuse_if_too_bad(result, describe_unreadable_columns(problem, readings), bad_row_share)
    for fault in filter(None, (part.fault for part in parts)):
        raise fault
    return DerivedBatch(result, kept.scan(), rejected.scan())


def _read_rows(problem: Problem, batch: str, files: RawFiles, scratch: Path) -> pl.DataFrame | Path:
    """The rows, or the file that they were written to, where they are too many to be in memory at once."""
    labelled = problem.schema.Labelled
    if is_flywheel_batch(batch):
        return build_flywheel_frame(decode_flywheel_rows(batch, files), list(labelled.columns()))
    rows = parse_batch_files(problem, batch, files)
    if isinstance(rows, pl.DataFrame):
        return rows
    most = ROWS_AT_ONCE if can_check_in_parts(labelled, problem.source.CONVERSIONS) else None
    if (collected := collect_parsed_rows(problem, batch, rows, most)) is not None:
        return collected
    path = scratch / "parsed.parquet"
    write_parsed_rows(problem, batch, rows, path, ROWS_AT_ONCE)
    return path


def _list_parts(rows: pl.DataFrame | Path) -> Iterable[pl.DataFrame]:
    if isinstance(rows, pl.DataFrame):
        return [rows]
    return read_row_slices(pl.scan_parquet(rows, glob=False), ROWS_AT_ONCE)


def _get_conversions(problem: Problem, batch: str) -> Sequence[pl.Expr]:
    """The conversions of the problem's source, which are for batches of its own."""
    return () if is_flywheel_batch(batch) else problem.source.CONVERSIONS


def _find_repeated(problem: Problem, batch: str, path: Path, scratch: Path) -> dict[str, pl.Series]:
    """The numbers of the rows with a value that no two may have in common, by the rule's name."""

    def convert_parts(names: Sequence[str]) -> Iterator[pl.DataFrame]:
        first = 0
        for part in _list_parts(path):
            converted = convert_rows(problem, batch, part, _get_conversions(problem, batch), names)
            yield converted.with_row_index(ROW_NUMBER_COLUMN, first)
            first += part.height

    return {
        rule: find_repeated_rows(convert_parts(value.meta.root_names()), value, scratch / f"unique-{number}")
        for number, (rule, value) in enumerate(list_unique_values(problem.schema.Labelled).items())
    }


def _derive_part(
    problem: Problem, batch: str, rows: pl.DataFrame, first: int, checked: CheckedRows, kept: RowParts
) -> PartCheck:
    """Put the rows that keep the contract to those that are kept, where their features can be computed."""
    result = BatchCheckResult(batch, rows.height, checked.broken, checked.rejected.height)
    uncertain = [kind for kind in problem.features.FEATURES if not isinstance(kind, COMPUTABLE_KINDS)]
    try:
        encoding.derive_features(uncertain, checked.good)
    except encoding.UncomputableFeature as error:
        return PartCheck(result, checked.readings, BatchRefused(f"batch {batch} refused: {error}"))
    own = rows.select(name for name in FLYWHEEL_COLUMNS if name in rows.columns)
    if own.width:
        own = own.filter(~pl.int_range(first, first + own.height).is_in(checked.rejected[ROW_NUMBER_COLUMN].implode()))
    kept.add(checked.good.with_columns(pl.lit(batch).alias(BATCH_COLUMN), *own.iter_columns()))
    return PartCheck(result, checked.readings, None)


def _name_rejected(batch: str, rows: pl.DataFrame, first: int, checked: CheckedRows) -> pl.DataFrame:
    named = checked.rejected.select(pl.lit(batch).alias(BATCH_COLUMN), ROW_NUMBER_COLUMN, BROKEN_RULES_COLUMN)
    return pl.concat([named, rows[checked.rejected[ROW_NUMBER_COLUMN] - first]], how="horizontal")


def _merge_results(problem: Problem, parts: Sequence[BatchCheckResult]) -> BatchCheckResult:
    broken = merge_broken_counts(problem.schema.Labelled, [part.broken for part in parts])
    return BatchCheckResult(
        parts[0].batch, sum(part.rows for part in parts), broken, sum(part.rejected for part in parts)
    )


def _refuse_if_too_bad(result: BatchCheckResult, faults: Sequence[str], limit: float) -> None:
    if not result.rows:
        raise BatchEmpty(f"batch {result.batch} refused: it has no rows")
    if result.rejected > limit * result.rows:
        share = result.rejected / result.rows
        raise BatchRefused(
            f"batch {result.batch} refused: {format_share(share)} of its rows break the contract, "
            f"{format_share(limit)} is allowed (data.bad_row_share); {'; '.join([str(result), *faults])}"
        )
