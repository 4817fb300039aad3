"""Entries of the prediction log in columns: those of a table's plain rows."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from penumbra.logs.append_log import encode_json
from penumbra.logs.bulk_lines import write_times_as_text
from service.inference.rules.rule_marks import fill_default
from service.inference.runs.frame_scoring import ScoredFrame


def make_entry_tables(
    answered: pl.DataFrame, scored: ScoredFrame, now: dt.datetime, contract: str, micros: int, job: str
) -> list[pl.DataFrame]:
    """Make the entries of plain rows, those with the same marks in a table each, in the order of the marks' codes.

    Args:
        answered: The plain rows, with the contract's columns.
        scored: What was made of the table.
        now: When.
        contract: The contract's version.
        micros: How long a row took.
        job: The name of the scoring job.

    Returns:
        Tables with all fields of the entries but their ids; none of them is empty.
    """
    columns, plain = _make_columns(answered, scored, now, contract, micros), scored.plain
    tables = []
    for code, marks in enumerate(plain.marks):
        some = columns if len(plain.marks) == 1 else columns[np.flatnonzero(plain.codes == code)]
        filled = fill_default(marks, pl.col("decision"))
        if some.height:
            tables.append(
                some.with_columns(**{name: _make_field(mark) for name, mark in filled.items()}, job=pl.lit(job))
            )
    return tables


def _make_columns(
    answered: pl.DataFrame, scored: ScoredFrame, now: dt.datetime, contract: str, micros: int
) -> pl.DataFrame:
    """The fields that all entries of plain rows have, a column each; a row of outputs may be a list of numbers."""
    inputs, outputs = scored.plain.inputs, scored.plain.outputs
    return pl.select(
        time=pl.lit(encode_json(now)[1:-1].decode()),
        contract=pl.lit(contract),
        record=write_times_as_text(answered).to_struct(),
        inputs=pl.Series(inputs, dtype=pl.Array(pl.Float64, inputs.shape[1])),
        output=pl.Series(outputs, dtype=pl.Array(pl.Float64, outputs.shape[1]) if outputs.ndim > 1 else pl.Float64),
        decision=scored.plain.decisions,
        model=pl.lit(scored.version),
        micros=pl.lit(micros),
    )


def _make_field(mark: Any) -> pl.Expr:
    if isinstance(mark, pl.Expr):
        return mark
    value = encode_json(mark)[1:-1].decode() if isinstance(mark, dt.datetime) else mark
    return pl.lit(pl.Series([value])).first()
