#!/usr/bin/env bash
# metaflow 2.19.39 with pydantic 2.14.4: two tasks of a foreach each make a model of the same class with the same values,
# the join calls `merge_artifacts`, and Metaflow refuses: the artifact is said to be ambiguous although both are equal.
#
# Metaflow compares artifacts by the digest of their pickles. A pydantic model pickles `__pydantic_fields_set__`, a set of
# strings, whose order depends on the process' hash seed; so equal models have other bytes in each task. The same
# model made once and handed on is no conflict, which is why it shows only when a step makes its own.
#
# Seen: "merge: refused", and "equal: True" for the two models that it couldn't merge; a dictionary of the same
# values, made the same way, merges.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check metaflow==2.19.39 pydantic==2.14.4 setuptools==80.9.0
cat > "$place/flow.py" <<'PYTHON'
from metaflow import FlowSpec, step
from metaflow.exception import MetaflowException
from pydantic import BaseModel


class Options(BaseModel):
    alpha: int
    beta: int
    gamma: int
    delta: int
    epsilon: int
    zeta: int
    eta: int
    theta: int


VALUES = {name: number for number, name in enumerate(Options.model_fields)}


class Merge(FlowSpec):
    @step
    def start(self):
        self.parts = [1, 2]
        self.next(self.work, foreach="parts")

    @step
    def work(self):
        self.options = Options(**VALUES)
        self.plain = dict(VALUES)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs, include=["plain"])
        try:
            self.merge_artifacts(inputs, include=["options"])
            print("RESULT merge: accepted")
        except MetaflowException:
            print("RESULT merge: refused")
        print("RESULT equal:", inputs[0].options == inputs[1].options)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Merge()
PYTHON
cd "$place"
export USER=somebody METAFLOW_HOME="$place/home" METAFLOW_DEFAULT_DATASTORE=local METAFLOW_DEFAULT_METADATA=local
unset PYTHONHASHSEED
"$place/venv/bin/python" flow.py --no-pylint run > run.log 2>&1 || { tail -20 run.log; exit 1; }
grep -o 'RESULT .*' run.log | cut -c8- > seen
printf 'merge: refused\nequal: True\n' | diff - seen && echo "metaflow 2.19.39 with pydantic 2.14.4: as described"
