#!/usr/bin/env bash
# polars 2.1.0: DataFrame.write_json ends at the first chunk without rows. A frame of several chunks, such as pl.concat makes of
# one frame a day, keeps its chunks in a lazy filter; where one of them has no row left, what follows it is missing from
# the array, which is valid JSON. Nothing is raised. Height, dicts, CSV and newline-delimited JSON have all rows, and so
# has write_json after rechunk().
#
# Seen: four rows in three chunks, of which the second is empty: two records as JSON, four everywhere else.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/days.py" <<'END'
import json

import polars as pl

days = pl.concat(pl.DataFrame({"day": [day, day], "n": [2 * day, 2 * day + 1]}) for day in range(3))
kept = days.lazy().filter(pl.col("day") != 1).collect()
print("rows in each chunk:", [len(chunk) for chunk in kept["n"].get_chunks()])
print("rows:", kept.height)
print("dicts:", len(kept.to_dicts()))
print("lines of CSV:", len(kept.write_csv(include_header=False).splitlines()))
print("lines of newline-delimited JSON:", len(kept.write_ndjson().splitlines()))
print("records of JSON:", json.loads(kept.write_json()))
print("records of JSON after rechunk():", len(json.loads(kept.rechunk().write_json())))
END
cat > "$place/expected" <<'END'
rows in each chunk: [2, 0, 2]
rows: 4
dicts: 4
lines of CSV: 4
lines of newline-delimited JSON: 4
records of JSON: [{'day': 0, 'n': 0}, {'day': 0, 'n': 1}]
records of JSON after rechunk(): 4
END
"$place/venv/bin/python" "$place/days.py" > "$place/seen"
diff "$place/expected" "$place/seen" && echo "polars 2.1.0: as described"
