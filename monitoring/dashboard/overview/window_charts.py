"""Charts and table of the windows on the overview, and the explanation of one of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from monitoring import charts
from monitoring.dashboard.overview.kept_drawings import KeptDrawings, draw_chart
from monitoring.explanations.records import Explanation
from monitoring.explanations.sentences import (
    describe_column_shift,
    describe_loss_rise,
    describe_unseen_values,
    list_part_rows,
)
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_days import describe_stretch
from monitoring.windows.window_records import Window, has_alarm
from monitoring.windows.window_store import describe_missing_explanation
from penumbra.core.text.counts import format_share
from penumbra.core.text.tables import format_number

MAX_TABLE_WINDOWS = 12  # in the table; the pictures show more
MAX_CHART_WINDOWS = 60  # in the pictures, and in what is said of those that aren't drawn

ChartRow = dict[str, Any]


@dataclass(frozen=True)
class WindowChart:
    """A chart.

    Attributes:
        id: Its id on the page.
        title: Its title.
        about: What it shows, and the last value.
        svg: The picture's markup, made here.
    """

    id: str
    title: str
    about: str
    svg: str


def build_kept_charts(windows: Sequence[Window], loss: str, folder: Path) -> list[WindowChart]:
    """Build the charts of `build_window_charts`, and draw those that weren't kept when the page was last made.

    Args:
        windows: The windows, the earliest first.
        loss: The name of the loss.
        folder: The settings' `monitor.folder`.

    Returns:
        As `build_window_charts`.
    """
    drawings = KeptDrawings(folder)
    drawn = build_window_charts(windows, loss, drawings.draw)
    drawings.keep()
    return drawn


def build_window_charts(
    windows: Sequence[Window], loss: str, draw: Callable[[charts.ChartSpec], str] = draw_chart
) -> list[WindowChart]:
    """Draw drift, loss, label coverage, coverage of prediction sets and shadow disagreement over the windows.

    Args:
        windows: The windows, the earliest first.
        loss: The name of the loss.
        draw: Returns the picture of a Vega-Lite specification as SVG.

    Returns:
        The charts for which at least one window has a value.
    """
    drawn = [
        _draw_chart(draw, "drift", "Drift ÷ threshold", _drift_row, windows, (0, 1.2)),
        _draw_chart(draw, "loss", loss[0].upper() + loss[1:], _loss_row, windows),
        _draw_chart(draw, "labels", "Label coverage", _label_row, windows, charts.SHARE_DOMAIN),
        _draw_chart(draw, "coverage", "Prediction sets with the truth", _coverage_row, windows, charts.SHARE_DOMAIN),
        _draw_chart(draw, "shadow", "Shadow disagreement", _shadow_row, windows),
        _draw_chart(draw, "attributions", "Change of the model's reasons", _attribution_row, windows),
        *_draw_group_charts(draw, windows),
    ]
    return [picture for picture in drawn if picture]


CHART_DESCRIPTIONS = {
    "drift": "The column that is furthest from the reference, over the window or more of the latest days, as a share "
    "of its threshold.",
    "loss": "The mean of a row on mature labels, with its confidence band.",
    "labels": "Labels that have arrived, of those that are due.",
    "groups": "Between the two groups that differ most, on mature labels, with its confidence band. Dashed: what the "
    "gate allows.",
    "coverage": "Rows whose prediction set, or interval, held the truth, on mature labels, with the confidence band. "
    "Dashed: what is promised; to fall short of it is no alarm.",
    "attributions": "The share of all attributions that other features have than in the reference; in brackets the "
    "feature that has changed most. Never an alarm.",
    "shadow": "How far a window's candidate was from the live model. Dotted: the noise floor, as far as a refit is.",
}
LONGER_LOSS_DESCRIPTION = " An alarm below the dashed line is one over more of the latest days than the window's."
ESTIMATE_DESCRIPTION = " Dotted: estimated without labels, {basis}; assuming {assumed}."


def _draw_chart(
    draw: Callable[[charts.ChartSpec], str],
    name: str,
    title: str,
    row: Callable[[Window], ChartRow | None],
    windows: Sequence[Window],
    domain: Sequence[float] | None = None,
) -> WindowChart | None:
    rows = [found for window in windows if (found := row(window)) is not None]
    if not rows:
        return None
    about = CHART_DESCRIPTIONS[name] + (_describe_loss_lines(windows) if name == "loss" else "")
    return WindowChart(name, title, f"{about} Last: {rows[-1]['last']}.", draw(charts.build_line_chart(rows, domain)))


def _draw_group_charts(draw: Callable[[charts.ChartSpec], str], windows: Sequence[Window]) -> list[WindowChart]:
    """A chart for each sensitive column, of the difference between its groups that the gate judges."""
    drawn = [
        _draw_chart(
            draw, "groups", f"{_describe_comparison(name)} by {column}", partial(_group_row, column, name), windows
        )
        for column, name in find_judged_comparisons(windows).items()
    ]
    return [replace(picture, id=f"groups-{number}") for number, picture in enumerate(drawn, 1) if picture]


def find_judged_comparisons(windows: Sequence[Window]) -> dict[str, str]:
    """Return by sensitive column whose groups the `windows` compare the comparison that the gate judges."""
    return {each.column: each.comparison for window in windows for each in window.groups if each.limit is not None}


def _describe_comparison(name: str) -> str:
    return f"Difference in {name.replace('_', ' ')}"


def _group_row(column: str, name: str, window: Window) -> ChartRow | None:
    found = next((each for each in window.groups if (each.column, each.comparison) == (column, name)), None)
    if found is None:
        return None
    last = f"{format_number(found.value)} ({found.highest} above {found.lowest})"
    return _chart_row(window, found.value, last, low=found.low, high=found.high, limit=found.limit)


def _describe_loss_lines(windows: Sequence[Window]) -> str:
    has_longer = any(each.loss and each.loss.longer and each.loss.longer.is_high for each in windows)
    guess = next((each.estimated for each in reversed(windows) if each.estimated), None)
    described = ESTIMATE_DESCRIPTION.format(basis=guess.basis, assumed=guess.assumes) if guess else ""
    return (LONGER_LOSS_DESCRIPTION if has_longer else "") + described


def _chart_row(window: Window, value: float | None, last: str, alarm: bool = False, **more: Any) -> ChartRow:
    mark = "alarm" if alarm else "fault" if window.faults else ""
    said = f"{window.days}: {last}" + MARK_WORDS[mark]
    return {"begin": str(window.begin), "value": value, "mark": mark, "said": said, "last": last, **more}


MARK_WORDS = {"alarm": ", an alarm", "fault": ", a data fault", "": ""}


def _drift_row(window: Window) -> ChartRow | None:
    if window.drift is None:
        return None
    ratio = window.drift.ratio
    last = f"{ratio:.2f} ({window.drift.column}{window.drift_stretch})"
    return _chart_row(window, ratio, last, ratio > 1, limit=1.0)


def _loss_row(window: Window) -> ChartRow | None:
    guess = window.estimated.mean if window.estimated else None
    if (loss := window.loss) is None:
        return None if guess is None else _chart_row(window, None, _format_loss(window), other=guess)
    band = {"low": loss.low, "high": loss.high, "limit": loss.threshold, "other": guess}
    return _chart_row(window, loss.mean, _format_loss(window), loss.is_high, **band)


def _label_row(window: Window) -> ChartRow | None:
    if window.labels is None or not window.labels.due:
        return None
    share = window.labels.arrived / window.labels.due
    return _chart_row(window, share, format_share(share))


def _coverage_row(window: Window) -> ChartRow | None:
    if (found := window.coverage) is None:
        return None
    band: ChartRow = {"low": found.low, "high": found.high, "limit": found.promised}
    return _chart_row(window, found.mean, str(found), **band)


def _attribution_row(window: Window) -> ChartRow | None:
    if (found := window.attributions) is None:
        return None
    return _chart_row(window, found.distance, str(found))


def _shadow_row(window: Window) -> ChartRow | None:
    if window.shadow is None:
        return None
    shadow = window.shadow
    last = format_number(shadow.disagreement) + (f", of version {shadow.version}" if shadow.version else "")
    return _chart_row(window, shadow.disagreement, last, other=shadow.floor)


def _format_loss(window: Window) -> str:
    """The window's loss, and that over a longer stretch where it alone is an alarm; before the labels the estimate."""
    if (loss := window.loss) is None:
        return f"{format_number(window.estimated.mean)} (estimated)" if window.estimated else ""
    longer = loss.longer if loss.longer and loss.longer.is_high else None
    over = describe_stretch(longer.days, window.length) if longer else ""
    return format_number(loss.mean) + (f" ({format_number(longer.mean)}{over})" if longer else "")


