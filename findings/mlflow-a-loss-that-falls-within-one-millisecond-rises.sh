#!/usr/bin/env bash
# mlflow 3.17.2, SQLite: values of one metric at one step and time are ordered by their size, not as they come. A loss
# that is logged as it falls, in one `log_batch` without steps, as a callback does that collects them, or within one
# millisecond, is kept as one that rises: its history is turned round, and the run's own value, which searches and model
# pages take, is the first and worst. Of an accuracy that falls, it is the best.
#
# Seen: of a loss of 3, 2, 1 the history [1, 2, 3] and the run's value 3; with steps [3, 2, 1] and 1. A later call, with
# the same time, doesn't replace it either.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check mlflow==3.17.2 pandas==2.3.3 numpy==2.4.6
cd "$place"
cat > falling.py <<'PYTHON'
from mlflow import MlflowClient
from mlflow.entities import Metric

client = MlflowClient("sqlite:///runs.db")
experiment = client.create_experiment("falling", artifact_location="artifacts")
for name, steps in (("without steps", (0, 0, 0)), ("with steps", (0, 1, 2))):
    run = client.create_run(experiment).info.run_id
    losses = [Metric("loss", loss, 1_700_000_000_000, step) for loss, step in zip((3.0, 2.0, 1.0), steps, strict=True)]
    client.log_batch(run, metrics=losses)
    history = [metric.value for metric in client.get_metric_history(run, "loss")]
    print(name, "| history", history, "| run", client.get_run(run).data.metrics["loss"], end=" | ")
    client.log_metric(run, "loss", 0.5, timestamp=1_700_000_000_000, step=steps[-1])
    print("after another 0.5", client.get_run(run).data.metrics["loss"])
PYTHON
MLFLOW_DISABLE_TELEMETRY=true "$place/venv/bin/python" falling.py > seen 2> errors || cat errors
diff - seen <<'SEEN' && echo "mlflow 3.17.2: as described"
without steps | history [1.0, 2.0, 3.0] | run 3.0 | after another 0.5 3.0
with steps | history [3.0, 2.0, 1.0] | run 1.0 | after another 0.5 1.0
SEEN
