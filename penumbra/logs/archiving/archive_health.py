"""The health of the archiver: what failed in its last pass, and since when something does.

A file beside the prediction log, replaced after each pass, so that the service's metrics and the monitor can tell.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec

from penumbra.storage.atomic import replace_file

ARCHIVE_HEALTH_FILE = "archive-health.json"


class ArchiveHealth(msgspec.Struct, frozen=True):
    """The outcome of the archiver's last pass.

    Attributes:
        checked: When the pass ended.
        since: Since when some pass or other has failed without one in between that didn't; None where none fails.
        failures: A sentence for each segment, part or log that failed.
    """

    checked: dt.datetime
    since: dt.datetime | None = None
    failures: list[str] = []


def save_archive_health(predictions: Path, failures: Sequence[str], now: dt.datetime) -> None:
    """Keep the outcome of a pass.

    Args:
        predictions: The folder of the prediction log; created where there is none.
        failures: A sentence for each thing that failed.
        now: The time at the pass's end.

    Raises:
        OSError: The file can't be written.
    """
    before = read_archive_health(predictions)
    since = ((before and before.since) or now) if failures else None
    predictions.mkdir(parents=True, exist_ok=True)
    replace_file(
        predictions / ARCHIVE_HEALTH_FILE, msgspec.json.encode(ArchiveHealth(now, since, [*dict.fromkeys(failures)]))
    )


def read_archive_health(predictions: Path) -> ArchiveHealth | None:
    """Read the outcome of the last pass.

    Args:
        predictions: The folder of the prediction log.

    Returns:
        The outcome; None where the archiver hasn't run yet, or its file can't be read.
    """
    try:
        return msgspec.json.decode((predictions / ARCHIVE_HEALTH_FILE).read_bytes(), type=ArchiveHealth)
    except (OSError, msgspec.MsgspecError):
        return None
