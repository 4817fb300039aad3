#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: Normalizer leaves a row of zeros as it is. ONNX's own
# operator does, too, but takes float32 alone; for float64 skl2onnx writes a division in its place, which makes such a
# row nan. A converter that is tried in single precision passes, and the same model in double precision, which is what
# is chosen for exactness, answers nan for each row of zeros.
#
# Seen, of a row of zeros: scikit-learn, ONNX, by two norms in both precisions.
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
from sklearn.preprocessing import Normalizer


def convert(model, rows):
    content = to_onnx(model, rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: rows})


for norm in ("l1", "l2"):
    for dtype in (np.float32, np.float64):
        rows = np.array([[0, 0], [3, 4]], dtype)
        normalizer = Normalizer(norm).fit(rows)
        answers = normalizer.transform(rows), convert(normalizer, rows)[0]
        print(norm, dtype.__name__, *(answer[0].tolist() for answer in answers))
PYTHON
"$place/venv/bin/python" "$place/look.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
l1 float32 [0.0, 0.0] [0.0, 0.0]
l1 float64 [0.0, 0.0] [nan, nan]
l2 float32 [0.0, 0.0] [0.0, 0.0]
l2 float64 [0.0, 0.0] [nan, nan]
SEEN
