"""The overview's pictures and table of windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.page.seen import days
from monitoring import charts
from stores.reports import Reports
from stores.windows import Window

SHOWN = 12  # in the table; the pictures show more
DRAWN = 60

Row = dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """`svg` is markup of our own making; `about` says what is seen, and how it ends."""

    id: str
    title: str
    about: str
    svg: str


def pictures(windows: Sequence[Window]) -> list[Picture]:
    """Of what is known of at least one window."""
    drawn = [
        _drawn("drift", "Drift ÷ threshold", _drift, windows, (0, 1.2)),
        _drawn("loss", "Loss", _loss, windows),
        _drawn("labels", "Label coverage", _labels, windows, charts.SHARE),
        _drawn("shadow", "Shadow disagreement", _shadow, windows),
    ]
    return [picture for picture in drawn if picture]


ABOUT = {
    "drift": "The column that is furthest from the reference, as a share of its threshold.",
    "loss": "On mature labels, with its confidence band. Dotted: estimated from the scores, assuming {assumed}.",
    "labels": "Labels that have arrived, of those that are due.",
    "shadow": "How far the candidate is from the live model. Dotted: the noise floor, as far as a refit is.",
}


def _drawn(
    name: str,
    title: str,
    row: Callable[[Window], Row | None],
    windows: Sequence[Window],
    domain: Sequence[float] | None = None,
) -> Picture | None:
    from vl_convert import vegalite_to_svg

    rows = [found for window in windows[-DRAWN:] if (found := row(window)) is not None]
    if not rows:
        return None
    assumed = next((each.estimated.assumes for each in reversed(windows) if each.estimated), "")
    about = ABOUT[name].format(assumed=assumed)
    return Picture(name, title, f"{about} Last: {rows[-1]['last']}.", vegalite_to_svg(charts.course(rows, domain)))


def _row(window: Window, value: float, last: str, alarm: bool = False, **more: Any) -> Row:
    mark = "alarm" if alarm else "fault" if window.faults else ""
    said = f"{days(window)}: {last}" + MARKS[mark]
    return {"begin": str(window.begin), "value": value, "mark": mark, "said": said, "last": last, **more}


MARKS = {"alarm": ", an alarm", "fault": ", a data fault", "": ""}


def _drift(window: Window) -> Row | None:
    if window.drift is None:
        return None
    ratio = window.drift.ratio
    return _row(window, ratio, f"{ratio:.2f} ({window.drift.column})", ratio > 1, limit=1.0)


def _loss(window: Window) -> Row | None:
    if (loss := window.loss) is None:
        return None
    guess = window.estimated.mean if window.estimated else None
    band = {"low": loss.low, "high": loss.high, "limit": loss.threshold, "other": guess}
    return _row(window, loss.mean, f"{loss.mean:.4f}", _too_high(window), **band)


def _labels(window: Window) -> Row | None:
    if window.labels is None or not window.labels.due:
        return None
    share = window.labels.arrived / window.labels.due
    return _row(window, share, f"{share:.1%}")


def _shadow(window: Window) -> Row | None:
    if window.shadow is None:
        return None
    return _row(window, window.shadow.disagreement, f"{window.shadow.disagreement:.4f}", other=window.shadow.floor)


def _too_high(window: Window) -> bool:
    return bool(window.loss and window.loss.threshold is not None and window.loss.mean > window.loss.threshold)


def table(windows: Sequence[Window], reports: Reports, folder: Path) -> list[Row]:
    """The latest windows first; links are relative to the monitor's `folder`."""
    return [
        {
            "days": days(window),
            "verdict": window.verdict,
            "reason": window.reason,
            "drift": f"{window.drift.ratio:.2f} ({window.drift.column})" if window.drift else "",
            "loss": f"{window.loss.mean:.4f}" + (" ▲" if _too_high(window) else "") if window.loss else "",
            "labels": f"{window.labels.arrived:,} of {window.labels.due:,}" if window.labels else "",
            "reports": [
                (kind.replace("-", " "), str(page.relative_to(folder))) for kind, page in reports.pages(window).items()
            ],
        }
        for window in reversed(windows[-SHOWN:])
    ]
