"""Frames of prediction log lines: record, answer, day and model of each."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from penumbra.core.bins import is_countable_dtype
from penumbra.core.columns import DAY_COLUMN, LINE_NUMBER_COLUMN, MODEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.problem import ProblemSchema
from penumbra.core.task import Task
from penumbra.logs.line_decoding import add_record_fields, blank_damaged_lines, decode_each_line
from penumbra.logs.log_pieces import iterate_lines
from penumbra.logs.schema import ArchivedRow, ProfiledPrediction

EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()


class LogFrameReader:
    """Reads lines of the prediction log to frames with the contract's columns that can be counted.

    Which of them a model reads doesn't matter: versions with different features are read from one log. The row's time
    is left out: any later month has other dates than the reference, which is no drift.
    """

    def __init__(self, schema: ProblemSchema) -> None:
        dtypes = {name: dtype for name, dtype in schema.Row.create_empty().schema.items() if name != schema.TIME}
        columns = [name for name, dtype in dtypes.items() if is_countable_dtype(dtype)]
        self.columns: Mapping[str, Any] = {name: _to_frame_dtype(dtypes[name]) for name in columns}
        self._decimals = [name for name in columns if isinstance(dtypes[name], pl.Decimal)]
        types: dict[str, Any] = {name: _to_python_type(dtype) for name, dtype in self.columns.items()}
        types |= dict.fromkeys(self._decimals, str)  # decimals are text in JSON, as the time is
        self._decoder, self._archive_decoder = (
            msgspec.json.Decoder(add_record_fields(projection, {schema.TIME: str | None}, types))
            for projection in (ProfiledPrediction, ArchivedRow)
        )
        self._output = pl.List(pl.Float64) if Task.from_schema(schema).kind == "multiclass" else pl.Float64()

    def frame(self, content: bytes) -> pl.DataFrame:
        """Read the model's own answers; those of a fallback are left out, as are lines that can't be read.

        Args:
            content: Whole lines of the log.

        Returns:
            A frame with the columns (Float64, Boolean or String), `penumbra.prediction` (Float64 or List of them, null
            where the answer is of another task), `penumbra.model` (String) and `penumbra.day` (Date, UTC; of the answer
            where the row has no time).
        """
        frames = list[pl.DataFrame]()
        for lines in iterate_lines(content) if content else [[]]:
            each = decode_each_line(self._decoder, blank_damaged_lines(lines))
            frames.append(self._frame([answer for answer in each if answer and not answer.fallback]))
        return pl.concat(frames).filter(pl.col(DAY_COLUMN).is_not_null())

    def read_aligned(self, lines: Sequence[bytes]) -> pl.DataFrame:
        """Read lines to a frame with a row for each.

        Args:
            lines: Lines without their ends, as `blank_damaged_lines` returns them.

        Returns:
            A frame with the columns of `frame`. The day is null where there is nothing to count: where the line can't
            be read, or a fallback answered.
        """
        return self._align(list(decode_each_line(self._decoder, lines)))

    def read_archived(self, lines: Sequence[bytes]) -> tuple[list[ArchivedRow | None], pl.DataFrame]:
        """Read lines for the archive, which keeps columns of their own beside those that are counted.

        Args:
            lines: Lines without their ends, as `blank_damaged_lines` returns them.

        Returns:
            What each line says, None where one of the archive's columns can't be read; and the frame of `read_aligned`.
        """
        each = list(decode_each_line(self._archive_decoder, lines))
        if all(each):
            return each, self._align(each)
        counted = [
            entry or next(decode_each_line(self._decoder, [line])) for entry, line in zip(each, lines, strict=True)
        ]
        return each, self._align(counted)

    def has_profile_columns(self, rows: pl.DataFrame) -> bool:
        """Return whether the frame `rows` has the columns and dtypes that `read_aligned` returns."""
        wanted = {**self.columns, PREDICTION_COLUMN: self._output, MODEL_COLUMN: pl.String, DAY_COLUMN: pl.Date}
        return all(rows.schema.get(name) == dtype for name, dtype in wanted.items())

    def _align(self, each: Sequence[Any]) -> pl.DataFrame:
        counted = [at for at, answer in enumerate(each) if answer and not answer.fallback]
        if len(counted) == len(each):
            return self._frame(each)
        frame = self._frame([each[at] for at in counted])
        every = pl.DataFrame([pl.Series(LINE_NUMBER_COLUMN, range(len(each)), pl.Int64)])
        return (
            every.join(
                frame.with_columns(pl.Series(LINE_NUMBER_COLUMN, counted, pl.Int64)), on=LINE_NUMBER_COLUMN, how="left"
            )
            .sort(LINE_NUMBER_COLUMN)
            .select(frame.columns)
        )

    def _frame(self, answers: Sequence[Any]) -> pl.DataFrame:
        records = [msgspec.structs.astuple(answer.record) for answer in answers]
        fields: list[Sequence[Any]] = list(zip(*records, strict=True)) or [()] * (len(self.columns) + 1)
        columns = [self._make_column(*each) for each in zip(self.columns, fields[1:], strict=True)]
        moments = fields[0]
        if None in moments:
            moments = [answer.time if of is None else of for of, answer in zip(moments, answers, strict=True)]
        said = self._make_predictions([answer.output for answer in answers])
        model = pl.Series(MODEL_COLUMN, [answer.model for answer in answers], pl.String)
        return pl.DataFrame([*columns, said, model, _parse_days(moments)])

    def _make_predictions(self, outputs: Sequence[Any]) -> pl.Series:
        """Predictions of the contract's task; null for those of another, which was the task when they were made."""
        try:
            return pl.Series(PREDICTION_COLUMN, outputs, self._output)
        except (TypeError, pl.exceptions.PolarsError):
            is_list = self._output == pl.List
            same = [output if isinstance(output, list) is is_list else None for output in outputs]
            return pl.Series(PREDICTION_COLUMN, same, self._output)

    def _make_column(self, name: str, values: Sequence[Any]) -> pl.Series:
        if name in self._decimals:
            return pl.Series(name, values, pl.String).cast(self.columns[name], strict=False)
        return pl.Series(name, values, self.columns[name])


def _to_frame_dtype(dtype: Any) -> Any:
    if dtype.is_numeric():
        return pl.Float64
    return pl.Boolean if dtype == pl.Boolean else pl.String


def _to_python_type(dtype: Any) -> Any:
    return {pl.Float64: float, pl.Boolean: bool}.get(dtype, str)


def _parse_days(moments: Sequence[str]) -> pl.Series:
    """Of instants or dates in ISO 8601, UTC where they name no offset; neighbouring rows have the same hour, or day."""
    days = {moment: _parse_day(moment) for moment in set(moments)}
    return pl.Series(DAY_COLUMN, [days[moment] for moment in moments], pl.Int32).cast(pl.Date)


def _parse_day(moment: str) -> int | None:
    """In days since 1970."""
    try:
        read = dt.datetime.fromisoformat(moment)
        day = read.astimezone(dt.UTC) if read.tzinfo else read
    except (ValueError, OverflowError):
        return None
    return day.toordinal() - EPOCH_ORDINAL
