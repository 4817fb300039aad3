"""Databases that a source queries: DuckDB by itself, all others through SQLAlchemy. Neither writes anything."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import polars as pl

from penumbra.core.project_root import find_project_root
from penumbra.core.text.masking import mask_address, mask_text
from penumbra.core.text.quoting import list_names
from penumbra.sources.duckdb_database import open_duckdb

VARIABLE = re.compile(r"\$\{(\w+)\}")
FILE_DATABASES = ("duckdb", "sqlite")
END_PATTERN = re.compile(r"\s*;(?:\s|;|--[^\n]*(?:\n|$)|/\*(?:(?!\*/).)*\*/)*$", re.DOTALL)


class Database(Protocol):
    """An open database."""

    marker: str
    """What a parameter's name begins with in a query."""

    def quote_name(self, name: str) -> str:
        """Quote the name of a column.

        Args:
            name: The name.

        Returns:
            The name as it stands in a query.
        """

    def embed_query(self, query: str) -> str:
        """Escape a query that has no parameters.

        Args:
            query: The query.

        Returns:
            The query as it can stand in one with parameters.
        """

    def read_table(self, query: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
        """Read the result of a query.

        Args:
            query: The query.
            parameters: The value of each parameter by its name without the marker.

        Returns:
            Its rows, with the columns of the query and the dtypes that the database gives.

        Raises:
            ValueError: The query fails.
        """

    def read_pieces(self, query: str, rows: int) -> Iterator[pl.DataFrame]:
        """Read the result of a query without parameters piece by piece.

        Args:
            query: The query.
            rows: About how many rows a piece has.

        Yields:
            The rows, as `read_table` has them; the dtype of a column is Null where a piece has no value of it.

        Raises:
            ValueError: The query fails.
        """


@contextlib.contextmanager
def open_database(url: str) -> Iterator[Database]:
    """Open a database for reading.

    Args:
        url: "duckdb://", "duckdb:///path" or an SQLAlchemy URL; `${NAME}` stands for an environment variable.

    Yields:
        The database, until the block ends.

    Raises:
        ConnectionError: A variable isn't set, or the database can't be reached or refuses the login.
        FileNotFoundError: The file of the database isn't there.
        ValueError: A query fails.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(fill_in_variables(url))
    except ArgumentError:
        raise ValueError(f"{mask_address(url)!r} is no address of a database: expected dialect://…") from None
    dialect, path = address.get_backend_name(), address.database
    if dialect in FILE_DATABASES and path and path != ":memory:":
        path = str(find_project_root() / path)
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no database {path}")
        address = address.set(database=path)
    with open_duckdb(path or "") if dialect == "duckdb" else _open_engine(address, url) as database:
        yield database


def fill_in_variables(url: str) -> str:
    """Fill environment variables into an address.

    Args:
        url: The address, with `${NAME}` where a variable stands.

    Returns:
        The address; what is filled into a part of it is escaped, so that a password may hold any character.

    Raises:
        ConnectionError: A variable isn't set, or is empty.
    """

    def find_value(found: re.Match[str]) -> str:
        if not (value := os.environ.get(found[1])):
            raise ConnectionError(f"the environment variable {found[1]} isn't set, which {url!r} takes")
        return value if found[0] == url else quote(value, safe="/:")

    return VARIABLE.sub(find_value, url)


def drop_statement_end(query: str) -> str:
    """Drop what ends a query.

    Args:
        query: The query.

    Returns:
        The query without semicolons at its end, and without comments after these.
    """
    return END_PATTERN.sub("", query.strip())


@dataclass
class _Engine:
    connection: Any
    marker: str = ":"

    def quote_name(self, name: str) -> str:
        return str(self.connection.dialect.identifier_preparer.quote_identifier(name)).replace(":", "\\:")

    def embed_query(self, query: str) -> str:
        return query.replace(":", "\\:")

    def read_table(self, query: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        try:
            result = self.connection.execute(text(query), dict(parameters))
            return _build_frame(list(result.keys()), [tuple(row) for row in result])
        except SQLAlchemyError as error:
            raise ValueError(f"the query of the source fails: {mask_text(str(error))}") from None

    def read_pieces(self, query: str, rows: int) -> Iterator[pl.DataFrame]:
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        try:
            streaming = self.connection.execution_options(stream_results=True, max_row_buffer=rows)
            result = streaming.execute(text(self.embed_query(query)))
            names = list(result.keys())
            yield _build_frame(names, [])
            for piece in result.partitions(rows):
                yield _build_frame(names, [tuple(row) for row in piece])
        except SQLAlchemyError as error:
            raise ValueError(f"the query fails: {mask_text(str(error))}") from None


@contextlib.contextmanager
def _open_engine(address: Any, url: str) -> Iterator[Database]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(address, poolclass=NullPool)
    except (ArgumentError, ImportError) as error:
        raise ValueError(f"{mask_address(url)} takes a driver that isn't installed: {error}") from None
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        text = mask_text(str(error)).partition("\n")[0]
        raise ConnectionError(f"{mask_address(url)} can't be reached: {text}") from error
    with connection:
        yield _Engine(connection)


def _build_frame(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    columns = {name: [row[n] for row in rows] for n, name in enumerate(names)}
    if len(columns) < len(names):
        raise ValueError(f"the query of the source names a column twice: it has {list_names(names)}")
    return pl.DataFrame({name: _build_series(values) for name, values in columns.items()})


def _build_series(values: list[Any]) -> pl.Series:
    """Values of one column; those of a type that no file has, such as UUID, as their text."""
    series = pl.Series(values, strict=False)
    if series.dtype == pl.Object:
        return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)
    return series
