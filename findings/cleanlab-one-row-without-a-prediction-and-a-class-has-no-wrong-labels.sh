#!/usr/bin/env bash
# cleanlab 2.9.0: `find_label_issues` finds labels that are likely wrong, from predicted probabilities out of sample. A row counts
# as belonging to another class where its probability of that is above what the class's own rows have on average. One row whose
# probabilities are nan, as where one fold failed or a feature was missing, makes that average nan for the class of its label, and
# nothing is above nan: no wrong label is found any more whose true class it is, among however many rows. One such row in each
# class, and no label is wrong and the label health is 1, the best there is. So it is by each `filter_by` but
# "predicted_neq_given". Nothing is raised or logged, where scikit-learn refuses nan, and cleanlab itself checks other properties
# of its input, such as the range.
#
# Seen, of 300 rows with 30 wrong labels: how many are found, of what true class, and the label health; as it is, with a row of
# nan in one class, and in each class.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  cleanlab==2.9.0 numpy==2.4.6 pandas==2.3.3 scikit-learn==1.9.1 scipy==1.17.1
cat > "$place/labels.py" <<'PYTHON'
import numpy as np
from cleanlab.dataset import overall_label_health_score
from cleanlab.filter import find_label_issues

true = np.repeat([0, 1, 2], 100)
labels = true.copy()
for first in (0, 100, 200):
    labels[first : first + 10] = (labels[first : first + 10] + 1) % 3
predicted = np.where(true[:, None] == [0, 1, 2], 0.8, 0.1)
for name, rows in (("as it is", []), ("nan in class 0", [50]), ("nan in each class", [50, 150, 250])):
    gaps = predicted.copy()
    gaps[rows] = np.nan
    found = find_label_issues(labels, gaps, n_jobs=1)
    health = overall_label_health_score(labels, gaps, verbose=False)
    print(f"{name}: found {found.sum()}, by true class {np.bincount(true[found], minlength=3).tolist()}, health {health:.2f}")
kinds = ("both", "confident_learning", "prune_by_class", "low_normalized_margin", "low_self_confidence", "predicted_neq_given")
for kind in kinds:
    print(f"nan in each class, {kind}:", find_label_issues(labels, gaps, n_jobs=1, filter_by=kind).sum())
try:
    find_label_issues(labels, predicted + 0.5, n_jobs=1)
except ValueError as error:
    print("out of range:", type(error).__name__)
PYTHON
"$place/venv/bin/python" -W error::RuntimeWarning "$place/labels.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "cleanlab 2.9.0: as described"
as it is: found 30, by true class [10, 10, 10], health 0.90
nan in class 0: found 20, by true class [0, 10, 10], health 0.93
nan in each class: found 0, by true class [0, 0, 0], health 1.00
nan in each class, both: 0
nan in each class, confident_learning: 0
nan in each class, prune_by_class: 0
nan in each class, low_normalized_margin: 0
nan in each class, low_self_confidence: 0
nan in each class, predicted_neq_given: 32
out of range: ValueError
SEEN
