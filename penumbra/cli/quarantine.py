"""`make quarantine`: the rows that were rejected, by batch and rule, with an example of each."""

import sys

import polars as pl

from penumbra.core.problem import ProblemError
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import SettingsError, load_settings
from penumbra.data.batches import STORED_PARTS, DataStore


def main() -> None:
    try:
        data = DataStore(load_settings().data, load_problem(STORED_PARTS))
    except (SettingsError, ProblemError) as error:
        sys.exit(str(error))
    print(describe_quarantine([frame for batch in data.batches() if (frame := data.quarantine(batch)).height]))


def describe_quarantine(rejected: list[pl.DataFrame]) -> str:
    """A block a batch, a line a rule: how many rows broke it, and the first of them as it arrived."""
    if not rejected:
        return "The quarantine is empty: every row of every batch keeps the contract."
    return "\n\n".join(_format_batch(rows) for rows in rejected)


def _format_batch(rows: pl.DataFrame) -> str:
    rules = rows.explode("broken").group_by("broken", maintain_order=True).agg(pl.len(), pl.exclude("broken").first())
    lines = [_format_rule(found) for found in rules.sort("len", descending=True).iter_rows(named=True)]
    return "\n".join([f"{rows['batch'][0]}: {rows.height:,} rows rejected", *lines])


def _format_rule(found: dict[str, object]) -> str:
    column = str(found["broken"]).split("|")[0]
    values = {name: value for name, value in found.items() if name not in ("batch", "row", "broken", "len")}
    shown = {column: values[column]} if column in values else values
    return f"  {found['broken']}: {found['len']:,} rows, the first is row {found['row']} with " + ", ".join(
        f"{name} = {value!r}" for name, value in shown.items()
    )


if __name__ == "__main__":
    main()
