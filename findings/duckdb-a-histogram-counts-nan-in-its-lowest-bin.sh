#!/usr/bin/env bash
# DuckDB 2.0.1: nan is larger than every number there, and is sorted, compared and found by `max` as such. `histogram(x, bins)`
# counts what is above the last bin under a key of its own, inf, and puts inf there. nan is counted in the lowest bin, as if it
# were smaller than all numbers; a last bin of inf doesn't take it either. `histogram_exact` counts it as above. NULL is left out.
#
# A profile of a column whose source begins to send nan so shows a rise of its smallest values, which is a drift of another kind.
# Count `isnan(x)` beside it, and filter.
#
# Seen: counts of 0.5, 1.5, inf, three nan and a NULL by bins with upper ends 1 and 2; and where nan is sorted.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
cat > "$place/bins.py" <<'PYTHON'
import duckdb

duckdb.sql("CREATE TABLE t AS SELECT unnest([0.5, 1.5, 'inf'::DOUBLE, 'nan'::DOUBLE, 'nan', 'nan', NULL]) AS x")
for call in (
    "histogram(x, [1.0, 2.0])",
    "histogram(x, [1.0, 2.0, 'inf'::DOUBLE])",
    "histogram_exact(x, [0.5, 1.5])",
    "list(x ORDER BY x)",
    "count(*) FILTER (x <= 1)",
):
    print(call, *duckdb.sql(f"SELECT {call} FROM t").fetchall()[0])
PYTHON
"$place/venv/bin/python" "$place/bins.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "DuckDB 2.0.1: as described"
histogram(x, [1.0, 2.0]) {1.0: 4, 2.0: 1, inf: 1}
histogram(x, [1.0, 2.0, 'inf'::DOUBLE]) {1.0: 4, 2.0: 1, inf: 1}
histogram_exact(x, [0.5, 1.5]) {0.5: 1, 1.5: 1, inf: 4}
list(x ORDER BY x) [0.5, 1.5, inf, nan, nan, nan, None]
count(*) FILTER (x <= 1) 1
SEEN