def build_window_table(windows: Sequence[Window], reports: ReportWorkspace, folder: Path) -> list[ChartRow]:
    """Build the table of the latest windows.

    Args:
        windows: The windows, the earliest first.
        reports: The windows' reports.
        folder: The settings' `monitor.folder`, to which links are relative.

    Returns:
        A row a window, the latest first.
    """
    return [
        {
            "days": window.days,
            "verdict": window.verdict,
            "reason": window.reason,
            "drift": f"{window.drift.ratio:.2f} ({window.drift.column}{window.drift_stretch})" if window.drift else "",
            "loss": _format_loss(window) + (" ▲" if window.loss and window.loss.is_high else ""),
            "labels": f"{window.labels.arrived:,} of {window.labels.due:,}" if window.labels else "",
            "reports": [
                (kind.replace("-", " "), str(page.relative_to(folder))) for kind, page in reports.pages(window).items()
            ],
        }
        for window in reversed(windows[-MAX_TABLE_WINDOWS:])
    ]


def build_window_explanation(windows: Sequence[Window], folder: Path) -> ChartRow | None:
    """Build the explanation of the latest window with an alarm, or of the latest one where none has any.

    Args:
        windows: The windows, the earliest first.
        folder: The settings' `monitor.folder`.

    Returns:
        `window` (which one, in words), `verdict`, `lines` (pairs of a subject and a sentence) and `parts` (rows of a
        table); None where there is no window.
    """
    if not windows:
        return None
    window = next(filter(has_alarm, reversed(windows)), windows[-1])
    found = window.explanation or Explanation(limits=[describe_missing_explanation(window, folder)])
    loss = found.loss
    lines = [(shift.column, describe_column_shift(shift)) for shift in found.shifts]
    lines += [("loss", describe_loss_rise(loss, found.since))] if loss else []
    lines += [(name, describe_unseen_values(share)) for name, share in loss.unseen.items()] if loss else []
    lines += [("unknown", sentence) for sentence in found.limits]
    parts = list(list_part_rows(loss)) if loss else []
    which = "The latest window with an alarm" if has_alarm(window) else "The latest window, without an alarm"
    return {"window": f"{which}: {window.days}", "verdict": window.verdict, "lines": lines, "parts": parts}
