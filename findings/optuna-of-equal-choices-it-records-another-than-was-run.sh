#!/usr/bin/env bash
# Optuna 5.0.0: `suggest_categorical` gives one of the choices, and the study keeps its place among them, which it looks up by
# equality. In Python 1, 1.0 and True are equal, as are 0, 0.0 and False: the trial runs with the one drawn, the study records
# the first that is equal. `best_params` then isn't what had the best value. In scikit-learn 1 and 1.0 mean different
# things: max_features, max_samples and min_samples_leaf are a number of columns or rows where whole, a share of them where not.
# The samplers learn from what is recorded too, so the two are one to them. Nothing warns when such choices are given.
#
# Seen: an objective that is 1 for 1.0 and 0 for 1, maximized: the best value is 1, the best choice is the whole number, and trials
# of one recorded choice have two values. Texts, as "one" and "all", are recorded as they were run.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check optuna==5.0.0
cat > "$place/choices.py" <<'PYTHON'
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
for choices in ([1, 1.0], [False, 0.0], ["one", "all"]):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_categorical("max_features", choices) is choices[1], n_trials=20)
    recorded = {(repr(trial.params["max_features"]), trial.value) for trial in study.trials}
    print(choices, "| best", study.best_value, study.best_params, "| recorded", *sorted(recorded))
PYTHON
"$place/venv/bin/python" -W error "$place/choices.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "Optuna 5.0.0: as described"
[1, 1.0] | best 1.0 {'max_features': 1} | recorded ('1', 0.0) ('1', 1.0)
[False, 0.0] | best 1.0 {'max_features': False} | recorded ('False', 0.0) ('False', 1.0)
['one', 'all'] | best 1.0 {'max_features': 'all'} | recorded ("'all'", 1.0) ("'one'", 0.0)
SEEN
