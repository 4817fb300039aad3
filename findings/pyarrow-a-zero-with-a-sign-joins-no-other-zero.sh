#!/usr/bin/env bash
# pyarrow 25.0.1: `equal` says that 0.0 and -0.0 are equal. As keys they are two: `join` finds no partner, `group_by` makes two
# groups, `unique` and `is_in` tell them apart, while nan, equal to nothing, joins nan. -0.0 comes from rounding small negative
# numbers and from multiplying 0 by a negative one, and is printed as 0 by many tools. polars and DuckDB have one group of both.
#
# Rows are lost from a join, or a share counted twice, where one side of two was rounded. Adding 0.0 to the column takes the sign.
#
# Seen: -0.3 rounded as a key against 0.0, by way of comparing; then after adding 0.0.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==25.0.1 polars==2.1.0 duckdb==2.0.1
cat > "$place/zeros.py" <<'PYTHON'
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

keys = pc.round(pa.array([-0.3, 0.3]))
zero = pa.table({"key": [0.0], "found": [True]})
for name, column in (("rounded", keys), ("plus 0.0", pc.add(keys, 0.0))):
    table = pa.table({"key": column})
    frame = pl.from_arrow(table)
    print(name, "| equal", pc.all(pc.equal(column, 0.0)), "| in", pc.is_in(column, pa.array([0.0])).to_pylist(), end=" ")
    print("| joined", table.join(zero, "key", join_type="inner").num_rows, "of 2", end=" ")
    print("| groups", table.group_by("key").aggregate([]).num_rows, end=" ")
    print("| of polars", frame["key"].n_unique(), end=" ")
    print("| of DuckDB", len(duckdb.sql("FROM frame SELECT DISTINCT key").fetchall()))
PYTHON
"$place/venv/bin/python" "$place/zeros.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "pyarrow 25.0.1: as described"
rounded | equal True | in [False, True] | joined 1 of 2 | groups 2 | of polars 1 | of DuckDB 1
plus 0.0 | equal True | in [True, True] | joined 2 of 2 | groups 1 | of polars 1 | of DuckDB 1
SEEN
