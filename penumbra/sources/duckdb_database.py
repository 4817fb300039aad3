"""DuckDB as a database that a source queries; what polars doesn't take from it is brought to what files have."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.project_root import find_project_root
from penumbra.core.text.masking import mask_text
from penumbra.sources.times.calendar_times import list_calendar_times


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
            return _read_relation(self.connection.sql(query, params=dict(parameters)))
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise ValueError(f"the query of the source fails: {mask_text(str(error))}") from None


def _read_relation(relation: Any) -> pl.DataFrame:
    """Its rows: durations, which polars doesn't take from arrow, in microseconds; no times beyond the calendar."""
    kinds = {_quote_name(name): str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
    if any("INTERVAL" in kind for kind in kinds.values()):
        written = {"INTERVAL": "(epoch({0}) * 1000000)::BIGINT AS {0}"}
        nested = {kind: "{0}::VARCHAR AS {0}" for kind in kinds.values() if "INTERVAL" in kind}
        forms = {**nested, **written}
        relation = relation.project(", ".join(forms.get(kind, "{0}").format(name) for name, kind in kinds.items()))
    rows = pl.DataFrame(relation.to_arrow_table())
    return rows.with_columns(
        *(pl.nth(n).cast(pl.Duration("us")) for n, kind in enumerate(kinds.values()) if kind == "INTERVAL"),
        *list_calendar_times(),
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
