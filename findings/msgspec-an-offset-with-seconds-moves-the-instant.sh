#!/usr/bin/env bash
# msgspec 0.22.0 writes a datetime whose offset from UTC has seconds, as the local mean times before standard time have
# (zoneinfo's Africa/Monrovia until 1972, Europe/Amsterdam until 1937), with the offset cut to minutes and the wall time
# left as it is. So what is read back is another instant. Its msgpack extension for timestamps, which is in UTC, keeps it.
#
# Seen: 1970-01-01T12:00:00-00:44:30 becomes "1970-01-01T12:00:00-00:44", 30 seconds earlier; by msgpack it is equal.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0 tzdata==2026.3
"$place/venv/bin/python" - > "$place/seen" <<'PYTHON'
import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

time = dt.datetime(1970, 1, 1, 12, tzinfo=ZoneInfo("Africa/Monrovia"))
text = msgspec.json.encode(time)
back = msgspec.json.decode(text, type=dt.datetime)
print(time.isoformat(), text.decode(), (back - time).total_seconds())
print(msgspec.msgpack.decode(msgspec.msgpack.encode(time), type=dt.datetime) == time)
PYTHON
printf '1970-01-01T12:00:00-00:44:30 "1970-01-01T12:00:00-00:44" -30.0\nTrue\n' | diff - "$place/seen" && echo "msgspec 0.22.0: as described"
