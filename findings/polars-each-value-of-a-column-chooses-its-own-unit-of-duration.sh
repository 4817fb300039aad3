#!/usr/bin/env bash
# polars 2.1.0: a series of `Duration("ms")` takes a timedelta that is too long for microseconds in 64 bits, and takes
# one of a second; a list with both it refuses, in either order, though milliseconds hold both. Each value is first turned
# into a unit of its own, microseconds where that fits, and the units of one list must agree. `strict=False` helps.
#
# Seen: each alone is kept; together TypeError "unexpected value while building Series of type Duration".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$place/venv/bin/python" - > "$place/seen" <<'PYTHON'
import datetime as dt

import polars as pl

long, short = dt.timedelta(days=300_000_000), dt.timedelta(seconds=1)
for values in ([long], [short], [long, short], [short, long]):
    try:
        print(pl.Series(values, dtype=pl.Duration("ms")).to_list() == values)
    except TypeError as error:
        print("TypeError", str(error).partition("(")[0])
print(pl.Series([long, short], dtype=pl.Duration("ms"), strict=False).to_list() == [long, short])
PYTHON
refused='TypeError unexpected value while building Series of type Duration'
printf 'True\nTrue\n%s\n%s\nTrue\n' "$refused" "$refused" | diff - "$place/seen" && echo "polars 2.1.0: as described"
