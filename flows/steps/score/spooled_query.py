"""The result of a query as a Parquet file: it is scored from there, so that a run that is resumed has the same rows."""

import tempfile
from pathlib import Path

import polars as pl

from penumbra.data.partitions.row_parts import RowParts
from penumbra.sources.databases import drop_statement_end, open_database
from penumbra.storage.atomic import write_aside

RESULT_FILE = "result.parquet"
ROWS_AT_ONCE = 1 << 16


def spool_query(url: str, query: str, folder: Path) -> Path:
    """Write the result of a query to a file, unless it is there already; memory doesn't grow with it.

    Args:
        url: The database, as `penumbra.sources.SqlQuery` has it.
        query: A `select`.
        folder: The folder of the file.

    Returns:
        The file.

    Raises:
        ConnectionError: The database can't be reached, refuses the login, or an environment variable isn't set.
        FileNotFoundError: The file of the database isn't there.
        ValueError: The query fails.
        OSError: The file can't be written.
    """
    path = folder / RESULT_FILE
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder, prefix=".pieces-") as pieces, write_aside(path) as aside:
            rows = RowParts(Path(pieces) / "rows")
            with open_database(url) as database:
                for piece in database.read_pieces(drop_statement_end(query), ROWS_AT_ONCE):
                    rows.add(piece)
            _join_pieces(rows, aside)
    return path


def _join_pieces(rows: RowParts, path: Path) -> None:
    try:
        pl.concat(rows.scan_each(), how="vertical_relaxed").sink_parquet(path, row_group_size=ROWS_AT_ONCE)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"a column of the query has values of several kinds ({reason}): cast it in the query"
        ) from None
