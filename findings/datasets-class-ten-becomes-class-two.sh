#!/usr/bin/env bash
# datasets 5.2.0: `class_encode_column` makes a ClassLabel of a column, which `train_test_split(stratify_by_column=...)` asks for.
# Of whole numbers it makes texts first and counts these in the order of the alphabet. Up to ten classes 0 to 9 each keeps its
# number. With an eleventh, class 10 becomes 2, class 2 becomes 3, and all after it move; of labels 1 to 5 each is one less, of -1
# and 1 the two are 0 and 1. The column still holds whole numbers from 0 on, so that nothing looks wrong, and a model that was
# trained on the old numbers is right in the first two classes alone; a confusion with lists of names that are counted by the old
# numbers shows as a model that learned little. `features` knows the old number as the class's name. The docs say that values are
# casted to strings, and nothing of their order.
#
# Seen: what whole numbers become, and the accuracy of a model that predicts each label as it was, after a stratified split.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 numpy==2.4.6 pandas==2.3.3
cat > "$place/classes.py" <<'PYTHON'
import datasets

datasets.disable_progress_bars()
for labels in (range(10), range(12), range(1, 6), (-1, 1)):
    rows = datasets.Dataset.from_dict({"label": list(labels) * 20, "was": list(labels) * 20})
    encoded = rows.class_encode_column("label")
    pairs = zip(encoded["was"][: len(labels)], encoded["label"][: len(labels)], strict=True)
    test = encoded.train_test_split(test_size=0.5, stratify_by_column="label", seed=0)["test"]
    right = [was == label for was, label in zip(test["was"], test["label"], strict=True)]
    print(*(f"{was}>{label}" for was, label in pairs), f"right {sum(right) / len(right):.0%}")
PYTHON
HF_HUB_OFFLINE=1 "$place/venv/bin/python" "$place/classes.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "datasets 5.2.0: as described"
0>0 1>1 2>2 3>3 4>4 5>5 6>6 7>7 8>8 9>9 right 100%
0>0 1>1 2>4 3>5 4>6 5>7 6>8 7>9 8>10 9>11 10>2 11>3 right 17%
1>0 2>1 3>2 4>3 5>4 right 0%
-1>0 1>1 right 50%
SEEN
