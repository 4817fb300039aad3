#!/usr/bin/env bash
# metaflow 2.19.39: metaflow/tuple_util.py puts the class ForeachFrame, which each task of a foreach keeps on its stack, into
# whatever module is `__main__` when metaflow is imported first, and says it lives there. A process that imports metaflow and
# runs a flow's file as `__main__` afterwards, as runpy.run_path does, has another `__main__` by then: the flow's first
# steps run, and its foreach ends in an AttributeError as the runner reads what the task before it has kept. A flow
# without a foreach runs.
#
# Seen: the same file gives its total when Python runs it, and fails when a script that has imported metaflow does. It
# works there, too, once the class is handed on to the new `__main__` as the first thing.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check metaflow==2.19.39 setuptools==80.9.0
export METAFLOW_HOME="$place/home" METAFLOW_DEFAULT_DATASTORE=local METAFLOW_DATASTORE_SYSROOT_LOCAL="$place/store"
export USERNAME=somebody PYTHONWARNINGS=ignore
cat > "$place/squares.py" <<'END'
from metaflow import FlowSpec, step


class Squares(FlowSpec):
    @step
    def start(self):
        self.numbers = [1, 2]
        self.next(self.square, foreach="numbers")

    @step
    def square(self):
        self.value = self.input**2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.value for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        print("the total is", self.total)


if __name__ == "__main__":
    Squares()
END
cat > "$place/outer.py" <<'END'
import runpy
import sys

import metaflow
from metaflow.tuple_util import ForeachFrame

handed = {"ForeachFrame": ForeachFrame} if sys.argv.pop(1) == "handed" else {}
sys.argv[0] = "squares.py"
runpy.run_path("squares.py", handed, run_name="__main__")
END
cat > "$place/expected" <<'END'
by itself: the total is 5
by a script: Can't get attribute 'ForeachFrame' on <module '__main__' from 'squares.py'>
by a script that hands it on: the total is 5
END
cd "$place"
python="$place/venv/bin/python"
tell() { { "$@" 2>&1 || true; } | grep -oE "the total is .*|Can't get attribute .*" | head -1; }
{
  echo "by itself: $(tell "$python" squares.py --quiet run)"
  echo "by a script: $(tell "$python" outer.py plain --quiet run)"
  echo "by a script that hands it on: $(tell "$python" outer.py handed --quiet run)"
} > seen
diff expected seen && echo "metaflow 2.19.39: as described"
