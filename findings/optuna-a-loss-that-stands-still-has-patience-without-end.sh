#!/usr/bin/env bash
# Optuna 5.0.0: `PatientPruner` lets another pruner decide only once a trial hasn't improved for `patience` steps, says its
# page. What it asks is whether the best of the last steps is worse than the best before them, by more than `min_delta`. A loss
# that stands still is not worse: it is never pruned, however bad it is, and neither is one that falls by a millionth, whatever
# `min_delta` says. One that rises is let through for longer the larger `min_delta` is. A loss of nan, as of a trial that has
# diverged, has no end either. Nothing warns.
#
# Wrapped so, a search runs its worst trials, those that learn nothing, to their last step.
#
# Seen: after a trial with a loss of 1, the steps of 20 that others were given, by the median pruner alone, and with a patience
# of 2.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check optuna==5.0.0
cd "$place"
cat > patience.py <<'PYTHON'
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
losses = {
    "first": lambda step: 1.0,
    "stands still": lambda step: 5.0,
    "falls by a millionth": lambda step: 5.0 - step * 1e-6,
    "rises by 0.05": lambda step: 5.0 + step * 0.05,
    "rises by 0.5": lambda step: 5.0 + step * 0.5,
    "nan": lambda step: float("nan"),
}


def run_trial(trial):
    for step in range(20):
        trial.report(list(losses.values())[trial.number](step), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return list(losses.values())[trial.number](0) if trial.number < 5 else 9.0


median = optuna.pruners.MedianPruner(n_startup_trials=1)
for name, pruner in (
    ("median", median),
    ("patience 2", optuna.pruners.PatientPruner(median, patience=2)),
    ("patience 2, min_delta 0.2", optuna.pruners.PatientPruner(median, patience=2, min_delta=0.2)),
):
    study = optuna.create_study(pruner=pruner)
    study.optimize(run_trial, n_trials=len(losses))
    print(name, {name: len(trial.intermediate_values) for name, trial in zip(losses, study.trials, strict=True)})
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore patience.py > seen
diff - seen <<'SEEN' && echo "Optuna 5.0.0: as described"
median {'first': 20, 'stands still': 1, 'falls by a millionth': 1, 'rises by 0.05': 1, 'rises by 0.5': 1, 'nan': 1}
patience 2 {'first': 20, 'stands still': 20, 'falls by a millionth': 20, 'rises by 0.05': 4, 'rises by 0.5': 4, 'nan': 20}
patience 2, min_delta 0.2 {'first': 20, 'stands still': 20, 'falls by a millionth': 20, 'rises by 0.05': 8, 'rises by 0.5': 4, 'nan': 20}
SEEN
