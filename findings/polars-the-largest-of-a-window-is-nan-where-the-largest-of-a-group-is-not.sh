#!/usr/bin/env bash
# polars 2.1.0: `max` and `min` leave out nan (`nan_max` does not), and so do those over groups, lists, arrays, windows of
# `rolling(...).agg(...)` and running ones. `rolling_max`, `rolling_min` and their `_by` forms give nan for each window that holds
# one, about which they say nothing. Quantiles do a third thing: nan is the largest number, so that quantile 1 of a column is nan
# where its `max` is a number, and one nan moves the median upwards.
#
# A feature that is written as a rolling maximum for training and as a maximum of the last rows for serving so has two values.
#
# Seen: the largest and smallest of each two neighbours of 1, nan, 3, 4, by way of asking; and what a whole column gives.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/largest.py" <<'PYTHON'
import polars as pl

x = pl.col("x")
rows = pl.DataFrame({"row": range(4), "x": [1.0, float("nan"), 3.0, 4.0]})
windows = rows.rolling("row", period="2i")
print("rolling_max   ", rows["x"].rolling_max(2, min_samples=1).to_list())
print("rolling_max_by", rows.select(x.rolling_max_by("row", "2i"))["x"].to_list())
print("rolling, max  ", windows.agg(x.max())["x"].to_list())
print("rolling_min   ", rows["x"].rolling_min(2, min_samples=1).to_list())
print("rolling, min  ", windows.agg(x.min())["x"].to_list())
print("column: max", rows["x"].max(), "quantile 1", rows["x"].quantile(1.0), "median", rows["x"].median())
PYTHON
"$place/venv/bin/python" "$place/largest.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
rolling_max    [1.0, nan, nan, 4.0]
rolling_max_by [1.0, nan, nan, 4.0]
rolling, max   [1.0, 1.0, 3.0, 4.0]
rolling_min    [1.0, nan, nan, 3.0]
rolling, min   [1.0, 1.0, 3.0, 3.0]
column: max 4.0 quantile 1 nan median 3.5
SEEN
