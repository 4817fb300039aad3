#!/usr/bin/env bash
# pyarrow 25.0.1, pandas 2.3.3: a filter for nan, `is_nan(x)` or `x != 1`, over a Parquet file in which all the other
# numbers of a row group are equal, as those of a sensor that stands still. The statistics of the file, which leave nan
# out, say that the least and the largest are 1; pyarrow takes x for the constant 1 then and drops the row group unread.
# The same filter over the table in memory finds the rows, and so it does in the file once a second number is in the row
# group, but for conditions that no number in the file's range fulfils, such as `~(x > 0)`. `pandas.read_parquet(...,
# filters=...)` goes the same way.
#
# Seen: the rows found in memory, in the file and by pandas, of [1, 1, nan] and of [1, 2, nan].
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==25.0.1 pandas==2.3.3 numpy==2.4.6
cd "$place"
cat > filters.py <<'PYTHON'
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

x, nan = pc.field("x"), float("nan")
for numbers in ([1.0, 1.0, nan], [1.0, 2.0, nan]):
    table = pa.table({"x": numbers})
    pq.write_table(table, "numbers.parquet")
    for name, which in (("is_nan(x)", pc.is_nan(x)), ("x != 1", x != 1), ("~(x > 0)", ~(x > 0))):
        in_file = pq.read_table("numbers.parquet", filters=which).num_rows
        by_pandas = len(pd.read_parquet("numbers.parquet", filters=which))
        print(numbers, "|", name, "| memory", table.filter(which).num_rows, "| file", in_file, "| pandas", by_pandas)
PYTHON
"$place/venv/bin/python" filters.py > seen
diff - seen <<'SEEN' && echo "pyarrow 25.0.1: as described"
[1.0, 1.0, nan] | is_nan(x) | memory 1 | file 0 | pandas 0
[1.0, 1.0, nan] | x != 1 | memory 1 | file 0 | pandas 0
[1.0, 1.0, nan] | ~(x > 0) | memory 1 | file 0 | pandas 0
[1.0, 2.0, nan] | is_nan(x) | memory 1 | file 1 | pandas 1
[1.0, 2.0, nan] | x != 1 | memory 2 | file 2 | pandas 2
[1.0, 2.0, nan] | ~(x > 0) | memory 1 | file 0 | pandas 0
SEEN
