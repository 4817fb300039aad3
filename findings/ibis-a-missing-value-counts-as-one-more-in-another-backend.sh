#!/usr/bin/env bash
# ibis 12.0.0, DuckDB 2.0.1, polars 2.1.0: an expression of ibis is to mean the same wherever it runs. `nunique()` counts
# the distinct values without the missing one in DuckDB, and with it in polars. The remainder of -7 by 2 is -1 in DuckDB, by
# the sign of the dividend, and 1 in polars, by that of the divisor. 0.25 to one decimal is 0.3 and 0.2. `max()` is nan in
# DuckDB where a nan is among the numbers, and the largest number in polars. Nothing warns, and no option chooses.
#
# Tests of features that run in polars so pass with numbers that the warehouse doesn't give: a bucket by a remainder is
# another one for each negative key.
#
# Seen: four expressions over the same file, by backend.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  "ibis-framework[duckdb,polars]==12.0.0" duckdb==2.0.1 polars==2.1.0 pyarrow==25.0.1 pandas==2.3.3 numpy==2.4.6 \
  sqlglot==30.30.0
cd "$place"
cat > backends.py <<'PYTHON'
import ibis
import polars as pl

pl.DataFrame(
    {"key": [-7, -3, 0, 3, 7], "place": ["a", "b", None, "b", None], "rate": [0.25, 0.35, -0.25, 1.25, float("nan")]}
).write_parquet("rows.parquet")
for name, backend in (("duckdb", ibis.duckdb.connect()), ("polars", ibis.polars.connect())):
    rows = backend.read_parquet("rows.parquet")
    numbers = rows.select("key", remainder=rows.key % 2, rounded=rows.rate.round(1)).to_pyarrow().sort_by("key")
    print(f"{name}: distinct {rows.place.nunique().to_pyarrow()}, remainders {numbers['remainder'].to_pylist()},", end=" ")
    print(f"rounded {[str(number) for number in numbers['rounded'].to_pylist()]}, max {rows.rate.max().to_pyarrow()}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore backends.py > seen
diff - seen <<'SEEN' && echo "ibis 12.0.0: as described"
duckdb: distinct 2, remainders [-1, -1, 0, 1, 1], rounded ['0.3', '0.3', '-0.3', '1.3', 'nan'], max nan
polars: distinct 3, remainders [1, 1, 0, 1, 1], rounded ['0.2', '0.4', '-0.2', '1.2', 'nan'], max 1.25
SEEN
