#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: SimpleImputer(add_indicator=True) adds a column for each
# column with missing numbers, which says where they were. skl2onnx converts such an imputer without a word and leaves
# these columns out. In a pipeline the next step's coefficients are for more columns than there are; by itself the
# imputer answers with a narrower array. The numbers that it fills in are right.
#
# Seen, of two columns, of which the first has a missing number: the same rows by both.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/look.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.impute import SimpleImputer


def convert(model, rows):
    content = to_onnx(model, rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: rows})


rows = np.array([[1, 1], [np.nan, 2], [3, 4]], np.float32)
imputer = SimpleImputer(add_indicator=True).fit(rows)
print("scikit-learn", imputer.transform(rows).tolist())
print("ONNX", convert(imputer, rows)[0].tolist())
PYTHON
"$place/venv/bin/python" "$place/look.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
scikit-learn [[1.0, 1.0, 0.0], [2.0, 2.0, 1.0], [3.0, 4.0, 0.0]]
ONNX [[1.0, 1.0], [2.0, 2.0], [3.0, 4.0]]
SEEN
