"""The charts of the overview, and why it lacks one: what its values take, and what no window had."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from monitoring.dashboard.overview.window_charts import (
    MAX_CHART_WINDOWS,
    WindowChart,
    build_kept_charts,
    find_judged_comparisons,
)
from monitoring.windows.window_records import Window

MATURE_LABELS = "no window had mature labels of all its rows, on two days or more (labels.delay_hours)"
UNDRAWN_CHARTS = {
    "drift": "Drift: no window was compared with a reference; its reason says why",
    "loss": f"The loss: {MATURE_LABELS}, and none has an estimate",
    "labels": "Label coverage: no label was due when the windows were judged (labels.delay_hours)",
    "coverage": f"Prediction sets with the truth: {MATURE_LABELS}",
    "shadow": "Shadow disagreement: no candidate answered rows of a window",
    "attributions": "Change of the model's reasons: the model can't be explained, or answered too few rows of a window",
}


def collect_chart_facts(
    windows: Sequence[Window], loss: str, folder: Path, sensitive: Collection[str]
) -> dict[str, Any]:
    """Collect what the page shows of the latest windows as charts.

    Args:
        windows: The windows, the earliest first.
        loss: The name of the loss.
        folder: The settings' `monitor.folder`.
        sensitive: The names in `SENSITIVE` of `problem/schema.py`.

    Returns:
        "charts"; "charted", of how many windows they are, "" for all; "undrawn", a clause for each that isn't drawn.
    """
    charted = windows[-MAX_CHART_WINDOWS:]
    charts = build_kept_charts(charted, loss, folder)
    return {
        "charts": charts,
        "charted": f", the latest {len(charted)} of {len(windows)}" if len(charted) < len(windows) else "",
        "undrawn": list(describe_undrawn_charts(charted, charts, sensitive)),
    }


def describe_undrawn_charts(
    windows: Sequence[Window], charts: Sequence[WindowChart], sensitive: Collection[str]
) -> Iterator[str]:
    """Describe which charts aren't drawn, and why.

    Args:
        windows: The windows, the earliest first.
        charts: The charts that are drawn.
        sensitive: The names in `SENSITIVE` of `problem/schema.py`.

    Yields:
        A clause for each chart; none where there is no window.
    """
    drawn = {chart.id for chart in charts}
    if not windows:
        return
    yield from (clause for name, clause in UNDRAWN_CHARTS.items() if name not in drawn)
    if not sensitive:
        yield "Differences between groups: no column is named in SENSITIVE of problem/schema.py"
    compared = find_judged_comparisons(windows)
    for name in (name for name in sensitive if name not in compared):
        yield f"Difference by {name}: {MATURE_LABELS}, in two groups that have rows enough"
