"""A small table of orders, and the rows of a source's batches."""

import polars as pl

from penumbra.sources import TableFiles

ORDERS_CSV = "number,ordered_at,note\n1,2024-01-31T23:59:59,a\n2,2024-02-01T00:00:00,b\n3,2024-01-02T08:00:00,c\n"


def read_batches(source: TableFiles) -> dict[str, pl.DataFrame]:
    """Read all batches of a source.

    Args:
        source: The source.

    Returns:
        The rows of each, by the batch's name.
    """
    return {batch.name: source.parse(source.fetch(batch.name)).lazy().collect() for batch in source.batches()}
