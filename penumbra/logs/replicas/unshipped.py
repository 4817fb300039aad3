"""What of the logs is on this replica's volume only: how many entries, and since when."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from penumbra.logs.append_log import read_tail
from penumbra.logs.replicas.log_shipping import list_unshipped_segments
from penumbra.logs.segments import SHIPPED_SUFFIX, list_own_segments, parse_start_time
from penumbra.logs.shadow.shadow_log import is_shadow_row


class UnshippedCounter:
    """Counts the entries of segments that aren't shipped; each line is read once, however often it is asked."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Count in these `folders`, by the names of the logs."""
        self._folders = folders
        self._counted: dict[Path, tuple[int, int]] = {}

    def count(self) -> dict[str, int]:
        """Return the number of entries that aren't shipped by log; logs without any are left out.

        Of the shadow's lines only answers count.
        """
        found = {log: list_unshipped_segments(folder) for log, folder in self._folders.items()}
        counted = {path: self._read_on(path, log == "shadow") for log, paths in found.items() for path in paths}
        self._counted = {path: self._counted[path] for path in counted}
        rows = {log: sum(counted[path] for path in paths) for log, paths in found.items()}
        return {log: count for log, count in rows.items() if count}

    def _read_on(self, path: Path, is_shadow: bool) -> int:
        position, rows = self._counted.get(path, (0, 0))
        try:
            while content := read_tail(path, position):
                position += len(content)
                lines = content.splitlines()
                rows += sum(map(is_shadow_row, lines)) if is_shadow else len(lines)
        except FileNotFoundError:  # shipped and deleted meanwhile
            pass
        self._counted[path] = position, rows
        return rows


def find_shipped_until(folders: Sequence[Path], now: dt.datetime) -> dt.datetime:
    """Find until when all is shipped.

    Args:
        folders: The folders of some logs.
        now: The time (UTC).

    Returns:
        When the oldest segment was begun that isn't shipped; `now` where there is none.
    """
    begun = [parse_start_time(path.stem) for folder in folders for path in list_unshipped_segments(folder)]
    return min(begun, default=now)


def find_last_shipped(folder: Path) -> str:
    """Return the name of the last segment in `folder` that was written and shipped here; "" for none."""
    own = list_own_segments(folder)
    return max((path.stem for path in own if path.with_suffix(SHIPPED_SUFFIX).exists()), default="")
