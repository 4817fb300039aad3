#!/usr/bin/env bash
# vl-convert-python 1.9.0: a bar from `x` to `x2`, both temporal on a scale of type "utc". Marks and axis are in UTC
# whatever the machine's time zone, and so is the begin in the label that screen readers get; the end is in local time.
#
# A bar that ends on 5 May at midnight UTC is announced as ending on 4 May in New York. A `description` of one's own
# replaces the label.
#
# Seen: TZ=UTC "a: May 04, 2013; b: May 05, 2013"; TZ=America/New_York "a: May 04, 2013; b: May 04, 2013".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check vl-convert-python==1.9.0
cat > "$place/bar.py" <<'PYTHON'
import re

import vl_convert

bar = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"a": "2013-05-04T00:00:00Z", "b": "2013-05-05T00:00:00Z"}]},
    "mark": "bar",
    "encoding": {
        "x": {"field": "a", "type": "temporal", "scale": {"type": "utc"}},
        "x2": {"field": "b"},
        "y": {"value": 5},
    },
}
print(re.findall(r'aria-label="(a: [^"]*)"', vl_convert.vegalite_to_svg(bar))[0])
PYTHON
for zone in UTC America/New_York; do TZ=$zone "$place/venv/bin/python" "$place/bar.py"; done > "$place/seen"
printf 'a: May 04, 2013; b: May 05, 2013\na: May 04, 2013; b: May 04, 2013\n' | diff - "$place/seen" \
  && echo "vl-convert-python 1.9.0: as described"
