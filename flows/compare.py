"""`make compare`: the latest experiments and training runs side by side, and what changed from each to the next."""

import json
import sys

from mlflow.exceptions import MlflowException

import settings
from flows.experiments.record import DESCRIBED
from stores.models import Models, Recorded
from training import comparison
from training.comparison import Compared


def main(last: str = "6") -> None:
    try:
        runs = Models(settings.load().registry).latest(_count(last))
    except (settings.SettingsError, MlflowException) as error:
        sys.exit(f"nothing can be compared: {error}")
    if not runs:
        sys.exit("Nothing to compare yet: `make experiment ONLY=…` or `make train` makes a run.")
    print(comparison.describe([_compared(run) for run in reversed(runs)]))


def _count(last: str) -> int:
    if not last.isdigit() or not 1 <= int(last) <= 1000:
        sys.exit(f"LAST is {last!r}: expected a number of runs, from 1 to 1000")
    return int(last)


def _compared(run: Recorded) -> Compared:
    described = {key: json.loads(run.tags[key]) for key in DESCRIBED}
    return Compared(run.id[:8], run.start, run.metrics, json.loads(run.tags["facts"]) | described)


if __name__ == "__main__":
    main(*sys.argv[1:])
