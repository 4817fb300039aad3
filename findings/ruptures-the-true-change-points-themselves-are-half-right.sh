#!/usr/bin/env bash
# ruptures 1.1.10: `metrics.precision_recall` counts which change points were found within a margin, of 10 rows unless told
# otherwise. Each true point takes all found ones that are within its margin, and they are lost to the next true point. Where two
# changes lie less than the margin apart, as a step that takes some rows or a burst have it, the true list compared with itself
# has a precision and a recall of 0.5; four such points have 0.25. To find one of the two is then rated better than to find both.
# The margin is called the allowed error in points, and an error of just so many isn't allowed: with a margin of 1, off by one is
# a miss. `hausdorff` and `randindex` of the same lists say that they are equal.
#
# Seen: precision and recall, distance and Rand index of true change points by themselves, far apart and close; of one of two
# close ones alone; and of a point found 10 rows too late.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check ruptures==1.1.10 numpy==2.4.6 scipy==1.17.1
cat > "$place/itself.py" <<'PYTHON'
from ruptures.metrics import hausdorff, precision_recall, randindex

for truth, found in (
    ([100, 150, 300], [100, 150, 300]),
    ([100, 105, 300], [100, 105, 300]),
    ([100, 103, 106, 109, 300], [100, 103, 106, 109, 300]),
    ([100, 105, 300], [100, 300]),
    ([100, 300], [110, 300]),
):
    shares = "{:.2f} {:.2f}".format(*precision_recall(truth, found))
    print(f"{truth[:-1]} by {found[:-1]}: {shares} {hausdorff(truth, found):.0f} {randindex(truth, found):.2f}")
PYTHON
"$place/venv/bin/python" -W error "$place/itself.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "ruptures 1.1.10: as described"
[100, 150] by [100, 150]: 1.00 1.00 0 1.00
[100, 105] by [100, 105]: 0.50 0.50 0 1.00
[100, 103, 106, 109] by [100, 103, 106, 109]: 0.25 0.25 0 1.00
[100, 105] by [100]: 1.00 0.50 5 0.98
[100] by [110]: 0.00 0.00 10 0.94
SEEN
