#!/usr/bin/env bash
# pandera 0.35.0, polars 2.1.0: a schema with `drop_invalid_rows=True` returns the rows that are valid. For frames of polars it
# drops what a column's own rule refuses, `unique=True` of a column too. What `unique=["order", "item"]` of the schema refuses,
# rows that have the same key, it keeps, and returns the frame as valid, without an error or a warning. The same schema without
# `drop_invalid_rows` raises, for the rows that were just returned as well; so the option makes a rule go that was there. For
# frames of pandas the same schema drops them.
#
# Sums over orders then count what was delivered twice, behind a check of just that. Call `unique` on the frame before.
#
# Seen: of four rows, two with one key and one below zero: which amounts are returned, and whether they pass the schema without
# dropping, by polars and by pandas; and with the key in one column, as a rule of the column.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  "pandera[polars]==0.35.0" polars==2.1.0 pandas==2.3.3 numpy==2.4.6
cat > "$place/keys.py" <<'PYTHON'
import pandas
import pandera.pandas
import pandera.polars
import polars

rows = {"order": [1, 1, 2, 3], "item": [7, 7, 7, 7], "amount": [5.0, 6.0, -7.0, 8.0]}
for frame, of in ((polars.DataFrame(rows), pandera.polars), (pandas.DataFrame(rows), pandera.pandas)):
    for name, key, unique in (("of the schema", of.Column(int), ["order", "item"]), ("of a column", of.Column(int, unique=True), None)):
        columns = {"order": key, "item": of.Column(int), "amount": of.Column(float, of.Check.gt(0))}
        dropping = of.DataFrameSchema(columns, unique=unique, drop_invalid_rows=True)
        kept = dropping.validate(frame, lazy=True)
        try:
            of.DataFrameSchema(columns, unique=unique).validate(kept, lazy=True)
            verdict = "valid"
        except of.errors.SchemaErrors:
            verdict = "invalid"
        print(type(frame).__module__.partition(".")[0], "unique", name, list(kept["amount"]), verdict)
PYTHON
"$place/venv/bin/python" "$place/keys.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "pandera 0.35.0: as described"
polars unique of the schema [5.0, 6.0, 8.0] invalid
polars unique of a column [8.0] valid
pandas unique of the schema [8.0] valid
pandas unique of a column [8.0] valid
SEEN
