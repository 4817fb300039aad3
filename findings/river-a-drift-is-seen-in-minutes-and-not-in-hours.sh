#!/usr/bin/env bash
# river 0.26.1: the docs of `drift.ADWIN` speak of a test at a significance level, of two parts of a window with equal means. Its
# bound has a term that belongs to values from 0 to 1 and doesn't grow or shrink with them, though the docs don't ask for such
# values and their example has numbers up to 7. Durations whose mean moves by one standard deviation are an alarm after 47 values
# in seconds, after fifteen times as many in minutes, and never in hours, of the very same numbers; so are errors of shares. KSWIN
# finds them in any unit. Scale values to a spread of one first.
#
# Seen: after how many values the shift is found, by unit, by ADWIN and by KSWIN.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check river==0.26.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > "$place/units.py" <<'PYTHON'
import numpy as np
from river import drift

draws = np.random.default_rng(0)
values = np.concatenate([draws.normal(size=2000), draws.normal(loc=1.0, size=2000)])
for unit, factor in {"milliseconds": 1000, "seconds": 1, "minutes": 1 / 60, "hours": 1 / 3600}.items():
    found = []
    for detector in (drift.ADWIN(), drift.KSWIN(alpha=0.0001, seed=0)):
        alarms = []
        for number, value in enumerate(values):
            detector.update(factor * value)
            if detector.drift_detected:
                alarms.append(number - 2000)
        found.append(next((alarm for alarm in alarms if alarm >= 0), "never"))
    print(unit, *found)
PYTHON
"$place/venv/bin/python" "$place/units.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "river 0.26.1: as described"
milliseconds 47 34
seconds 47 34
minutes 687 34
hours never 34
SEEN
