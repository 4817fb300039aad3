#!/usr/bin/env bash
# skops 0.16.0: `dumps` takes an object that holds a `collections.deque`, and `loads` gives it back with an empty one,
# whose `maxlen` is gone as well; an array of a subclass of numpy's comes back without a number, its shape taken for its
# content. Both classes have to be named as trusted, and neither step says a word. What skops can't save it refuses
# elsewhere. So a transformer that keeps its last values, such as a moving sum, predicts something else once it was
# saved; MLflow 3 saves scikit-learn models by skops unless told otherwise. pickle keeps both.
#
# Seen: 3 values and maxlen 5 become 0 and None; [0 1 2] becomes an array of shape (0, 1, 2); a sum of 12.0 becomes 0.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check skops==0.16.0 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/moving.py" <<'PYTHON'
import pickle
import warnings
from collections import deque

import numpy as np
from skops import io
from sklearn.base import BaseEstimator

warnings.simplefilter("error")


class Quantities(np.ndarray):
    """Numbers with a class of their own."""


class MovingSum(BaseEstimator):
    """Predicts the sum of the last five targets."""

    def fit(self, rows, targets):
        self.last_ = deque(targets, maxlen=5)
        return self

    def predict(self, rows):
        return np.full(len(rows), sum(self.last_))


def save_by_skops(thing):
    content = io.dumps(thing)
    return io.loads(content, trusted=io.get_untrusted_types(data=content))


model, numbers = MovingSum().fit([[0]] * 3, [3.0, 4.0, 5.0]), np.arange(3).view(Quantities)
for save in (save_by_skops, lambda thing: pickle.loads(pickle.dumps(thing))):
    loaded, array = save(model), save(numbers)
    print(len(loaded.last_), loaded.last_.maxlen, loaded.predict([[0]]), type(array).__name__, array.shape)
PYTHON
"$place/venv/bin/python" "$place/moving.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skops 0.16.0: as described"
0 None [0] Quantities (0, 1, 2)
3 5 [12.] Quantities (3,)
SEEN
