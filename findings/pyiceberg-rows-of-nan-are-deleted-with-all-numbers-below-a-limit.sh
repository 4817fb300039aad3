#!/usr/bin/env bash
# PyIceberg 0.12.0, pyarrow 26.0.1: `delete("x < 5")` of an Iceberg table is to remove the rows that a scan with this filter
# gives. nan isn't less than 5, and the scan leaves such a row out. Where only a part of a file is to go, the file is written anew
# without that part, and the row of nan stays. A file whose least and largest number both fit the filter is dropped unread; these
# two leave nan out, and of nan PyIceberg keeps no count. So the row is lost where its file has no number that stays. Missing
# values are counted, and one null in the file saves both. Nothing warns. The docs say that rows are deleted that match the
# filter.
#
# A clean-up of small amounts so takes rows with it whose amount couldn't be computed, or leaves them, by what else was appended
# in one batch with them. With `x < 5 and x is not nan` they stay.
#
# Seen: what a scan with the filter gives, and what is left after a delete by it: of numbers that all fit beside nan, with some
# that don't, and with a null.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check "pyiceberg[sql-sqlite]==0.12.0" pyarrow==26.0.1
cat > "$place/rows.py" <<'PYTHON'
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

catalog = SqlCatalog("shop", uri=f"sqlite:///{sys.argv[1]}/catalog.db", warehouse=f"file://{sys.argv[1]}")
catalog.create_namespace("shop")
nan = float("nan")
for number, (condition, values) in enumerate(
    (condition, values)
    for condition in ("x < 5", "x > 0")
    for values in ([1.0, nan, 2.0], [1.0, nan, 2.0, -9.0, 9.0], [1.0, nan, 2.0, None])
):
    rows = pa.table({"x": pa.array(values, pa.float64())})
    table = catalog.create_table(f"shop.rows{number}", rows.schema)
    table.append(rows)
    scanned = table.scan(row_filter=condition).to_arrow()["x"].to_pylist()
    table.delete(condition)
    print(condition, values, "scan", scanned, "left", table.scan().to_arrow()["x"].to_pylist())
PYTHON
"$place/venv/bin/python" "$place/rows.py" "$place" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "PyIceberg 0.12.0: as described"
x < 5 [1.0, nan, 2.0] scan [1.0, 2.0] left []
x < 5 [1.0, nan, 2.0, -9.0, 9.0] scan [1.0, 2.0, -9.0] left [nan, 9.0]
x < 5 [1.0, nan, 2.0, None] scan [1.0, 2.0] left [nan, None]
x > 0 [1.0, nan, 2.0] scan [1.0, 2.0] left []
x > 0 [1.0, nan, 2.0, -9.0, 9.0] scan [1.0, 2.0, 9.0] left [nan, -9.0]
x > 0 [1.0, nan, 2.0, None] scan [1.0, 2.0] left [nan, None]
SEEN
