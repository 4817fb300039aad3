#!/usr/bin/env bash
# river 0.26.1: `metrics.ROCAUC` is an approximation by thresholds, said to be ten and enough in practice. They are spread evenly
# from 0 to 1, whatever the scores. For a rare outcome all probabilities lie below the first of them, the curve is a straight line
# and the area 0.5, to the last digit, for any model: calibrated scores that rank as well as those of a common outcome look like
# chance. Fraud, clicks and failures are of that kind. More thresholds cure it; nothing warns.
#
# Seen: 10,000 calibrated scores spread evenly below 0.5 and below 0.05: the area by ten thresholds, by a thousand, and by
# scikit-learn.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check river==0.26.1 scikit-learn==1.9.1 pandas==2.3.3
cat > "$place/rare.py" <<'PYTHON'
import random

from river import metrics
from sklearn.metrics import roc_auc_score

draws = random.Random(0)
for largest in (0.5, 0.05):
    scores = [largest * draws.random() for _ in range(10_000)]
    labels = [draws.random() < score for score in scores]
    measures = metrics.ROCAUC(), metrics.ROCAUC(n_thresholds=1000)
    for label, score in zip(labels, scores, strict=True):
        for measure in measures:
            measure.update(label, score)
    print(f"below {largest}:", *(f"{area:.3f}" for area in (*(m.get() for m in measures), roc_auc_score(labels, scores))))
PYTHON
"$place/venv/bin/python" "$place/rare.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "river 0.26.1: as described"
below 0.5: 0.711 0.721 0.721
below 0.05: 0.500 0.678 0.678
SEEN
