"""442 patients of scikit-learn's diabetes data."""

import polars as pl

from benchmarks.projects.own_data.problems.tables import read_package_table, spread_over_days

from .schema import TIME

MEASURES = ["label", "sex", "score", "value", "s1", "s2", "s3", "s4", "model", "s6"]


def load_table() -> pl.DataFrame:
    """Five of the measures, and the progression."""
    table = read_package_table("sklearn", "datasets/data/diabetes_data_raw.csv.gz", MEASURES, separator=" ")
    outcome = read_package_table("sklearn", "datasets/data/diabetes_target.csv.gz", ["prediction"], separator=" ")
    return table.select(
        pl.int_range(pl.len()).cast(pl.String).alias("id"),
        pl.lit(spread_over_days(table.height) + "Z").alias(TIME),
        pl.col("sex").cast(pl.Float64).cast(pl.Int8).cast(pl.String),
        pl.col("label").cast(pl.Float64).cast(pl.Int16).cast(pl.String),
        "score",
        "value",
        "model",
        outcome["prediction"],
    )
