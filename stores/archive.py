"""What becomes of a log's closed segments: Parquet by day, shipped where the settings say, then deleted here.

<log>/<segment>.sha256            the checksum of a closed segment (see stores/segments.py)
<log>/days/<day>.<part>.parquet   its lines: `line` as it was logged, beside it the columns that questions are asked of;
                                  of predictions `row.…`, the columns that profiles count (see stores/answered.py)
<log>/days/<day>.<part>.json      which segments are in it, with their checksums, and where it was shipped; written last

A day has several parts where it was large, or where a segment was closed late. Everything is verified by reading it
again: the lines of a segment in Parquet have the checksum of the segment, a shipped file that of the local one.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import msgspec

from stores import log, segments
from stores.tables import ROW, Rows, frame

DAYS, FACTS, TABLE = "days", ".json", ".parquet"
LARGEST_PART = 128 * log.MEGABYTE


class Damaged(RuntimeError):
    """What was written reads back as something else; says which file."""


class Held(msgspec.Struct):
    """A segment in a part, in the order of the part's rows."""

    sha256: str
    rows: int


class Part(msgspec.Struct):
    """The facts of one Parquet file; `shipped` is its address in the archive."""

    segments: dict[str, Held]
    sha256: str
    shipped: str = ""


def seal_closed(folder: Path, but: Path | None = None) -> list[Path]:
    """Checksums for the segments that nobody writes any more (`but` one, which is left as it is); returns them."""
    found = [path for path, size in log.sizes(folder).items() if size and path != but]
    closed = [path for path in found if path.with_suffix(segments.SEAL).exists() or not segments.is_open(path)]
    for path in closed:
        segments.seal(path)
    return closed


def compact(folder: Path, closed: Sequence[Path], today: dt.date, rows: Rows | None = None) -> list[Path]:
    """A Parquet file for the closed segments of each day before today; returns the facts' paths. `rows` reads lines to
    a frame as high, which is kept beside them (see `typed`). Raises Damaged."""
    there = {segment for _, part in parts(folder) for segment in part.segments}
    days: dict[dt.date, list[Path]] = {}
    for path in closed:
        if path.stem not in there and (day := segments.began(path.stem).date()) < today:
            days.setdefault(day, []).append(path)
    return [_write(folder, day, some, rows) for day, paths in days.items() for some in _portions(paths)]


def ship(folder: Path, archive: str) -> list[str]:
    """Copy what isn't there yet to a folder or URL; returns the addresses. Raises Damaged, or what the store raises."""
    waiting = [(path, part) for path, part in parts(folder) if not part.shipped]
    return [_ship(path, part, archive) for path, part in waiting]


def delete_old(
    folder: Path, archive: str, before: dt.datetime, needed: Callable[[Path], bool] = lambda path: False
) -> list[Path]:
    """Delete the segments of parts whose day began before, and parts that are shipped; returns what was deleted.
    Nothing is that some reader still needs, that isn't whole in Parquet, or not shipped where there is an archive."""
    deleted: list[Path] = []
    for path, part in parts(folder):
        if _day(path) >= before.date() or (archive and not part.shipped):
            continue
        files = [folder / (segment + log.SUFFIX) for segment in part.segments]
        table = path.with_suffix(TABLE)
        if table.exists() and _sha256(table) != part.sha256:
            continue
        deleted += [file for file in files if file.exists() and not needed(file)]
        deleted += [table] if part.shipped and table.exists() and not any(map(needed, files)) else []
    for file in deleted:
        file.unlink()
        file.with_suffix(segments.SEAL).unlink(missing_ok=True)
    return deleted


def find(folder: Path, entry_id: str) -> dict[str, Any] | None:
    """The entry of this id, from its segment or from Parquet; None where there is none."""
    if found := log.find(folder, entry_id):
        return found
    match = log.ID.fullmatch(entry_id)
    part = match and _holding(folder, match[1])
    if not part:
        return None
    import polars as pl

    lines = scan(*part).filter(pl.col("id") == entry_id).select("line").collect()["line"]
    return msgspec.json.decode(lines[0]) if len(lines) else None


