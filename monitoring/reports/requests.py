"""Messages between a monitor pass and its report process: JSON, with rows in Arrow files beside it."""

from pathlib import Path

import msgspec
import polars as pl

from monitoring.reports.columns import ReportSides
from monitoring.windows import Window
from penumbra.core.task import Task


class StoredSides(msgspec.Struct, frozen=True):
    """The sides of a report as files.

    Attributes:
        folder: The folder with `current.arrow`, `reference.arrow` and `declared.arrow`, the last one without rows.
        task: The kind of prediction.
        threshold: The probability from which on a binary decision is positive; None for other tasks.
    """

    folder: str
    task: Task
    threshold: float | None


class ReportRequest(msgspec.Struct, frozen=True):
    """A request for the reports of one window.

    Attributes:
        folder: The settings' `monitor.folder`.
        model: The name of the registered model.
        window: The window's record.
        live: The window's rows and the live model's reference.
        candidate: The candidate's and the live model's predictions of the same rows; None without a candidate.
    """

    folder: str
    model: str
    window: Window
    live: StoredSides
    candidate: StoredSides | None


class ReportReply(msgspec.Struct, frozen=True):
    """The outcome of a request.

    Attributes:
        pages: The path of each page that was written, by kind of report.
        error: Why there are none, in one sentence; "" for success.
    """

    pages: dict[str, str] = {}
    error: str = ""


def store_sides(sides: ReportSides, folder: Path) -> StoredSides:
    """Write the sides of a report to files.

    Args:
        sides: The rows to compare.
        folder: A folder for the files, which is created.

    Returns:
        Where they are.
    """
    folder.mkdir(parents=True)
    declared = pl.DataFrame(schema=dict(sides.declared))
    for name, frame in {"current": sides.current, "reference": sides.reference, "declared": declared}.items():
        frame.write_ipc(folder / f"{name}.arrow")
    return StoredSides(str(folder), sides.task, sides.threshold)


def load_sides(stored: StoredSides) -> ReportSides:
    """Read the sides of a report back.

    Args:
        stored: Where they are.

    Returns:
        The sides that were stored, with the same dtypes.
    """
    current, reference, declared = (
        pl.read_ipc(Path(stored.folder) / f"{name}.arrow") for name in ("current", "reference", "declared")
    )
    return ReportSides(current, reference, stored.task, dict(declared.schema), stored.threshold)
