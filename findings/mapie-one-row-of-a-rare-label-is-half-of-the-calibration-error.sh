#!/usr/bin/env bash
# mapie 1.6.0: the top-label calibration error of Gupta and Ramdas, which `top_label_ece` cites, is an average over rows: how far
# confidence is from the frequency of being right, given the label that was predicted. mapie averages over labels instead, each
# counted the same. One row in a thousand with another label than all the others is half of the result, and with it a model that
# is right as often as it says, to a thousandth, has an error of 0.30. By rows it is 0.0006, as `expected_calibration_error` says.
# So the number depends on how rare the rarest prediction is, and jumps when one more label is predicted for the first time.
#
# Seen: 1,000 rows at 99 percent of which 990 are right: both errors, as they are and with one row predicted as the other label.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check mapie==1.6.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/label.py" <<'PYTHON'
import numpy as np
from mapie.metrics.calibration import expected_calibration_error, top_label_ece

labels = np.repeat([1, 0], [10, 990])
probabilities = np.tile([0.99, 0.01], (1000, 1))
for last in ([0.99, 0.01], [0.4, 0.6]):
    probabilities[-1] = last
    right = (labels == probabilities.argmax(axis=1)).astype(int)
    print(f"{top_label_ece(labels, probabilities):.4f} {expected_calibration_error(right, probabilities):.4f}")
PYTHON
"$place/venv/bin/python" -W error "$place/label.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "mapie 1.6.0: as described"
0.0000 0.0000
0.3000 0.0006
SEEN
