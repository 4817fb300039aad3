#!/usr/bin/env bash
# evidently 0.7.23, plotly 5.24.1: importing `evidently.legacy.ui.dashboards.utils` gives plotly's default template another
# list of colours, for the whole process, and `import evidently` imports that module. So a chart that a program draws
# itself has other colours once Evidently was imported anywhere in its process, and none of its own code says so.
#
# Seen: the first colour of a bar chart's layout before and after `import evidently`.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 plotly==5.24.1 pandas==2.3.3
cd "$place"
"$place/venv/bin/python" -W ignore - > seen <<'PYTHON'
import plotly.graph_objects as go
import plotly.io as pio


def read_colours():
    return go.Figure(go.Bar(y=[1])).layout.template.layout.colorway or pio.templates[pio.templates.default].layout.colorway


before = read_colours()
import evidently  # noqa: E402, F401

after = read_colours()
print(pio.templates.default, before == after)
print(before[0], after[0])
PYTHON
cat seen >&2
diff - seen <<'SEEN' && echo "evidently 0.7.23: as described"
plotly False
#636efa #ed0400
SEEN
