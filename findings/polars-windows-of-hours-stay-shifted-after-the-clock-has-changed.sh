#!/usr/bin/env bash
# polars 2.1.0: `group_by_dynamic(every="6h")` on local times truncates the first time of the frame, and counts on from
# there. Once the clock has changed, the windows begin at 1, 7, 13 and 19 o'clock, for the rest of the frame. The same
# rows in a frame that begins after the change are grouped at 0, 6, 12 and 18 o'clock, where `dt.truncate("6h")` puts
# them in both.
#
# So the sums of a month depend on whether the frame begins in the winter or in the summer, and those that a daily job
# has written aren't those that it computes again over the whole year. `every="1d"` follows the calendar.
#
# Seen, for the hours of 1 April 2026 in Berlin: the hours at which windows begin, and what two of them sum.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/windows.py" <<'PYTHON'
import datetime as dt

import polars as pl

begin, end = dt.datetime(2026, 3, 28), dt.datetime(2026, 4, 1, 23)
frame = pl.DataFrame({"at": pl.datetime_range(begin, end, "1h", time_zone="Europe/Berlin", eager=True)})
frame = frame.with_columns(hour=pl.col("at").dt.hour())
day = frame.filter(pl.col("at").dt.date() == dt.date(2026, 4, 1))


def read_windows(windows: pl.DataFrame) -> list[tuple[int, int]]:
    """The hour at which each window of the day begins, with its sum."""
    windows = windows.filter(pl.col("at").dt.date() == dt.date(2026, 4, 1))
    return windows.select(pl.col("at").dt.hour(), "hour").rows()


for every in ("6h", "1d"):
    for name, rows in (("whole", frame), ("day", day)):
        truncated = rows.group_by(pl.col("at").dt.truncate(every), maintain_order=True).agg(pl.col("hour").sum())
        dynamic = rows.group_by_dynamic("at", every=every).agg(pl.col("hour").sum())
        print(every, name, "| dynamic", read_windows(dynamic), "| truncated", read_windows(truncated))
PYTHON
"$place/venv/bin/python" "$place/windows.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
6h whole | dynamic [(1, 21), (7, 57), (13, 93), (19, 105)] | truncated [(0, 15), (6, 51), (12, 87), (18, 123)]
6h day | dynamic [(0, 15), (6, 51), (12, 87), (18, 123)] | truncated [(0, 15), (6, 51), (12, 87), (18, 123)]
1d whole | dynamic [(0, 276)] | truncated [(0, 276)]
1d day | dynamic [(0, 276)] | truncated [(0, 276)]
SEEN
