"""The last windows as a table, and what is new of them."""

from collections.abc import Sequence

import polars as pl

from monitoring.windows import Window, WindowStore
from penumbra.core.settings import Settings
from penumbra.core.tables import format_table

SHOWN_WINDOWS = 8
NO_WINDOW_MESSAGE = (
    "No window is over yet: the service has to answer for {days} days of events, and data.today ({today}) to be after"
    " them."
)


def format_window_summary(settings: Settings, alarms: Sequence[str], said: str) -> str:
    """What `make monitor` ends with."""
    found = WindowStore(settings.monitor.folder).read()
    if not found:
        shown = NO_WINDOW_MESSAGE.format(days=settings.monitor.window_days, today=settings.data.today)
    else:
        shown = format_table(pl.DataFrame([_build_window_row(window) for window in found[-SHOWN_WINDOWS:]]))
    new = "Nothing new." if not alarms else "New:\n" + "\n".join(f"  {alarm}" for alarm in alarms)
    return "\n\n".join(part for part in (shown, new, said) if part)


def _build_window_row(window: Window) -> dict[str, str | int]:
    drift, loss, labels = window.drift, window.loss, window.labels
    limit = f" of {loss.threshold:.4f}" if loss and loss.threshold is not None else ""
    guess = f"{window.estimated.mean:.4f}" if window.estimated else "-"
    return {
        "window": str(window.begin),
        "model": window.model,
        "rows": window.rows,
        "labels": f"{labels.arrived / labels.due:.0%}" if labels and labels.due else "-",
        "drift": f"{drift.ratio:.2f} {drift.column}" if drift else "-",
        "loss": f"{loss.mean:.4f}{limit}" if loss else "-",
        "estimated": guess,
        "faults": len({(fault.what, fault.column) for fault in window.faults}),
        "verdict": window.verdict,
    }
