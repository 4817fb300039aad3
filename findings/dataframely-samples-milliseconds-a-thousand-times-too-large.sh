#!/usr/bin/env bash
# dataframely 3.1.2 with polars 2.1.0: `Schema.sample` of a `Datetime(time_unit="ms")` column draws the numbers of a
# column of microseconds and takes them for milliseconds: times lie up to eight million years away.
#
# The rows pass the schema's own validation, as no bounds are given, so a test with sampled rows meets the fault only
# where it asks such a time for its year (null) or turns it into Python's datetime (out of range).
#
# Seen: with one seed "ms" and "us" columns hold the same integers; none of 100 millisecond times has a year that
# Python's datetime could hold, all 100 microsecond times have.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check dataframely==3.1.2 polars==2.1.0
cat > "$place/sample.py" <<'PYTHON'
import datetime as dt

import dataframely as dy
import polars as pl


class Milliseconds(dy.Schema):
    at = dy.Datetime(time_unit="ms", nullable=False)


class Microseconds(dy.Schema):
    at = dy.Datetime(time_unit="us", nullable=False)


drawn = {
    schema: schema.sample(100, generator=dy.random.Generator(1))["at"].cast(pl.Int64).to_list()
    for schema in (Milliseconds, Microseconds)
}
print("same integers:", drawn[Milliseconds] == drawn[Microseconds])
begin, end = (moment.replace(tzinfo=dt.timezone.utc).timestamp() for moment in (dt.datetime(1, 1, 2), dt.datetime.max))
for schema, unit in ((Milliseconds, 1_000), (Microseconds, 1_000_000)):
    print(f"{schema.__name__} in Python's years:", sum(begin <= number / unit <= end for number in drawn[schema]))
PYTHON
"$place/venv/bin/python" "$place/sample.py" > "$place/seen"
printf 'same integers: True\nMilliseconds in Python'"'"'s years: 0\nMicroseconds in Python'"'"'s years: 100\n' \
  | diff - "$place/seen" && echo "dataframely 3.1.2: as described"
