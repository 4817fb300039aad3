#!/usr/bin/env bash
# scikit-learn 1.9.1: skill scores compare a model with a constant that knows the mean of the labels. Where all labels are equal
# the constant makes no mistake. `r2_score`, `d2_absolute_error_score` and `d2_pinball_score` then say 0 for a model that is wrong;
# `d2_log_loss_score` divides by the machine's smallest step, 2.2e-16, and says -475 trillion for probabilities of 0.1,
# without a warning; `d2_brier_score` says -inf. A day, group or fold of a rare outcome that has none decides any mean over
# days, groups or folds, and a plot of it. The log loss of these rows is 0.105.
#
# Seen: ten labels 0, with probabilities of 0.1, by score.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/skill.py" <<'PYTHON'
import warnings

from sklearn import metrics

labels, scores = [0] * 10, [0.1] * 10
for name in ("r2_score", "d2_absolute_error_score", "d2_pinball_score", "d2_log_loss_score", "d2_brier_score", "log_loss"):
    classes = {"labels": [0, 1]} if name in ("d2_log_loss_score", "d2_brier_score", "log_loss") else {}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        score = getattr(metrics, name)(labels, scores, **classes)
    print(name, f"{score:.3g}", "warned" if warned else "silent")
PYTHON
"$place/venv/bin/python" "$place/skill.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "scikit-learn 1.9.1: as described"
r2_score 0 silent
d2_absolute_error_score 0 silent
d2_pinball_score 0 silent
d2_log_loss_score -4.75e+14 silent
d2_brier_score -inf warned
log_loss 0.105 silent
SEEN
