"""The parts of a table that is scored: each is done as a whole, and then its segments are moved into the logs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from flows.steps.score.parts.input_tables import iterate_parts
from flows.steps.score.parts.part_scoring import BROKEN, PREDICTIONS, REFUSED, PartScorer
from flows.steps.score.table_job import TableJob
from penumbra.logs.append_log import SEGMENT_SUFFIX
from penumbra.logs.schema import get_broken_counts_folder, get_refusals_folder
from penumbra.sources.tables.csv_tables import CsvLayout
from penumbra.storage.atomic import fill_folder_aside, move_file


def score_lane(
    scorer: PartScorer,
    table: TableJob,
    path: Path,
    layout: CsvLayout,
    logs: Path | None,
    lane: tuple[int, int] = (0, 1),
) -> Iterator[int]:
    """Score the parts of a table that aren't done yet, or every so many of them.

    Args:
        scorer: Scores a part.
        table: The table.
        path: A plain file with its content.
        layout: How CSV files are written.
        logs: The folder of the prediction log; None where segments aren't moved there yet.
        lane: Which parts: those whose number leaves the first number when it is divided by the second one.

    Yields:
        The number of rows of each part, once it is done.

    Raises:
        RowsRefused: The table can't be read, or can't be checked.
        NoLiveModel: No model is live.
        ValueError: A line of the table can't be read.
        OSError: A file can't be written.
    """
    done, (rest, lanes) = set(table.list_done()), lane

    def is_due(number: int) -> bool:
        return number % lanes == rest and number not in done

    for part in iterate_parts(path, table.name, layout, table.begun.part_rows, is_due):
        shutil.rmtree(folder := table.locate_part(part.number), ignore_errors=True)  # half of it, from a lost machine
        left = list(table.parts.glob(f".{folder.name}-*"))  # by a process that was ended at it
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        is_doubtful = bool(left) and scorer.attempt.is_another
        with fill_folder_aside(folder) as aside:
            aside.mkdir()
            segment = table.begun.name_segment(part.number)
            scorer.score_part(part, table.title, table.job, segment, aside, is_doubtful)
        if logs:
            publish_part(folder, logs)
        yield part.rows.height


def publish_parts(table: TableJob, logs: Path) -> None:
    """Move the segments of all parts of a table that are done into the logs, as `publish_part` does it.

    Args:
        table: The table.
        logs: The folder of the prediction log.

    Raises:
        OSError: A log can't be written.
    """
    for number in table.list_done():
        publish_part(table.locate_part(number), logs)


def publish_part(folder: Path, logs: Path) -> None:
    """Move the segments of a part that is done into the logs; those that are there already aren't in the folder.

    Args:
        folder: The folder of the part.
        logs: The folder of the prediction log.

    Raises:
        OSError: A log can't be written.
    """
    places = {PREDICTIONS: logs, REFUSED: get_refusals_folder(logs), BROKEN: get_broken_counts_folder(logs)}
    for log, place in places.items():
        for path in (folder / log).glob("*" + SEGMENT_SUFFIX):
            place.mkdir(parents=True, exist_ok=True)
            move_file(path, place / path.name)
