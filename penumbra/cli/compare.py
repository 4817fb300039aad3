"""`make compare`: the latest experiments and training runs side by side, and what changed from each to the next."""

import json
import sys

from mlflow.exceptions import MlflowException

from flows.steps.train.run_record import JSON_TAG_FACTS
from penumbra.core.settings import SettingsError, load_settings
from penumbra.registry.models import ModelRegistry, RecordedRun
from penumbra.training import comparison
from penumbra.training.comparison import ComparedRun


def main(last: str = "6") -> None:
    try:
        runs = ModelRegistry(load_settings().registry).find_latest_runs(_parse_run_count(last))
    except (SettingsError, MlflowException) as error:
        sys.exit(f"nothing can be compared: {error}")
    if not runs:
        sys.exit("Nothing to compare yet: `make experiment ONLY=…` or `make train` makes a run.")
    print(comparison.describe_runs([_to_compared_run(run) for run in reversed(runs)]))


def _parse_run_count(last: str) -> int:
    if not last.isdigit() or not 1 <= int(last) <= 1000:
        sys.exit(f"LAST is {last!r}: expected a number of runs, from 1 to 1000")
    return int(last)


def _to_compared_run(run: RecordedRun) -> ComparedRun:
    described = {key: json.loads(run.tags[key]) for key in JSON_TAG_FACTS}
    return ComparedRun(run.id[:8], run.start, run.metrics, json.loads(run.tags["facts"]) | described)


if __name__ == "__main__":
    main(*sys.argv[1:])
