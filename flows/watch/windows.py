"""The last windows as a table, and what is new of them."""

from collections.abc import Sequence

import polars as pl

from flows.labels import table
from settings import Settings
from stores.windows import Window, Windows

SHOWN = 8
NONE = (
    "No window is over yet: the service has to answer for {days} days of events, and data.today ({today}) to be after"
    " them."
)


def words(chosen: Settings, alarms: Sequence[str], said: str) -> str:
    """What `make monitor` ends with."""
    found = Windows(chosen.monitor.folder).read()
    if not found:
        shown = NONE.format(days=chosen.monitor.window_days, today=chosen.data.today)
    else:
        shown = table(pl.DataFrame([_line(window) for window in found[-SHOWN:]]))
    new = "Nothing new." if not alarms else "New:\n" + "\n".join(f"  {alarm}" for alarm in alarms)
    return "\n\n".join(part for part in (shown, new, said) if part)


def _line(window: Window) -> dict[str, str | int]:
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
