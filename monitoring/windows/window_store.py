"""The records of the windows that were judged, one JSON file a window, each written as a whole or not at all.

<monitor>/windows/<first day>.json
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from monitoring.windows.window_records import Window
from penumbra.storage.sealed import DamagedFile, get_seal_path, read_sealed_file, replace_sealed_file
from penumbra.storage.window_files import list_window_files, locate_window_file

DAMAGED_SUFFIX = ".damaged"


class DamagedWindow(ValueError):
    """A window's file can't be read; says which one and what is wrong."""


@dataclass(frozen=True)
class WindowStore:
    """The records of all windows.

    Attributes:
        folder: The settings' `monitor.folder`.
    """

    folder: Path

    def write(self, window: Window) -> Path:
        """Write the record of a window, in place of an earlier one.

        Args:
            window: The record.

        Returns:
            The file.
        """
        path = locate_window_file(self.folder, window.begin)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_sealed_file(path, msgspec.json.format(msgspec.json.encode(window), indent=1) + b"\n")
        return path

    def read(self) -> list[Window]:
        """Read every window.

        Returns:
            The records, the earliest first.

        Raises:
            DamagedWindow: A file can't be read.
        """
        return [_read_window(path) for path in list_window_files(self.folder)]

    def set_damaged_aside(self) -> list[str]:
        """Rename the files that can't be read, so that their windows are judged again.

        Returns:
            A sentence for each.
        """
        said = []
        for path in list_window_files(self.folder):
            try:
                _read_window(path)
            except DamagedWindow as error:
                aside = path.with_suffix(DAMAGED_SUFFIX)
                path.replace(aside)
                get_seal_path(path).unlink(missing_ok=True)
                said.append(f"{error}; it is kept as {aside.name}")
        return said


def _read_window(path: Path) -> Window:
    try:
        return msgspec.json.decode(read_sealed_file(path), type=Window)
    except DamagedFile as error:
        raise DamagedWindow(f"{error}: the next `penumbra monitor` judges the window again") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedWindow(f"{path}: {error}: the next `penumbra monitor` judges the window again") from None


def describe_missing_explanation(window: Window, folder: Path) -> str:
    """Describe why a window isn't explained that was judged before explanations were recorded.

    Args:
        window: The window's record.
        folder: The settings' `monitor.folder`.

    Returns:
        A sentence without its full stop, with the remedy.
    """
    record = locate_window_file(folder, window.begin)
    return (
        f"the window {window.days} was judged by a version that kept no explanation: remove {record} and run "
        "`penumbra monitor`, which judges it again"
    )
