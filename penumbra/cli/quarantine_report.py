"""The rows that were rejected, by batch and rule, with an example of each."""

import polars as pl

from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings
from penumbra.data.batches import DataStore


def read_quarantine(data: DataSettings, problem: Problem) -> list[pl.DataFrame]:
    """Read the rejected rows.

    Args:
        data: Where the batches are.
        problem: The user's folder; its schema and source are needed.

    Returns:
        A frame for each batch with rejected rows: "batch", "row" (from 1), "broken" (the rules), and the row's values.
    """
    store = DataStore(data, problem)
    return [frame for batch in store.batches() if (frame := store.quarantine(batch)).height]


def count_rejected_rows(rejected: list[pl.DataFrame]) -> dict[str, dict[str, int]]:
    """Count the rejected rows.

    Args:
        rejected: What `read_quarantine` returns.

    Returns:
        By batch and broken rule, the number of rows; a row may break several.
    """
    return {
        rows["batch"][0]: dict(rows.explode("broken").group_by("broken", maintain_order=True).len().iter_rows())
        for rows in rejected
    }


def describe_quarantine(rejected: list[pl.DataFrame]) -> str:
    """Describe the rejected rows.

    Args:
        rejected: What `read_quarantine` returns.

    Returns:
        A block for each batch, with a line for each rule: how many rows broke it, and the first of them as it arrived.
    """
    if not rejected:
        return "The quarantine is empty: every row of every batch keeps the contract."
    return "\n\n".join(_format_batch(rows) for rows in rejected)


def _format_batch(rows: pl.DataFrame) -> str:
    rules = rows.explode("broken").group_by("broken", maintain_order=True).agg(pl.len(), pl.exclude("broken").first())
    lines = [_format_rule(rule) for rule in rules.sort("len", descending=True).iter_rows(named=True)]
    return "\n".join([f"{rows['batch'][0]}: {rows.height:,} rows rejected", *lines])


def _format_rule(rule: dict[str, object]) -> str:
    column = str(rule["broken"]).split("|")[0]
    values = {name: value for name, value in rule.items() if name not in ("batch", "row", "broken", "len")}
    shown = {column: values[column]} if column in values else values
    return f"  {rule['broken']}: {rule['len']:,} rows, the first is row {rule['row']} with " + ", ".join(
        f"{name} = {value!r}" for name, value in shown.items()
    )
