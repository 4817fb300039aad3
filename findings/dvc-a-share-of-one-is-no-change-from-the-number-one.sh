#!/usr/bin/env bash
# DVC 3.67.1: a stage names the parameters that it depends on, and runs again where one has another value. Values are compared
# as Python compares them: 1, 1.0 and true are equal there, as are 0, 0.0 and false. To scikit-learn they aren't: max_features
# is a number of columns where whole and a share of all where not, 1 and 1.0 the two ends. `dvc params diff` shows no change,
# `dvc status` says that all is up to date, and `dvc repro` keeps the model of the old value beside the new one in params.yaml.
# With true for 1 it is the same. DVC's pages say that a stage runs when a parameter has changed.
#
# Seen: what the stage was last run with, after each change of the file; 2 is seen as a change, 2.0 after it isn't.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1
export PATH="$place/venv/bin:$PATH" DVC_NO_ANALYTICS=1
mkdir "$place/project"
cd "$place/project"
git init --quiet
dvc init --quiet
cat > dvc.yaml <<'YAML'
stages:
  train:
    cmd: cat params.yaml > model
    params: [max_features]
    outs: [model]
YAML
for value in 1 1.0 true 2; do
  echo "max_features: $value" > params.yaml
  dvc repro --quiet
  git add .
  git -c user.name=a -c user.email=a@b commit --quiet --message "$value"
  echo "params.yaml $value, model $(cut -d ' ' -f 2 model)" >> "$place/seen"
done
echo "max_features: 2.0" > params.yaml
echo "2.0 for 2: params diff '$(dvc params diff)', status '$(dvc status)'" >> "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "DVC 3.67.1: as described"
params.yaml 1, model 1
params.yaml 1.0, model 1
params.yaml true, model 1
params.yaml 2, model 2
2.0 for 2: params diff '', status 'Data and pipelines are up to date.'
SEEN
