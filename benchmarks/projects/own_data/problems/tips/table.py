"""244 meals of plotly's tips data."""

import polars as pl

from benchmarks.projects.own_data.problems.tables import read_package_table, spread_over_days

from .schema import TIME


def load_table() -> pl.DataFrame:
    """The meals, with Booleans in words of their own."""
    table = read_package_table("plotly", "package_data/datasets/tips.csv.gz")
    return table.select(
        pl.lit(spread_over_days(table.height)).alias(TIME),
        pl.col("total_bill").alias("total bill ($)"),
        "sex",
        pl.col("smoker").replace_strict({"Yes": "true", "No": "false"}),
        "day",
        "time",
        "size",
        "tip",
    )
