"""Reading of the user's source: whatever its functions do ends in a sentence that names the batch and the place."""

import contextlib
import datetime as dt
import itertools
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import polars as pl

from penumbra.core.columns import RESERVED_PREFIX
from penumbra.core.problem import Problem, SourceBatch
from penumbra.core.raw_files import FILE_ERRORS, RawContent, RawFiles
from penumbra.core.text.masking import mask_text
from penumbra.core.text.quoting import is_encodable, quote_value
from penumbra.data.flywheel_manifest import FLYWHEEL_MARK

PIECE_BYTES = 1 << 20  # of an open file that is copied
MAX_NAME_BYTES = 150  # a file name has at most 255 bytes, and derived files add to the batch's name

Result = TypeVar("Result")


class SourceFailed(RuntimeError):
    """The source can't be read, or gives something else than batches; names the function and what was expected."""


class BatchRefused(ValueError):
    """A batch can't be used as a whole; names the batch, what is wrong and what was expected."""


class BatchUnfetched(BatchRefused):
    """`fetch()` fails for a batch."""


class BatchEmpty(BatchRefused):
    """A batch has no rows."""


def list_source_batches(problem: Problem) -> list[SourceBatch]:
    """List the batches of the source.

    Args:
        problem: The problem, loaded with its source.

    Returns:
        The batches in the order of their names, which is that of time.

    Raises:
        SourceFailed: `batches()` fails, or what it returns can't be used: a name that is no file name or stands there
            twice, names that don't sort by time, a `complete` that is no date.
    """
    batches = _call_source(problem, "batches()", lambda: list(problem.source.batches()), SourceFailed, "")
    for batch in batches:
        if fault := _find_batch_fault(batch):
            raise SourceFailed(f"batches() of {name_source_file(problem)} lists {fault}")
    if fault := _find_order_fault(batches):
        raise SourceFailed(f"batches() of {name_source_file(problem)} lists {fault}")
    return sorted(batches, key=lambda batch: batch.name)


def fetch_batch_files(problem: Problem, batch: str) -> dict[str, RawContent]:
    """Fetch the raw files of a batch; open files and generators are read, and closed, by whoever takes their pieces.

    Args:
        problem: The problem, loaded with its source.
        batch: The batch's name.

    Returns:
        The content of each file by its path relative to the batch's folder, with `/` as separator. Pieces raise what
        `fetch()` itself would.

    Raises:
        BatchUnfetched: `fetch()` fails.
        BatchRefused: It gives something else than files.
    """
    found = _call_source(problem, "fetch()", lambda: problem.source.fetch(batch), BatchUnfetched, _begin(batch))
    files = dict(found) if isinstance(found, Mapping) else None
    if not files or not all(isinstance(name, str) and _is_content(content) for name, content in files.items()):
        raise BatchRefused(
            f"{_begin(batch)}fetch() of {name_source_file(problem)} gives {_describe(found)}: expected at least one "
            "file, as a dict of bytes by file name (or of open binary files, or of generators of bytes)"
        )
    if wrong := [name for name in files if not _is_path_inside(name)]:
        raise BatchRefused(
            f"{_begin(batch)}fetch() of {name_source_file(problem)} names a file {wrong[0]!r}: expected a path inside "
            "the batch's folder, in UTF-8"
        )
    return {
        name: content if isinstance(content, bytes) else _read_pieces(problem, batch, content)
        for name, content in files.items()
    }


def parse_batch_files(problem: Problem, batch: str, files: RawFiles) -> pl.DataFrame | pl.LazyFrame:
    """Read the raw files of a batch as rows.

    Args:
        problem: The problem, loaded with its source.
        batch: The batch's name.
        files: The files.

    Returns:
        The frame that `parse()` gives, with any columns and dtypes; a pandas frame is converted.

    Raises:
        BatchRefused: `parse()` fails, gives no frame, or a column that is called as one of the engine's.
    """
    begin = _begin(batch)
    rows = _call_source(problem, "parse()", lambda: _convert_frame(problem.source.parse(files)), BatchRefused, begin)
    if not isinstance(rows, pl.DataFrame | pl.LazyFrame):
        raise BatchRefused(
            f"{begin}parse() of {name_source_file(problem)} gives {_describe(rows)}: expected a polars DataFrame"
        )
    names = _call_source(problem, "parse()", lambda: list(rows.collect_schema()), BatchRefused, begin)
    if taken := [name for name in names if name.startswith(RESERVED_PREFIX)]:
        raise BatchRefused(
            f"{begin}parse() of {name_source_file(problem)} gives the column {quote_value(taken[0])}: expected names "
            f"that don't begin with {RESERVED_PREFIX!r}, which the engine's do"
        )
    return rows


def collect_parsed_rows(problem: Problem, batch: str, rows: pl.LazyFrame, most: int | None) -> pl.DataFrame | None:
    """Compute the rows of a LazyFrame that `parse()` gave, if they aren't too many.

    Args:
        problem: The problem, loaded with its source.
        batch: The batch's name.
        rows: The frame.
        most: How many there may be; None for any number.

    Returns:
        The rows; None where there are more.

    Raises:
        BatchRefused: The rows can't be computed.
    """
    if most is None:
        return _call_source(problem, "parse()", rows.collect, BatchRefused, _begin(batch))
    first = rows.head(most + 1)
    found = _call_source(problem, "parse()", lambda: first.collect(engine="streaming"), BatchRefused, _begin(batch))
    return found if found.height <= most else None


