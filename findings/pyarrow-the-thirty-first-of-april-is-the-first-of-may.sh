#!/usr/bin/env bash
# pyarrow 26.0.1: `compute.strptime` and the `timestamp_parsers` of its CSV reader take any day up to 31 for any month: 31 April
# becomes 1 May, 29 February 2023 becomes 1 March. With `error_is_null=True`, which is there to find such texts, there is no null
# either, as there is for day 32 or month 13. pandas' `read_csv(engine="pyarrow")` inherits it, and pandas' own engine leaves the
# same column as text. A cast from text to timestamp raises. The docs say that the format follows C's strptime; that the date isn't
# checked they don't say. Two formats tried in turn, day first or month first, make dates of what neither means.
#
# Seen: each text by strptime and by a cast, a CSV file by pyarrow, and the type of the column by pandas' two engines.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
cat > "$place/days.py" <<'PYTHON'
import io

import pandas as pd
import pyarrow as pa
from pyarrow import compute, csv

for text in ("2024-04-30", "2024-04-31", "2023-02-29", "2024-02-31", "2024-01-32"):
    parsed = compute.strptime(pa.array([text]), format="%Y-%m-%d", unit="s", error_is_null=True)[0].as_py()
    try:
        cast = pa.array([text]).cast(pa.timestamp("s"))[0].as_py().date()
    except pa.ArrowInvalid:
        cast = "raises"
    print(text, parsed and parsed.date(), cast)
content = b"day\n30/04/2024\n31/04/2024\n"
table = csv.read_csv(io.BytesIO(content), convert_options=csv.ConvertOptions(timestamp_parsers=["%d/%m/%Y"]))
print([day.date().isoformat() for day in table["day"].to_pylist()])
for engine in ("pyarrow", "c"):
    frame = pd.read_csv(io.BytesIO(content), engine=engine, parse_dates=["day"], date_format="%d/%m/%Y")
    print(engine, frame["day"].dtype, str(frame["day"][1])[:10])
PYTHON
"$place/venv/bin/python" -W ignore "$place/days.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "pyarrow 26.0.1: as described"
2024-04-30 2024-04-30 2024-04-30
2024-04-31 2024-05-01 raises
2023-02-29 2023-03-01 raises
2024-02-31 2024-03-02 raises
2024-01-32 None raises
['2024-04-30', '2024-05-01']
pyarrow datetime64[s] 2024-05-01
c str 31/04/2024
SEEN
