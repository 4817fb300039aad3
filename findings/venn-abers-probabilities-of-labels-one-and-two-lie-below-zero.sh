#!/usr/bin/env bash
# venn-abers 1.5.4: `VennAbersCalibrator` calibrates the probabilities of any classifier from a calibration set, by
# `predict_proba(p_cal=..., y_cal=..., p_test=...)`, for two classes. scikit-learn's own classifiers take labels of 1 and 2, or -1
# and 1, which is which by their order, and so does the same calibrator around such a classifier. Given probabilities it computes
# with the labels themselves, as 0 and 1: with 1 and 2 "probabilities" run down to -7 and up to 8, and the class that `predict`
# says is 2 for each row; with -1 and 1 they are -5 and 5, or a plausible 0.21 and 0.79. Two columns add up to 1 as they should,
# and nothing warns. The page asks for labels of shape (n_samples,).
#
# Seen: the second class's probability, and the class, for three rows that are a bit less, evenly, and more likely of it: by
# labels, given probabilities and around a classifier.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  venn-abers==1.5.4 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > "$place/labels.py" <<'PYTHON'
import numpy as np
from sklearn.linear_model import LogisticRegression
from venn_abers import VennAbersCalibrator

draws = np.random.default_rng(0)
rows = draws.normal(size=(2000, 1))
positive = draws.random(2000) < 1 / (1 + np.exp(-2 * rows[:, 0]))
asked = np.array([[-1.0], [0.0], [1.0]])
for first, second in ((0, 1), (1, 2), (-1, 1)):
    labels = np.where(positive, second, first)
    classifier = LogisticRegression().fit(rows[:1000], labels[:1000])
    given = {
        "p_cal": classifier.predict_proba(rows[1000:]),
        "y_cal": labels[1000:],
        "p_test": classifier.predict_proba(asked),
    }
    calibrator = VennAbersCalibrator()
    answers = [f"{answer:.2f}" for answer in calibrator.predict_proba(**given)[:, 1]]
    classes = calibrator.predict(**given, one_hot=False).tolist()
    around = VennAbersCalibrator(LogisticRegression(), inductive=False, n_splits=3, random_state=0).fit(rows, labels)
    print(f"labels {first} and {second}:", *answers, f"classes {classes}, around a classifier:", end=" ")
    print(*(f"{answer:.2f}" for answer in around.predict_proba(asked)[:, 1]))
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore "$place/labels.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "venn-abers 1.5.4: as described"
labels 0 and 1: 0.09 0.49 0.89 classes [0, 0, 1], around a classifier: 0.09 0.49 0.87
labels 1 and 2: 1.07 1.88 8.42 classes [2, 2, 2], around a classifier: 0.09 0.49 0.87
labels -1 and 1: -4.50 -0.02 0.79 classes [-1, -1, 1], around a classifier: 0.09 0.49 0.87
SEEN
