"""569 masses of scikit-learn's breast cancer data."""

import polars as pl

from benchmarks.projects.own_data.problems.tables import read_package_table, spread_over_days

from .schema import MEASURES, TIME


def load_table() -> pl.DataFrame:
    """The first eight measures, and the outcome."""
    columns = [*(f"mean {name}" for name in MEASURES), *map(str, range(22)), "malignant"]
    table = read_package_table("sklearn", "datasets/data/breast_cancer.csv", columns)
    return table.select(
        pl.lit(spread_over_days(table.height)).alias(TIME),
        *columns[: len(MEASURES)],
        pl.when(pl.col("malignant") == "0").then(pl.lit("true")).otherwise(pl.lit("false")).alias("malignant"),
    )