def deleted_segments(folder: Path, known: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each segment that is in Parquet only, but those that are known."""
    for path, part in parts(folder):
        for segment in part.segments:
            if not (folder / (segment + log.SUFFIX)).exists() and not known(segment):
                yield segment, _content(path, part, segment)


def typed(folder: Path, known: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    """Name and frame of each segment whose rows are in a Parquet file here, as columns, but those that are known. What
    can't be read is passed over: its lines are still there."""
    import polars as pl

    for path, part in parts(folder):
        table, start = path.with_suffix(TABLE), 0
        if all(known(segment) for segment in part.segments) or not table.exists():
            continue
        try:
            names = [name for name in pl.read_parquet_schema(table) if name.startswith(ROW)]
            rows = pl.read_parquet(table, columns=names).rename(lambda name: name.removeprefix(ROW))
        except (pl.exceptions.PolarsError, OSError):
            continue
        for segment, held in part.segments.items():
            if not known(segment):
                yield segment, rows.slice(start, held.rows)
            start += held.rows


def parts(folder: Path) -> list[tuple[Path, Part]]:
    """The facts of every Parquet file of a log, with their paths."""
    found = sorted((folder / DAYS).glob(f"[0-9]*{FACTS}"))
    return [(path, msgspec.json.decode(path.read_bytes(), type=Part)) for path in found]


def _write(folder: Path, day: dt.date, paths: Sequence[Path], rows: Rows | None) -> Path:
    (folder / DAYS).mkdir(exist_ok=True)
    number = sum(1 for path, _ in parts(folder) if _day(path) == day)
    table = folder / DAYS / f"{day}.{number:03}{TABLE}"
    held, lines = {}, []
    for path in paths:
        new = path.read_bytes().split(b"\n")[:-1]
        held[path.stem] = Held(segments.seal(path), len(new))
        lines += new
    aside = table.with_name(f".{table.name}")
    frame(lines, rows).write_parquet(aside)
    part = Part(held, _sha256(aside))
    aside.replace(table)
    facts = table.with_suffix(FACTS)
    for segment in held:
        _content(facts, part, segment)
    segments.replace(facts, msgspec.json.encode(part))
    return facts


def _content(path: Path, part: Part, segment: str) -> bytes:
    """A segment as it was, out of Parquet. Raises Damaged."""
    names = list(part.segments)
    start = sum(part.segments[name].rows for name in names[: names.index(segment)])
    held = part.segments[segment]
    rows = scan(path, part).select("line", "raw").slice(start, held.rows).collect().iter_rows()
    content = b"".join((line.encode() if raw is None else raw) + b"\n" for line, raw in rows)
    if hashlib.sha256(content).hexdigest() != held.sha256:
        raise Damaged(f"{path.with_suffix(TABLE)}: segment {segment} is not what was logged")
    return content


def scan(path: Path, part: Part) -> Any:
    """The rows of a part as a lazy frame: from here, or from the archive."""
    import polars as pl

    if (table := path.with_suffix(TABLE)).exists():
        return pl.scan_parquet(table)
    with fsspec.open(part.shipped, "rb") as file:
        return pl.read_parquet(file.read()).lazy()


def _ship(path: Path, part: Part, archive: str) -> str:
    table = path.with_suffix(TABLE)
    store, root = fsspec.core.url_to_fs(archive)
    place = f"{root.rstrip('/')}/{table.name}"
    store.makedirs(root, exist_ok=True)
    store.put_file(str(table), place)
    if hashlib.sha256(store.cat_file(place)).hexdigest() != part.sha256:
        raise Damaged(f"{place} in {archive} is not what was shipped")
    part.shipped = str(store.unstrip_protocol(place))
    store.pipe_file(place.removesuffix(TABLE) + FACTS, msgspec.json.encode(part))
    segments.replace(path, msgspec.json.encode(part))
    return part.shipped


def _holding(folder: Path, segment: str) -> tuple[Path, Part] | None:
    """The part that a segment is in."""
    for path in sorted((folder / DAYS).glob(f"{segments.began(segment).date()}.*{FACTS}")):
        part = msgspec.json.decode(path.read_bytes(), type=Part)
        if segment in part.segments:
            return path, part
    return None


def _portions(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The segments in lists that together are not too large."""
    portion: list[Path] = []
    size = 0
    for path in paths:
        if portion and size + path.stat().st_size > LARGEST_PART:
            yield portion
            portion, size = [], 0
        portion.append(path)
        size += path.stat().st_size
    yield portion


def _day(path: Path) -> dt.date:
    return dt.date.fromisoformat(path.name.split(".")[0])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
