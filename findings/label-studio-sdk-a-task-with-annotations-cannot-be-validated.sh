#!/usr/bin/env bash
# label-studio-sdk 2.1.2: LabelInterface.validate_task takes a task as Label Studio exports or imports it, and calls
# validate_annotation and validate_prediction without what they are to validate. So every task that has the key
# "annotations" or "predictions" is a TypeError, also where their list is empty; a task with data alone is validated.
#
# Seen: True for data alone; for each of the two keys "missing 1 required positional argument".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2
"$place/venv/bin/python" - > "$place/seen" <<'PYTHON'
from label_studio_sdk.label_interface import LabelInterface

interface = LabelInterface(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="yes"/></Choices></View>'
)
for added in ({}, {"annotations": []}, {"predictions": []}):
    try:
        print(interface.validate_task({"data": {"text": "hello"}, **added}))
    except TypeError as error:
        print(error)
PYTHON
diff - "$place/seen" <<'SEEN' && echo "label-studio-sdk 2.1.2: as described"
True
LabelInterface.validate_annotation() missing 1 required positional argument: 'annotation'
LabelInterface.validate_prediction() missing 1 required positional argument: 'prediction'
SEEN
