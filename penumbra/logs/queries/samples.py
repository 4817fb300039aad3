"""Rows of the prediction log by their ids, with their records: for reports, which can't be made of all rows."""

import datetime as dt
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby, repeat
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from penumbra.core.columns import DAY_COLUMN, ID_COLUMN, PREDICTION_COLUMN
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.archiving.archive_parts import ROW_PREFIX
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.line_decoding import blank_damaged_lines, define_record
from penumbra.logs.queries import bottom_k
from penumbra.storage.sealed import DamagedFile

KEPT_DECODERS = 8


def read_sampled_records(
    index: LogIndex,
    model: str,
    begin: dt.date,
    end: dt.date,
    columns: Mapping[str, Any],
    most: int = bottom_k.MAX_WINDOW_ROWS,
) -> pl.DataFrame:
    """Read a sample of the records that a model answered (penumbra/logs/queries/bottom_k.py), nothing of the others.

    Args:
        index: The index.
        model: The model's version.
        begin: The first day (UTC) of the rows' times.
        end: The day after the last.
        columns: As in `read_records_by_id`.
        most: How many rows to read at most.

    Returns:
        A frame as `read_records_by_id` returns it.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    return _build_record_frame(read_sampled_lines(index, model, begin, end, most), columns)


def read_sampled_lines(
    index: LogIndex, model: str, begin: dt.date, end: dt.date, most: int = bottom_k.MAX_WINDOW_ROWS
) -> list[tuple[str, bytes]]:
    """Read the sample of `read_sampled_records` as lines of the prediction log.

    Args:
        index: As there, like the others.
        model: The model's version.
        begin: The first day (UTC) of the rows' times.
        end: The day after the last.
        most: How many lines to read at most.

    Returns:
        Ids with their lines.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    with index.open_for_reading() as db, suppress(msgspec.MsgspecError, UnicodeDecodeError):
        found = bottom_k.select_window_sample(db, model, begin, end, most)
        if all(append_log.is_line_whole(line) for _, line in found):
            return found
    raise DamagedFile(f"{index.path}, its sample of rows, isn't what the logs say: `penumbra doctor` makes it again")


def read_records_by_id(predictions: Path, ids: Sequence[str], columns: Mapping[str, Any]) -> pl.DataFrame:
    """Read records of the prediction log.

    Args:
        predictions: The folder of the log.
        ids: The predictions' ids.
        columns: The columns to read, with their dtypes.

    Returns:
        A frame with `penumbra.id` (String) and the columns (an Enum as String); null where a record has no value or
        one of another type. Ids that are no longer in the log have no row.
    """
    return _build_record_frame(read_lines_by_id(predictions, ids), columns)


def read_profile_rows(
    predictions: Path, ids: Sequence[str], answered: LogFrameReader
) -> tuple[pl.Series, pl.DataFrame]:
    """Read the columns that profiles count, of some predictions.

    Args:
        predictions: The folder of the prediction log.
        ids: The predictions' ids.
        answered: The reader that says which columns they are.

    Returns:
        The ids (String) that are in the log and can be read, and a frame of their rows: the reader's columns,
        `penumbra.prediction` and `penumbra.day`.
    """
    found = list(_read_archived_columns(predictions, ids, answered))
    there = {name for names, _ in found for name in names}
    lines = dict(read_lines_by_id(predictions, (name for name in ids if name not in there)))
    if lines or not found:
        found.append(
            (pl.Series("id", list(lines), pl.String), answered.read_aligned(blank_damaged_lines(list(lines.values()))))
        )
    wanted = [*answered.columns, PREDICTION_COLUMN, DAY_COLUMN]
    rows = pl.concat([each.select(wanted) for _, each in found])
    known = rows[DAY_COLUMN].is_not_null()
    return pl.concat([names for names, _ in found]).filter(known), rows.filter(known)


