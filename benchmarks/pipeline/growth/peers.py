"""What others take for the same rows, in a process of its own.

`python -m benchmarks.pipeline.growth.peers WAY ROWS FOLDER` takes them one way.
"""

import sys
from pathlib import Path

import polars as pl

from benchmarks.pipeline.ingest import COLUMN_LIMITS, INTEGER_COLUMNS, make_contract_check
from examples.flights import source as flights


def ingest_with_polars(raw: Path, folder: Path) -> None:
    """Parse and check the raw files below `raw`, and write good and bad rows into `folder` as Parquet, streaming."""
    numbers = [
        pl.col(name).cast(pl.Int32 if name in INTEGER_COLUMNS else pl.Float64, strict=False) for name in COLUMN_LIMITS
    ]
    for path in sorted(raw.rglob("flights.csv")):
        text = pl.scan_csv(path, glob=False, infer_schema=False, null_values=["", "NA"])
        rows = text.with_columns(flights.CONVERSIONS).with_columns(numbers)
        rows = rows.with_columns(make_contract_check().alias("valid"))
        parts = {"valid": rows.filter("valid"), "rejected": rows.filter(~pl.col("valid"))}
        sinks = [part.sink_parquet(folder / f"{name}-{path.parent.name}.parquet", lazy=True)
                 for name, part in parts.items()]  # fmt: skip
        pl.collect_all(sinks, engine="streaming")


def archive_with_polars(log: Path, folder: Path) -> None:
    """Write the lines of the prediction log in `log` into `folder` as Parquet, streaming."""
    pl.scan_ndjson(log / "predictions" / "*.jsonl").sink_parquet(folder / "plain.parquet")


def report_with_evidently(table: Path, _: Path) -> None:
    """Run Evidently's drift preset on the rows of the Parquet file `table`, the last fifth beside those before."""
    from benchmarks.pipeline.monitor.__main__ import read_profiled_rows, run_drift_preset

    rows = read_profiled_rows(table)
    run_drift_preset(rows[: -rows.height // 5], rows[-rows.height // 5 :])


WAYS = {"ingest": ingest_with_polars, "archive": archive_with_polars, "monitoring": report_with_evidently}

if __name__ == "__main__":
    WAYS[sys.argv[1]](*map(Path, sys.argv[2:]))
