"""Where the monitor keeps the records of the windows that it has judged."""

from pathlib import Path

WINDOWS_FOLDER = "windows"


def list_window_files(folder: Path) -> list[Path]:
    """Return the records of all windows below the settings' `monitor.folder`, the earliest first."""
    return sorted((folder / WINDOWS_FOLDER).glob("[0-9]*.json"))
