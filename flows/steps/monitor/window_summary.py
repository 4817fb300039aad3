"""Summary of a monitor pass: the last windows as a table, and what is new."""

import datetime as dt
from collections.abc import Sequence

import polars as pl

from monitoring.windows.window_days import describe_missing_windows
from monitoring.windows.window_records import Window
from monitoring.windows.window_store import WindowStore
from penumbra.core.settings import MonitorSettings
from penumbra.core.text.counts import format_share
from penumbra.core.text.tables import format_number, format_table

SHOWN_WINDOWS = 8


def format_window_summary(monitor: MonitorSettings, today: dt.date, alarms: Sequence[str], retraining: str) -> str:
    """Format what a monitor pass ends with.

    Args:
        monitor: The settings' section `monitor`.
        today: The settings' `data.today`.
        alarms: The new alarms, a sentence each.
        retraining: The outcome of a retraining in one sentence; "" for none.

    Returns:
        Text of several lines.

    Raises:
        DamagedWindow: A window's record is damaged.
    """
    found = WindowStore(monitor.folder).read()
    if not found:
        shown = describe_missing_windows(monitor.window_days, today)
    else:
        shown = format_table(pl.DataFrame([_build_window_row(window) for window in found[-SHOWN_WINDOWS:]]))
        shown += "".join(f"\n{found[-1].begin}: {limit}" for limit in found[-1].limits)
    new = "Nothing new." if not alarms else "New:\n" + "\n".join(f"  {alarm}" for alarm in alarms)
    return "\n\n".join(part for part in (shown, new, retraining) if part)


def _build_window_row(window: Window) -> dict[str, str | int]:
    drift, nearest, labels = window.drift, window.loss and window.loss.nearest, window.labels
    limit = f" of {format_number(nearest.threshold)}" if nearest and nearest.threshold is not None else ""
    guess = format_number(window.estimated.mean) if window.estimated else "-"
    return {
        "window": str(window.begin),
        "model": window.model,
        "rows": window.rows,
        "labels": format_share(labels.arrived / labels.due, 0) if labels and labels.due else "-",
        "drift": f"{drift.ratio:.2f} {drift.column}{window.drift_stretch}" if drift else "-",
        "loss": f"{format_number(nearest.mean)}{limit}{window.loss_stretch}" if nearest else "-",
        "estimated": guess,
        "faults": len({(fault.what, fault.column) for fault in window.faults}),
        "verdict": window.verdict,
    }
