#!/usr/bin/env bash
# Metaflow 2.19.39, local metadata: a run whose step raised has ended, and its client never says so. `finished_at` of the
# run stays None and `finished` False, as in a run that still runs; nothing tells the two apart but the processes. The
# failed task has a `finished_at`, though its `finished` is False, too.
#
# Seen: "run False None, task False with an end"; of a run that succeeded "run True with an end, task True with an end".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check metaflow==2.19.39
cat > "$place/flow.py" <<'PYTHON'
import os

from metaflow import FlowSpec, step


class SmallFlow(FlowSpec):
    @step
    def start(self):
        if os.environ["OUTCOME"] == "fails":
            raise ValueError("a fault")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    SmallFlow()
PYTHON
cat > "$place/look.py" <<'PYTHON'
from metaflow import Flow, namespace

namespace(None)
run = Flow("SmallFlow").latest_run
task = run["start"].task


def describe(each):
    return f"{each.finished} {'None' if each.finished_at is None else 'with an end'}"


print(f"run {describe(run)}, task {describe(task)}")
PYTHON
cd "$place"
export METAFLOW_USER=somebody METAFLOW_DEFAULT_METADATA=local METAFLOW_DEFAULT_DATASTORE=local
export OUTCOME
for OUTCOME in fails succeeds; do
  venv/bin/python flow.py --quiet run > output 2>&1 || true
  venv/bin/python look.py
done > seen
printf 'run False None, task False with an end\nrun True with an end, task True with an end\n' | diff - seen && echo "Metaflow 2.19.39: as described"
