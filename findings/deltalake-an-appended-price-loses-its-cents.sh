#!/usr/bin/env bash
# deltalake 1.6.6: `write_deltalake(..., mode="append")` of a table whose column has another type than the table's own casts
# it, though nothing asks for that (`schema_mode` is left at None). Floats that are appended to integers lose what is behind
# the point, and a text is read as a number, without an error or a warning. A table that was begun with whole numbers, as
# prices of a first day without cents have, so rounds all later days down. A number too large for the type is an error, and
# so is a column that is missing. Its page says of an append that the schema must match; pyarrow's own cast refuses to cut a
# fraction off.
#
# Seen: what is read back of 1.9 and 2.99, and of "7", appended to integers; pyarrow's answer to the same cast.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==25.0.1
cd "$place"
cat > append.py <<'PYTHON'
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

for name, values in (("floats", [1.9, 2.99]), ("text", ["7"])):
    appended = pa.table({"price": values})
    write_deltalake(name, pa.table({"price": [1, 2]}))
    write_deltalake(name, appended, mode="append")
    table = pa.table(DeltaTable(name).to_pyarrow_table())
    print(name, values, "| read", sorted(table["price"].to_pylist()), table.schema.field("price").type)
try:
    pa.table({"price": [1.9, 2.99]}).cast(pa.schema({"price": pa.int64()}))
except pa.ArrowInvalid as error:
    print("pyarrow:", error)
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore append.py > seen
diff - seen <<'SEEN' && echo "deltalake 1.6.6: as described"
floats [1.9, 2.99] | read [1, 1, 2, 2] int64
text ['7'] | read [1, 2, 7] int64
pyarrow: Float value 1.900000 was truncated converting to int64
SEEN
