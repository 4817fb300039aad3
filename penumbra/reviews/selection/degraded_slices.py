"""The slices whose loss has risen, read off the monitor's records of windows without the rest of the monitor."""

from pathlib import Path

import msgspec

from penumbra.core.histograms import DegradedSlice
from penumbra.storage.sealed import DamagedFile, read_sealed_file
from penumbra.storage.window_files import list_window_files


class WindowSlices(msgspec.Struct):
    """Projection of a window's record (monitoring/windows/window_records.py)."""

    loss: dict[str, object] | None = None
    slices: list[DegradedSlice] = []


def read_degraded_slices(folder: Path) -> list[DegradedSlice]:
    """Read where the loss has risen, by the last window whose loss is known.

    Args:
        folder: The settings' `monitor.folder`.

    Returns:
        The slices, the most risen first; none where no window has a loss yet.

    Raises:
        DamagedFile: A window's file can't be read.
    """
    for path in reversed(list_window_files(folder)):
        window = _read_slices(path)
        if window.loss is not None:
            return window.slices
    return []


def _read_slices(path: Path) -> WindowSlices:
    try:
        return msgspec.json.decode(read_sealed_file(path), type=WindowSlices)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path}: {error}: the next `penumbra monitor` judges the window again") from None
