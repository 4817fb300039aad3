#!/usr/bin/env bash
# narwhals 2.29.0, pyarrow 25.0.1: one expression, `nw.col("x").median()`. Over a whole table of pyarrow it is the median,
# with the mean of the middle two for an even count, as over frames of polars and pandas. In `group_by(...).agg(...)` over
# such a table it is pyarrow's approximate median, which of two values is the smaller: the median of 1 and 9 is 1. Nothing
# warns. Its page says that results may differ slightly between backends; here one backend has two, and one of them is no
# median.
#
# Medians of pairs, as of a control and a treatment, or of two answers for each case, so are minima.
#
# Seen: the medians of three groups and of the whole, by backend.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  narwhals==2.29.0 pyarrow==25.0.1 polars==2.1.0 pandas==2.3.3 numpy==2.4.6
cd "$place"
cat > medians.py <<'PYTHON'
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa

columns = {"group": ["a", "a", "b", "b", "b", "b", "c"], "x": [1.0, 9.0, 2.0, 4.0, 6.0, 100.0, 5.0]}
median = nw.col("x").median()
for library, table in (("pandas", pd.DataFrame(columns)), ("polars", pl.DataFrame(columns)), ("pyarrow", pa.table(columns))):
    frame = nw.from_native(table)
    groups = frame.group_by("group").agg(median).sort("group")
    print(library, "of groups", groups["x"].to_list(), "of all", float(frame.select(median)["x"][0]))
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore medians.py > seen
diff - seen <<'SEEN' && echo "narwhals 2.29.0: as described"
pandas of groups [5.0, 5.0, 5.0] of all 5.0
polars of groups [5.0, 5.0, 5.0] of all 5.0
pyarrow of groups [1.0, 5.0, 5.0] of all 5.0
SEEN
