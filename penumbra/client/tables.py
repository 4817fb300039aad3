"""Tables of polars or pyarrow as Arrow IPC streams; neither is imported but for a table of it."""

import importlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from penumbra.client.errors import InvalidRecord

ARROW_MEDIA_TYPE = "application/vnd.apache.arrow.stream"
ARROW_HEADERS = {"content-type": ARROW_MEDIA_TYPE, "accept": ARROW_MEDIA_TYPE}
PANDAS_KEY, UNNAMED_INDEX = b"pandas", re.compile(r"__index_level_\d+__")
LIBRARIES = ("polars", "pyarrow")


class ArrowPart(NamedTuple):
    """Rows of a table that are sent together: `start` is the position of the first, `is_last` where it ends there."""

    start: int
    table: Any
    is_last: bool

    @property
    def n_records(self) -> int:
        """The number of rows."""
        return len(self.table)

    def encode(self) -> bytes:
        """Return the rows as an Arrow IPC stream."""
        stream, library = io.BytesIO(), _import_library(self.table)
        if library.__name__ == "polars":
            self.table.write_ipc_stream(stream, compression="uncompressed")
        else:
            with library.ipc.new_stream(stream, self.table.schema) as writer:
                writer.write_table(self.table)
        return stream.getvalue()

    def split(self) -> tuple["ArrowPart", "ArrowPart"]:
        """Return its two halves."""
        middle = len(self.table) // 2
        return (
            ArrowPart(self.start, self.table.slice(0, middle), False),
            ArrowPart(self.start + middle, self.table.slice(middle), self.is_last),
        )


def split_table(table: Any, max_records: int) -> Iterator[ArrowPart]:
    """Split a table into parts.

    Args:
        table: A polars DataFrame or a pyarrow Table.
        max_records: The most rows of a part.

    Yields:
        The parts in their order, without an index that pandas has made a column of and that has no name.

    Raises:
        TypeError: It is something else.
        InvalidRecord: A column has Python's objects, which no other program can read.
    """
    library = _import_library(table)
    if library.__name__ == "polars" and (unsayable := [each.name for each in table if each.dtype == library.Object]):
        raise InvalidRecord(f"the columns {', '.join(unsayable)} are Python's objects: expected a dtype of Arrow's")
    if library.__name__ == "pyarrow" and PANDAS_KEY in (table.schema.metadata or {}):
        table = table.select([name for name in table.column_names if not UNNAMED_INDEX.fullmatch(name)])
    for start in range(0, len(table), max_records):
        yield ArrowPart(start, table.slice(start, max_records), start + max_records >= len(table))


def decode_answers(table: Any, body: bytes) -> list[Any]:
    """Decode the answers to a part of a table.

    Args:
        table: The table.
        body: The body of the response, an Arrow IPC stream.

    Returns:
        One table of the same library.

    Raises:
        ValueError: The body is something else.
    """
    library = _import_library(table)
    try:
        if library.__name__ == "polars":
            return [library.read_ipc_stream(io.BytesIO(body))]
        return [library.ipc.open_stream(body).read_all()]
    except Exception as error:  # each library has its own
        raise ValueError(f"this is no Arrow IPC stream: {error}") from error


def concatenate_answers(table: Any, parts: Sequence[Any]) -> Any:
    """Put the answers to the parts of a table together.

    Args:
        table: The table.
        parts: The answers, tables whose optional columns may differ.

    Returns:
        One table of the same library; without columns where there are no parts.
    """
    library = _import_library(table)
    if not parts:
        return library.DataFrame() if library.__name__ == "polars" else library.table({})
    if library.__name__ == "polars":
        return library.concat(parts, how="diagonal_relaxed")
    return library.concat_tables(parts, promote_options="permissive")


def count_rows(parts: Sequence[Any]) -> int:
    """Return the number of rows of all `parts`, tables of either library."""
    return sum(map(len, parts))


def _import_library(table: Any) -> Any:
    kind = type(table)
    name = kind.__module__.partition(".")[0]
    if name not in LIBRARIES or kind.__name__ not in ("DataFrame", "Table"):
        said = f"{kind.__module__}.{kind.__qualname__}"
        raise TypeError(f"the table is of type {said}: expected a polars.DataFrame or a pyarrow.Table")
    return importlib.import_module(name)