def write_parsed_rows(problem: Problem, batch: str, rows: pl.LazyFrame, path: Path, rows_at_once: int) -> None:
    """Compute the rows of a LazyFrame that `parse()` gave, some at a time, and write them.

    Args:
        problem: The problem, loaded with its source.
        batch: The batch's name.
        rows: The frame.
        path: The Parquet file to write.
        rows_at_once: How many rows its row groups have.

    Raises:
        BatchRefused: The rows can't be computed.
    """
    _call_source(
        problem,
        "parse()",
        lambda: rows.sink_parquet(path, compression="lz4", statistics=False, row_group_size=rows_at_once),
        BatchRefused,
        _begin(batch),
    )


def is_out_of_reach(error: SourceFailed | BatchRefused) -> bool:
    """Tell a source that can't be asked from here, for lack of a network or of credentials, from one that is wrong.

    Args:
        error: What reading the source has raised.

    Returns:
        Whether its cause is an error of a connection.
    """
    return isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FILE_ERRORS)


def name_source_file(problem: Problem) -> str:
    """Return how `problem` calls the file of its source in a sentence, such as problem/source.py."""
    file = problem.files["source"]
    return f"{file.parent.name}/{file.name}"


def _call_source(
    problem: Problem, name: str, call: Callable[[], Result], refusal: type[Exception], begin: str
) -> Result:
    """Call a function of the user's; a ValueError of `parse()` is the user's own sentence."""
    try:
        return call()
    except Exception as error:  # whatever the user's function does
        if name == "parse()" and type(error) is ValueError:
            raise refusal(f"{begin}{error}") from None
        text = mask_text(" ".join(str(error).split()))
        raise refusal(
            f"{begin}{name} of {name_source_file(problem)} fails{_locate(problem, error)}: "
            f"{type(error).__name__}: {text}"
        ) from error


def _is_content(content: Any) -> bool:
    return isinstance(content, bytes | Iterator) or hasattr(content, "read")


def _read_pieces(problem: Problem, batch: str, content: Any) -> Iterator[bytes]:
    """The pieces of an open file or a generator, which is closed after the last one."""
    pieces = iter(lambda: content.read(PIECE_BYTES), b"") if hasattr(content, "read") else content
    with contextlib.closing(content) if hasattr(content, "close") else contextlib.nullcontext():
        while True:
            piece = _call_source(problem, "fetch()", lambda: next(pieces, None), BatchUnfetched, _begin(batch))
            if piece is None:
                return
            if not isinstance(piece, bytes):
                raise BatchRefused(
                    f"{_begin(batch)}fetch() of {name_source_file(problem)} gives a file with {_describe(piece)} in "
                    'it: expected bytes, as of a file that was opened with mode "rb"'
                )
            yield piece


def _convert_frame(rows: Any) -> Any:
    """A pandas frame as a polars DataFrame; anything else as it is."""
    if type(rows).__module__.partition(".")[0] == "pandas" and type(rows).__name__ == "DataFrame":
        return pl.from_pandas(rows)
    return rows


def _find_batch_fault(batch: Any) -> str | None:
    name, complete = getattr(batch, "name", None), getattr(batch, "complete", None)
    if not isinstance(name, str):
        return f"{_describe(batch)}: expected objects with a `name` and the date on which they are `complete`"
    if FLYWHEEL_MARK in name:
        return f"a batch named {name!r}: expected a name without {FLYWHEEL_MARK!r}, which those made of the logs have"
    if not _is_file_name(name):
        return (
            f"a batch named {name!r}: expected a name that a folder can have, without `/`, without a dot at its "
            f"beginning, and of at most {MAX_NAME_BYTES} bytes"
        )
    if not isinstance(complete, dt.date) or isinstance(complete, dt.datetime):
        return f"batch {name} with complete = {complete!r}: expected a date, the first day on which it is complete"
    return None


def _find_order_fault(batches: list[SourceBatch]) -> str | None:
    names = [batch.name for batch in batches]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        return f"batch {repeated[0]} more than once: expected a name of its own for each"
    by_name = sorted(batches, key=lambda batch: batch.name)
    if names == [batch.name for batch in by_name]:
        return None
    for earlier, later in itertools.pairwise(by_name):
        if earlier.complete > later.complete:
            return (
                f"batch {later.name}, complete on {later.complete}, and batch {earlier.name}, complete on "
                f"{earlier.complete}: expected names that sort by time, such as 2024-09 and 2024-10"
            )
    return None


def _is_file_name(name: str) -> bool:
    size = len(name.encode()) if is_encodable(name) else 0
    return 0 < size <= MAX_NAME_BYTES and not name.startswith(".") and "/" not in name and name.isprintable()


def _is_path_inside(name: str) -> bool:
    path = PurePosixPath(name)
    is_inside = not path.is_absolute() and not {"..", "."} & set(path.parts)
    return bool(path.parts) and str(path) == name and is_inside and is_encodable(name) and "\0" not in name


def _begin(batch: str) -> str:
    return f"batch {batch} refused: "


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    return "nothing in it" if isinstance(value, Mapping) and not value else f"a {type(value).__name__}"


def _locate(problem: Problem, error: Exception) -> str:
    """The line of the user's code at which an error was raised."""
    folder = problem.files["source"].parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).parent == folder:
            return f" at {folder.name}/{Path(frame.filename).name}, line {frame.lineno}"
    return ""
