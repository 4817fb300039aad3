#!/usr/bin/env bash
# cloudpickle 3.1.3: a class of a script or notebook is saved by value, with the object. Where the same process loads that
# object, it finds the class again, so that `isinstance` holds, and then sets each attribute of the class, methods too, to
# what it was when the object was saved. Reading an old object so changes all the objects that live: a threshold that was
# moved meanwhile, or a method that was mended, is the old one again. Nothing is assigned to, nothing warns, and the result
# of loading can be thrown away. pickle, which looks the class up by its name, changes nothing; a class of an imported
# module isn't touched by either.
#
# A service or notebook that compares today's model with yesterday's, loaded beside it, compares the old rules with
# themselves.
#
# Seen: the decisions of an object about 0.7 by a threshold of 0.9, before and after an object is loaded that was saved at
# 0.5.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check cloudpickle==3.1.3
cd "$place"
cat > threshold.py <<'PYTHON'
import pickle

import cloudpickle


class Model:
    """Decides by a threshold that all models share."""

    threshold = 0.5

    def decide(self, probability):
        return probability > self.threshold


for library in (pickle, cloudpickle):
    Model.threshold = 0.5
    saved = library.dumps(Model())
    Model.threshold = 0.9
    model = Model()
    before = model.decide(0.7), Model.threshold
    library.loads(saved)
    print(library.__name__, "before", before, "after", (model.decide(0.7), Model.threshold))
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore threshold.py > seen
diff - seen <<'SEEN' && echo "cloudpickle 3.1.3: as described"
pickle before (False, 0.9) after (False, 0.9)
cloudpickle before (False, 0.9) after (True, 0.5)
SEEN