def _read_archived_columns(
    predictions: Path, ids: Sequence[str], answered: LogFrameReader
) -> Iterator[tuple[pl.Series, pl.DataFrame]]:
    """Ids and rows out of Parquet files here that keep the columns of `answered` beside the lines."""
    segments, remaining = {each.partition("-")[0] for each in ids}, set(ids)  # two parts may hold the same segment
    for path, part in archive_parts.list_parts(predictions):
        table = path.with_suffix(archive_parts.TABLE_SUFFIX)
        if segments.isdisjoint(part.segments) or not table.exists():
            continue
        with suppress(pl.exceptions.PolarsError, OSError):
            names = [name for name in pl.read_parquet_schema(table) if name.startswith(ROW_PREFIX)]
            rows = pl.scan_parquet(table).filter(pl.col("id").is_in(remaining)).select("id", *names).collect()
            columns = rows.drop("id").rename(lambda name: name.removeprefix(ROW_PREFIX))
            if answered.has_profile_columns(columns):
                remaining -= set(rows["id"])
                yield rows["id"], columns


def _build_record_frame(lines: Iterable[tuple[str, bytes]], columns: Mapping[str, Any]) -> pl.DataFrame:
    decode = _make_record_decoder(tuple(columns))
    rows = [(name, *msgspec.structs.astuple(decode(line).record)) for name, line in lines]
    wanted = {name: pl.String() if isinstance(dtype, pl.Enum) else dtype for name, dtype in columns.items()}
    values = zip(*rows, strict=True) if rows else repeat(())
    named = zip({ID_COLUMN: pl.String(), **wanted}.items(), values, strict=False)
    return pl.DataFrame({name: _build_column(name, each, dtype) for (name, dtype), each in named})


@functools.lru_cache(maxsize=KEPT_DECODERS)
def _make_record_decoder(columns: Sequence[str]) -> Callable[[bytes], Any]:
    """Make what decodes of a line the record's values of some columns alone, None where it has none."""
    record = define_record({}, dict.fromkeys(columns, Any))
    return msgspec.json.Decoder(msgspec.defstruct("SampledLine", [("record", record)])).decode


def _build_column(name: str, values: Sequence[Any], dtype: Any) -> pl.Series:
    read = [*map(_read_duration, values)] if isinstance(dtype, pl.Duration) else values
    return pl.Series(name, read, dtype, strict=False)


def _read_duration(value: Any) -> dt.timedelta | None:
    """Of the text that ISO 8601 has for it, which polars doesn't read."""
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, dt.timedelta | None)
    return None


def read_lines_by_id(folder: Path, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Read lines of a log: from segments, each by its position; or from Parquet, all of a file's at once.

    Args:
        folder: The folder of the log.
        ids: The entries' ids, those of a segment one after the other.

    Yields:
        Ids with their lines, without those that are no longer in the log.
    """
    elsewhere: dict[str, list[str]] = defaultdict(list)
    for segment, named in groupby(ids, lambda each: each.partition("-")[0]):
        names = list(named)
        found = _read_segment_lines(folder / (segment + append_log.SEGMENT_SUFFIX), names)
        yield from found.items()
        elsewhere[segment] += [name for name in names if name not in found]
    places = archive_parts.find_segment_parts(parts := archive_parts.list_parts(folder))
    for path, part in parts:
        if here := [each for segment in part.segments if places.get(segment) == path for each in elsewhere[segment]]:
            lines = archive_parts.scan_part(path, part).filter(pl.col("id").is_in(here)).select("id", "line").collect()
            yield from ((name, line.encode()) for name, line in lines.iter_rows())


def _read_segment_lines(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    found = {}
    with suppress(FileNotFoundError), path.open("rb") as file:
        for match in filter(None, map(append_log.ENTRY_ID_PATTERN.fullmatch, names)):
            file.seek(int(match[2], 16))
            line = file.readline()
            if line.startswith(b'{"id":"%b"' % match[0].encode()) and append_log.is_line_whole(line):
                found[match[0]] = line.rstrip(b"\n")
    return found


def to_day_timestamp(day: dt.date) -> float:
    """Return the beginning of `day` (UTC) in seconds since 1970."""
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()
