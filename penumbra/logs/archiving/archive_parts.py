"""The parts of a log's archive: Parquet files by day with their facts, how they are read (see archive.py)."""

import contextlib
import datetime as dt
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from penumbra.logs import append_log, segments
from penumbra.storage.sealed import hash_file, read_derived_file, replace_sealed_file

DAYS_FOLDER, FACTS_SUFFIX, TABLE_SUFFIX = "days", ".json", ".parquet"
ID_START = b'{"id":"'  # of each line
ROW_PREFIX = "row."  # before the names of the columns that a `RowReader` reads
MAX_BYTES_AT_ONCE = 1 << 27  # of parts that are read together, unless one alone has more
SegmentReader = Callable[[], bytes]
FailureHandler = Callable[[Exception], object]


class DamagedArchive(RuntimeError):
    """An archived file reads back differently from what was written; says which."""


def raise_failure(error: Exception) -> None:
    """Raise an error: what becomes of the failure of one segment or part unless a caller wants the others done."""
    raise error


@contextlib.contextmanager
def handle_failure(on_failure: FailureHandler) -> Iterator[None]:
    """Give the error of one segment or part to a handler, so that others go on, as a context manager.

    Args:
        on_failure: Takes the error, whatever it is: a full disk, an unreachable archive, a damaged file.
    """
    try:
        yield
    except Exception as error:
        on_failure(error)


class ArchivedSegment(msgspec.Struct):
    """A segment in a part: its SHA-256 and its number of rows, which follow those of the segments before it."""

    sha256: str
    rows: int


class ArchivePart(msgspec.Struct):
    """The facts of one Parquet file.

    Attributes:
        segments: The segments in it by name, in the order of its rows.
        sha256: The file's checksum.
        shipped: Its address in the archive; "" where it wasn't shipped.
    """

    segments: dict[str, ArchivedSegment]
    sha256: str
    shipped: str = ""


def list_parts(folder: Path) -> list[tuple[Path, ArchivePart]]:
    """Return the paths and contents of the facts of every part of the log in `folder`, oldest first."""
    found = sorted((folder / DAYS_FOLDER).glob(f"[0-9]*{FACTS_SUFFIX}"))
    return [(path, _read_part(path)) for path in found]


def find_segment_parts(parts: Sequence[tuple[Path, ArchivePart]]) -> dict[str, Path]:
    """Find where to read archived segments from.

    A segment is in several parts after a volume was restored or copied: the longest has the rows of the others.

    Args:
        parts: The parts, as `list_parts` returns them.

    Returns:
        By the name of each segment the path of the facts of one part, which has most of its rows.
    """
    found: dict[str, tuple[int, Path]] = {}
    for path, part in parts:
        for name, archived in part.segments.items():
            if name not in found or archived.rows > found[name][0]:
                found[name] = archived.rows, path
    return {name: path for name, (_, path) in found.items()}


def write_part_facts(path: Path, part: ArchivePart) -> None:
    """Write the facts of a part, sealed.

    Args:
        path: The path of the facts.
        part: The facts.

    Raises:
        OSError: Where they can't be written.
    """
    replace_sealed_file(path, msgspec.json.encode(part))


def scan_part(path: Path, part: ArchivePart) -> Any:
    """Scan a part's rows, from the file here or else from the archive.

    Args:
        path: The path of the part's facts.
        part: The facts.

    Returns:
        A polars LazyFrame with `id`, `time`, `contract`, `model`, `output`, `decision`, `line` (String), `raw` (Binary,
        of a line that isn't text) and columns `row.…`.
    """
    import polars as pl

    if (table := path.with_suffix(TABLE_SUFFIX)).exists():
        return pl.scan_parquet(table)
    import fsspec  # loads asyncio, for which no reader of a log without an archive waits

    with fsspec.open(part.shipped, "rb") as file:
        return pl.read_parquet(file.read()).lazy()


def find_entry(folder: Path, entry_id: str) -> dict[str, Any] | None:
    """Look up an entry by its id, in the segments, the Parquet files here or the archive.

    Args:
        folder: The log's folder.
        entry_id: The id; any text is allowed.

    Returns:
        The entry, or None where there is none.
    """
    if found := append_log.find_entry_in_segments(folder, entry_id):
        return found
    match = append_log.ENTRY_ID_PATTERN.fullmatch(entry_id)
    part = match and _find_part_of(folder, match[1])
    if not part:
        return None
    import polars as pl

    lines = _collect(part[0], scan_part(*part).filter(pl.col("id") == entry_id).select("line"))["line"]
    return append_log.decode_entry(lines[0].encode()) if len(lines) else None


