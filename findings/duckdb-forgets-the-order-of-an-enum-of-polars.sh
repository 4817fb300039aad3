#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0, pandas 2.3.3: a query over a frame of pandas takes an ordered categorical for an ENUM,
# which has the order of its categories. Of the same column as an Enum of polars DuckDB makes text, which has that of
# the alphabet: "low" lies between "high" and "medium". Nothing is raised; maximum, order and ranks are others, and so
# is the row that is kept of each group.
#
# Seen, of low < medium < high: the largest, and all in order, by polars and by DuckDB over each frame.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pandas==2.3.3 pyarrow==25.0.1
cat > "$place/order.py" <<'PYTHON'
import duckdb
import pandas as pd
import polars as pl

levels = ["low", "medium", "high"]
of_polars = pl.DataFrame({"level": pl.Series(levels, dtype=pl.Enum(levels))})
of_pandas = pd.DataFrame({"level": pd.Categorical(levels, categories=levels, ordered=True)})


def query(frame: str) -> tuple[str, str, list[str]]:
    """The type of the column, the largest level and all in order, as DuckDB sees them."""
    kinds, largest = duckdb.sql(f"select typeof(level), max(level) over () from {frame}").fetchall()[0]
    return kinds, largest, [level for (level,) in duckdb.sql(f"select level from {frame} order by level").fetchall()]


print("polars", (of_polars["level"].max(), of_polars["level"].sort().to_list()))
print("DuckDB, frame of pandas", query("of_pandas"))
print("DuckDB, frame of polars", query("of_polars"))
PYTHON
"$place/venv/bin/python" "$place/order.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "duckdb 2.0.1, polars 2.1.0: as described"
polars ('high', ['low', 'medium', 'high'])
DuckDB, frame of pandas ("ENUM('low', 'medium', 'high')", 'high', ['low', 'medium', 'high'])
DuckDB, frame of polars ('VARCHAR', 'medium', ['high', 'low', 'medium'])
SEEN
