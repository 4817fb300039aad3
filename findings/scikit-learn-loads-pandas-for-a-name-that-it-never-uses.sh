#!/usr/bin/env bash
# scikit-learn 1.9.1: sklearn/utils/fixes.py imports pandas where it is installed, as `pd`, and uses that name nowhere: the one
# function there that takes pandas has it as an argument. So `import sklearn.base`, and with it every estimator, loads pandas
# with its hundreds of modules into each process, frames or not. The rest of scikit-learn takes care not to: it asks for
# pandas where a frame arrives or is wanted.
#
# Seen: pandas is loaded after `import sklearn.base`. Where that one import is kept from finding it, a model learns from a
# frame, knows its columns and gives one back as without.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 pandas==2.3.3
cat > "$place/plain.py" <<'END'
import ast
import inspect
import sys

import sklearn.base
import sklearn.utils.fixes as fixes

print("pandas is loaded:", "pandas" in sys.modules)
tree = ast.parse(inspect.getsource(fixes))
taking = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and "pd" in [arg.arg for arg in each.args.args]]
inside = {id(node) for function in taking for node in ast.walk(function)}
reads = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "pd" and isinstance(n.ctx, ast.Load)]
print("the module reads that name:", any(id(node) not in inside for node in reads))
END
cat > "$place/without.py" <<'END'
import sys

sys.modules["pandas"] = None
import sklearn.base

del sys.modules["pandas"]
loaded = len(sys.modules)
import pandas
from sklearn.preprocessing import StandardScaler

print("modules that come with pandas:", "hundreds" if len(sys.modules) - loaded > 300 else len(sys.modules) - loaded)
scaler = StandardScaler().set_output(transform="pandas")
scaled = scaler.fit_transform(pandas.DataFrame({"a": [0.0, 2.0]}))
print("frames work without it:", scaled.to_dict("list"), list(scaler.feature_names_in_))
END
cat > "$place/expected" <<'END'
pandas is loaded: True
the module reads that name: False
modules that come with pandas: hundreds
frames work without it: {'a': [-1.0, 1.0]} ['a']
END
for script in plain without; do "$place/venv/bin/python" "$place/$script.py"; done > "$place/seen"
diff "$place/expected" "$place/seen" && echo "scikit-learn 1.9.1: as described"