def read_deleted_segments(folder: Path, known: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Read the segments that exist only in Parquet.

    Segments of several replicas come in the order of time, as far as their parts are small enough to be read together:
    databases take in rows much faster in the order of their keys.

    Args:
        folder: The log's folder.
        known: Tells whether a segment of this name is to be skipped.

    Yields:
        Name and content of a segment, as it was logged.

    Raises:
        DamagedArchive: Where the lines aren't those that were logged.
    """
    here = {path.stem for path in append_log.list_segments(folder)}
    places, size, together = find_segment_parts(parts := list_parts(folder)), 0, list[tuple[str, SegmentReader]]()
    for path, part in parts:
        wanted = [name for name in part.segments if name not in here and places[name] == path and not known(name)]
        if wanted:
            lines = _collect(path, scan_part(path, part).select("line", "raw"))
            if together and size + lines.estimated_size() > MAX_BYTES_AT_ONCE:
                yield from _read_in_order(together)
                size, together = 0, []
            size += lines.estimated_size()
            starts = _find_starts(part)
            together += [(name, partial(_extract_segment, path, part, name, starts[name], lines)) for name in wanted]
    yield from _read_in_order(together)


def read_part_frames(folder: Path, known: Callable[[str], bool]) -> Iterator[tuple[list[str], Any]]:
    """Read the columns `row.…` of the archived segments whose Parquet file is here, part by part.

    Files that can't be read are skipped, as their lines can still be read.

    Args:
        folder: The log's folder.
        known: Tells whether a segment of this name is to be skipped.

    Yields:
        Names of segments and a polars frame with a row for each of their lines.
    """
    import polars as pl

    places = find_segment_parts(parts := list_parts(folder))
    for path, part in parts:
        table = path.with_suffix(TABLE_SUFFIX)
        wanted = [name for name in part.segments if places[name] == path and not known(name)]
        if not wanted or not table.exists():
            continue
        try:
            names = [name for name in pl.read_parquet_schema(table) if name.startswith(ROW_PREFIX)]
            rows = pl.read_parquet(table, columns=names).rename(lambda name: name.removeprefix(ROW_PREFIX))
        except (pl.exceptions.PolarsError, OSError):
            continue
        if len(wanted) < len(part.segments):
            starts = _find_starts(part)
            rows = pl.concat([rows.slice(starts[name], part.segments[name].rows) for name in wanted])
        yield wanted, rows


def _read_in_order(segments_of_parts: list[tuple[str, SegmentReader]]) -> Iterator[tuple[str, bytes]]:
    for name, read in sorted(segments_of_parts, key=lambda each: each[0]):
        yield name, read()


def _find_starts(part: ArchivePart) -> dict[str, int]:
    """The row at which each segment of a part begins."""
    ends = itertools.accumulate(archived.rows for archived in part.segments.values())
    return dict(zip(part.segments, itertools.chain([0], ends), strict=False))


def _extract_segment(path: Path, part: ArchivePart, segment: str, start: int, lines: Any) -> bytes:
    """The lines of a segment, of those of its part."""
    archived = part.segments[segment]
    rows = lines.slice(start, archived.rows)
    if rows["raw"].null_count() == rows.height:
        content = "\n".join([*rows["line"].to_list(), ""]).encode()
    else:
        content = b"".join((line.encode() if raw is None else raw) + b"\n" for line, raw in rows.iter_rows())
    if hashlib.sha256(content).hexdigest() != archived.sha256:
        raise DamagedArchive(f"{path.with_suffix(TABLE_SUFFIX)}: segment {segment} is not what was logged")
    return content


def read_part_day(path: Path) -> dt.date:
    """Return the day (UTC) of the part whose facts or table are at `path`."""
    return dt.date.fromisoformat(path.name.split(".")[0])


def _find_part_of(folder: Path, segment: str) -> tuple[Path, ArchivePart] | None:
    """The part that a segment is in, with most of its rows where there are several."""
    day = segments.parse_start_time(segment).date()
    parts = [(path, _read_part(path)) for path in sorted((folder / DAYS_FOLDER).glob(f"{day}.*{FACTS_SUFFIX}"))]
    found = [(path, part) for path, part in parts if segment in part.segments]
    return max(found, key=lambda each: each[1].segments[segment].rows, default=None)


def _collect(path: Path, rows: Any) -> Any:
    """The rows of a scan. Raises DamagedArchive where the part at `path` can't be read."""
    import polars as pl

    try:
        return rows.collect()
    except pl.exceptions.PolarsError as error:
        table, reason = path.with_suffix(TABLE_SUFFIX), str(error).splitlines()[0]
        raise DamagedArchive(f"{table} is not what was written ({reason}): see `penumbra doctor`") from None


def _read_part(path: Path) -> ArchivePart:
    """The facts of a part, made again from its table where they are damaged."""
    try:
        return msgspec.json.decode(read_derived_file(path) or b"", type=ArchivePart)
    except msgspec.MsgspecError:
        part = _rebuild_part(path)
        write_part_facts(path, part)
        return part


def _rebuild_part(path: Path) -> ArchivePart:
    import polars as pl

    table = path.with_suffix(TABLE_SUFFIX)
    try:
        rows = pl.read_parquet(table, columns=["line", "raw"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DamagedArchive(
            f"{path} is not what was written, and can't be made from {table} ({str(error).splitlines()[0]}): bring it "
            "back from a backup or from the archive"
        ) from None
    lines = [line.encode() if raw is None else raw for line, raw in rows.iter_rows()]
    found: dict[str, list[bytes]] = {}
    for line in lines:
        match = append_log.ENTRY_ID_PATTERN.match(line[len(ID_START) :].decode(errors="replace"))
        name = match[1] if match else next(reversed(found), "")
        found.setdefault(name, []).append(line + b"\n")
    named = {name: ArchivedSegment(hashlib.sha256(b"".join(own)).hexdigest(), len(own)) for name, own in found.items()}
    return ArchivePart(named, hash_file(table))
