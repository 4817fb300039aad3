"""DuckDB as a database that a source queries; what polars doesn't take from it is brought to what files have."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.project_root import find_project_root
from penumbra.core.text.masking import mask_text
from penumbra.sources.times.calendar_times import list_calendar_times

MEMORY_LIMIT = "300MB"  # of a query that is read in pieces; what sorts or joins more goes to the disk


@dataclass
class _DuckDb:
    connection: Any
    marker: str = "$"

    def quote_name(self, name: str) -> str:
        return _quote_name(name)

    def embed_query(self, query: str) -> str:
        return query

    def read_table(self, query: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
        import duckdb

        try:
            readable = _ReadableRelation(self.connection.sql(query, params=dict(parameters)))
            return readable.build_frame(readable.relation.to_arrow_table())
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise ValueError(f"the query of the source fails: {mask_text(str(error))}") from None

    def read_pieces(self, query: str, rows: int) -> Iterator[pl.DataFrame]:
        import duckdb

        self.connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        try:
            readable = _ReadableRelation(self.connection.sql(query))
            reader = readable.relation.to_arrow_reader(rows)
            yield readable.build_frame(reader.schema.empty_table())
            for batch in reader:
                yield readable.build_frame(batch)
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise ValueError(f"the query fails: {mask_text(str(error))}") from None


class _ReadableRelation:
    """A relation as polars takes it: durations in microseconds and no times beyond the calendar."""

    def __init__(self, relation: Any) -> None:
        self._kinds = {
            _quote_name(name): str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)
        }
        if any("INTERVAL" in kind for kind in self._kinds.values()):
            written = {"INTERVAL": "(epoch({0}) * 1000000)::BIGINT AS {0}"}
            nested = {kind: "{0}::VARCHAR AS {0}" for kind in self._kinds.values() if "INTERVAL" in kind}
            forms = {**nested, **written}
            relation = relation.project(
                ", ".join(forms.get(kind, "{0}").format(name) for name, kind in self._kinds.items())
            )
        self.relation = relation

    def build_frame(self, table: Any) -> pl.DataFrame:
        """Its rows, or some of them, from arrow."""
        durations = [n for n, kind in enumerate(self._kinds.values()) if kind == "INTERVAL"]
        return pl.DataFrame(table).with_columns(
            *(pl.nth(n).cast(pl.Duration("us")) for n in durations), *list_calendar_times()
        )


def _quote_name(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


@contextlib.contextmanager
def open_duckdb(path: str) -> Iterator[_DuckDb]:
    """Open a database of DuckDB for reading.

    Args:
        path: Its file; empty for none.

    Yields:
        The database, until the block ends.

    Raises:
        ConnectionError: Somebody writes to it.
    """
    import duckdb

    try:
        connection = duckdb.connect(path or ":memory:", read_only=bool(path))
    except duckdb.Error as error:  # somebody writes to it
        raise ConnectionError(f"{path} can't be opened: {error}") from error
    with connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET file_search_path = $folder", {"folder": str(find_project_root())})
        yield _DuckDb(connection)
