"""The windows that were watched: what each said, one file of JSON a window, written as a whole or not at all.

<monitor>/windows/<first day>.json

A window is some whole days of events (UTC), by the rows' own time; windows lie side by side. Each is of one model.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import msgspec

from penumbra.core.histograms import DegradedSlice
from penumbra.storage.atomic import replace_file

WINDOWS_FOLDER = "windows"
MIN_THRESHOLD = 1e-9


class DamagedWindow(ValueError):
    """A window's file isn't what was written; says which and what is wrong."""


class WindowDistance(msgspec.Struct, frozen=True):
    """How far from the reference, and how far that may be."""

    distance: float
    threshold: float

    @property
    def ratio(self) -> float:
        """Above 1 is an alarm."""
        return self.distance / max(self.threshold, MIN_THRESHOLD)


class LargestDrift(msgspec.Struct, frozen=True):
    """The drift of the window: the largest ratio of distance to threshold, and whose it is (a column, "prediction")."""

    ratio: float
    column: str


class WindowLoss(msgspec.Struct, frozen=True):
    """Mean loss on rows with mature labels, its confidence band, and the threshold of an alarm (None: unknown)."""

    labels: int
    mean: float
    low: float
    high: float
    threshold: float | None


class EstimatedLoss(msgspec.Struct, frozen=True):
    """Mean loss as the scores themselves would have it; `assumes` says under what assumptions."""

    mean: float
    low: float
    high: float
    assumes: str


class LabelArrivals(msgspec.Struct, frozen=True):
    """How many labels are due, and how many of those are there."""

    due: int
    arrived: int


class ShadowDisagreement(msgspec.Struct, frozen=True):
    """Mean difference of the candidate's predictions from the live model's, over so many rows; `floor` is that of the
    live model's recipe fitted again on other rows, or None where it isn't known."""

    rows: int
    disagreement: float
    floor: float | None


class DayFault(msgspec.Struct, frozen=True):
    """A data fault of one day: `what` (say "nulls"), of which column ("" for the rows as a whole), how much in words,
    and its likely cause."""

    day: dt.date
    what: str
    column: str
    text: str
    cause: str


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """From `begin` to `end`, the first day after it; `rows` were answered by `model`, a version.

    Null: not known, say as labels aren't mature or there is no candidate. `judged`: when the verdict was given;
    `calibration` is the expected calibration error; `slices` are where the loss has risen, the most risen first.
    """

    begin: dt.date
    end: dt.date
    model: str
    rows: int
    verdict: str
    reason: str
    judged: dt.datetime
    columns: dict[str, WindowDistance] = {}
    prediction: WindowDistance | None = None
    drift: LargestDrift | None = None
    loss: WindowLoss | None = None
    estimated: EstimatedLoss | None = None
    labels: LabelArrivals | None = None
    calibration: float | None = None
    shadow: ShadowDisagreement | None = None
    faults: list[DayFault] = []
    slices: list[DegradedSlice] = []


@dataclass(frozen=True)
class WindowStore:
    """`folder` is the settings' `monitor.folder`."""

    folder: Path

    def write(self, window: Window) -> Path:
        """Keep a window, in place of an earlier record of it."""
        path = self.folder / WINDOWS_FOLDER / f"{window.begin}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, msgspec.json.format(msgspec.json.encode(window), indent=1) + b"\n")
        return path

    def read(self) -> list[Window]:
        """Every window, the earliest first. Raises Damaged."""
        return [_read_window(path) for path in sorted((self.folder / WINDOWS_FOLDER).glob("[0-9]*.json"))]


def _read_window(path: Path) -> Window:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Window)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedWindow(f"{path}: {error}") from None
