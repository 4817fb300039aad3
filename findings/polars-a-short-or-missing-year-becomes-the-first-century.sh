#!/usr/bin/env bash
# polars 2.1.0: `str.to_date` with `%Y` takes a year of two digits for a year of the first century, and a day and a month
# that run together for both. A text that lacks what the format asks for isn't null under `strict=False` and no error
# otherwise, it is a date two thousand years ago.
#
# With "%d.%m.%Y", "31.3.24" is 31 March 24; with "%b %d %Y", "Mar 2024" is 20 March 24: its year is split into day 20 and
# year 24. Python's strptime refuses both. Who finds formats by trying has to bound the years.
#
# Seen: [datetime.date(24, 3, 31), datetime.date(24, 3, 20)] and from strptime two ValueErrors.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/years.py" <<'PYTHON'
import datetime as dt

import polars as pl

pairs = [("31.3.24", "%d.%m.%Y"), ("Mar 2024", "%b %d %Y")]
print([pl.Series([text]).str.to_date(form).item() for text, form in pairs])
for text, form in pairs:
    try:
        print(dt.datetime.strptime(text, form))
    except ValueError:
        print("ValueError")
PYTHON
"$place/venv/bin/python" "$place/years.py" > "$place/seen"
printf '[datetime.date(24, 3, 31), datetime.date(24, 3, 20)]\nValueError\nValueError\n' | diff - "$place/seen" \
  && echo "polars 2.1.0: as described"
