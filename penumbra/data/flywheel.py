"""Flywheel batches: rows that the service answered and that were labelled later, as raw files like those of any batch.

data/batches/<batch>/rows.ndjson     a row a line: the request's record, its outcome, and the engine's columns
data/batches/<batch>/manifest.json   the period, the logs' spans, the versions that answered, counts of rows

The name is that of the source's batch before it, then `+flywheel-` and the day on which its period ends, so it sorts by
time among the source's names (flywheel_manifest.py). It isn't read by the problem's `parse()`.
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
from penumbra.data.flywheel_manifest import MANIFEST_FILE, FlywheelManifest, is_flywheel_batch, read_period_end
from penumbra.data.source_reader import BatchRefused, list_source_batches

ROWS_FILE = "rows.ndjson"
ROUNDING = 1e-9
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


def temper_counts() -> pl.Expr:
    """Bring the counts of rows that were picked for people nearer to each other, for a fit: square roots, the same sum.

    With the inverse of small chances a few rows would decide; without any weights the fit would follow the rows that
    are picked most. Counts of other rows, and of those that exploration could have shown, stay as they are.

    Returns:
        An expression over all rows of one batch, with `FLYWHEEL_COLUMNS`, for `penumbra.weight`.

    Source:
        Shimodaira, "Improving predictive inference under covariate shift by weighting the log-likelihood function",
        Journal of Statistical Planning and Inference 90, 2000 (weights to a power from 0 to 1).
    """
    count, chance = pl.col(WEIGHT_COLUMN), pl.col(PROBABILITY_COLUMN)
    is_picked = (pl.col(ORIGIN_COLUMN) == PEOPLE_ORIGIN) & ((count * chance - 1).abs() < ROUNDING)
    root = count.sqrt()
    tempered = root * (count.filter(is_picked).sum() / root.filter(is_picked).sum())
    return pl.when(is_picked).then(tempered).otherwise(count).alias(WEIGHT_COLUMN)


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
