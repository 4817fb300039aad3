"""178 bottles of scikit-learn's wine data."""

import polars as pl

from benchmarks.projects.own_data.problems.tables import read_package_table, spread_over_days

from .schema import CULTIVARS, TIME

TAKEN = {0: "alcohol", 1: "malic_acid", 11: "od280/od315_of_diluted_wines", 12: "proline", 13: "cultivar"}


def load_table() -> pl.DataFrame:
    """Four measures, a key of cellar and bottle, and the cultivar."""
    table = read_package_table("sklearn", "datasets/data/wine_data.csv", [TAKEN.get(n, str(n)) for n in range(14)])
    number = pl.int_range(pl.len())
    return table.select(
        (number % 3).replace_strict({0: "a", 1: "b", 2: "c"}).alias("cellar"),
        (number // 3).cast(pl.String).alias("bottle"),
        pl.lit(spread_over_days(table.height)).alias(TIME),
        *[name for name in TAKEN.values() if name != "cultivar"],
        pl.col("cultivar").replace_strict({str(n): name for n, name in enumerate(CULTIVARS)}),
    )
