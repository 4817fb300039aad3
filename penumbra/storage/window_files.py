"""Where the monitor keeps the records of the windows that it has judged."""

import datetime as dt
from pathlib import Path

WINDOWS_FOLDER = "windows"


def list_window_files(folder: Path) -> list[Path]:
    """Return the records of all windows below the settings' `monitor.folder`, the earliest first."""
    return sorted((folder / WINDOWS_FOLDER).glob("[0-9]*.json"))


def locate_window_file(folder: Path, begin: dt.date) -> Path:
    """Return where the record of the window from the day `begin` on is, below the settings' `monitor.folder`."""
    return folder / WINDOWS_FOLDER / f"{begin}.json"
