"""Flywheel batches: rows that the service answered and that were labelled later, as raw files like those of any batch.

data/batches/<batch>/rows.ndjson     a row a line: the request's record, its outcome, and the engine's columns
data/batches/<batch>/manifest.json   the period, the logs' spans, the versions that answered, counts of rows

The name is that of the source's batch before it, then `+flywheel-` and the day on which its period ends, so it sorts by
time among the source's names. It isn't read by the problem's `parse()`.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from penumbra.core.columns import (
    ID_COLUMN,
    MODEL_COLUMN,
    ORIGIN_COLUMN,
    PROBABILITY_COLUMN,
    SELECTED_COLUMN,
    SURENESS_COLUMN,
    WEIGHT_COLUMN,
)
from penumbra.core.problem import Problem
from penumbra.data.source_reader import FLYWHEEL_MARK, BatchRefused, list_source_batches

ROWS_FILE, MANIFEST_FILE = "rows.ndjson", "manifest.json"
OUTCOME_ORIGIN, PEOPLE_ORIGIN = "outcome", "people"
FLYWHEEL_COLUMNS: Mapping[str, Any] = {
    ID_COLUMN: pl.String(),  # the prediction's id
    MODEL_COLUMN: pl.String(),  # the version that answered
    ORIGIN_COLUMN: pl.String(),  # of the label: OUTCOME_ORIGIN or PEOPLE_ORIGIN
    PROBABILITY_COLUMN: pl.Float64(),  # the chance that the row had of getting this label
    WEIGHT_COLUMN: pl.Float64(),  # how many of the period's answered rows it stands for
    SURENESS_COLUMN: pl.String(),  # how sure the people were
    SELECTED_COLUMN: pl.Boolean(),  # whether its outcome is known only because of what was decided
}
"""The engine's columns of a row, beside those of the contract `Labelled`."""


class FlywheelManifest(msgspec.Struct, forbid_unknown_fields=True):
    """What a flywheel batch was made of.

    Attributes:
        begin: The first day (UTC) of its period, at which rows of earlier ones were taken in; None where it is the
            first.
        end: The day after the last.
        predictions: How many different rows the service answered in the period.
        first: The id of the first of the batch's predictions, which names segment and position in the log.
        last: The id of the last.
        labels: Likewise the ids of the first and the last of its labels.
        models: How many of its rows each version answered.
        origins: How many of its rows have a label of each origin.
        late: How many of its rows are of earlier periods: labelled, or labelled anew, since.
        of_source: How many labelled rows were left out, as the source has them.
        unsigned: How many were left out, as the people who labelled them aren't named.
        prevented: How many rows of the period have no label because of what was decided.
        explored: How many rows were decided otherwise by chance, so that their outcome could be seen.
    """

    begin: dt.date | None
    end: dt.date
    predictions: int
    first: str
    last: str
    labels: tuple[str, str]
    models: Mapping[str, int]
    origins: Mapping[str, int]
    late: int
    of_source: int
    unsigned: int
    prevented: int
    explored: int


def find_completion_day(problem: Problem, batches: Collection[str]) -> dt.date | None:
    """Find the first day on which some batches were complete: rows of later days are in none of them.

    Args:
        problem: The problem, with its source.
        batches: Names of batches of the source, and of flywheel batches.

    Returns:
        The day; None where the source names none of the batches.

    Raises:
        SourceFailed: The source, which knows when a batch was complete, can't be read.
    """
    of_source = [batch.complete for batch in list_source_batches(problem) if batch.name in batches]
    return max([*of_source, *(read_period_end(name) for name in batches if is_flywheel_batch(name))], default=None)


def name_flywheel_batch(before: str, end: dt.date) -> str:
    """Return the name of the batch of the period that ends at `end`, which follows the source's batch `before`."""
    return f"{before}{FLYWHEEL_MARK}{end.isoformat()}"


def is_flywheel_batch(batch: str) -> bool:
    """Return whether the name `batch` is that of a flywheel batch."""
    return FLYWHEEL_MARK in batch


def read_period_end(batch: str) -> dt.date:
    """Return the day after the last of the period of a flywheel `batch`."""
    return dt.date.fromisoformat(batch.partition(FLYWHEEL_MARK)[2])


def encode_flywheel_files(manifest: FlywheelManifest, rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Encode the raw files of a flywheel batch.

    Args:
        manifest: What it was made of.
        rows: For each row the values of `Labelled` in types of JSON, as the logs have them, and of `FLYWHEEL_COLUMNS`.

    Returns:
        The content of each file by name.
    """
    lines = [msgspec.json.encode(row) + b"\n" for row in rows]
    return {MANIFEST_FILE: msgspec.json.format(msgspec.json.encode(manifest)), ROWS_FILE: b"".join(lines)}


def decode_flywheel_rows(batch: str, files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Decode the rows of a flywheel batch.

    Args:
        batch: The batch's name.
        files: The content of its raw files by name.

    Returns:
        What `encode_flywheel_files` was given.

    Raises:
        BatchRefused: The rows can't be read.
    """
    try:
        rows: list[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode_lines(files[ROWS_FILE])
    except (KeyError, msgspec.MsgspecError) as error:
        raise BatchRefused(f"batch {batch} refused: {ROWS_FILE} can't be read: {error}") from None
    return rows


def read_manifest_file(files: Mapping[str, bytes]) -> FlywheelManifest:
    """Read the manifest of a flywheel batch.

    Args:
        files: The content of its raw files by name.

    Returns:
        The manifest.

    Raises:
        KeyError: There is none.
        msgspec.ValidationError: It isn't one.
    """
    return msgspec.json.decode(files[MANIFEST_FILE], type=FlywheelManifest)


def build_flywheel_frame(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pl.DataFrame:
    """Build a frame of rows with the dtypes that JSON has.

    Args:
        rows: What `decode_flywheel_rows` returned.
        names: The columns of the contract `Labelled`.

    Returns:
        A frame with these columns, null where a row doesn't have one, and `FLYWHEEL_COLUMNS`.
    """
    own = [pl.Series(name, [row.get(name) for row in rows], dtype) for name, dtype in FLYWHEEL_COLUMNS.items()]
    return pl.DataFrame([*(pl.Series(name, [row.get(name) for row in rows], strict=False) for name in names), *own])
