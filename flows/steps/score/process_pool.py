"""The processes that score parts of tables side by side: forks of one that has imported all that they need."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from flows.steps.processes.parallel import open_fork_pool
from flows.steps.score.parts.part_scoring import SCORED_PARTS, PartScorer
from flows.steps.score.replaced_processes import Attempt
from flows.steps.score.table_job import TableJob
from flows.steps.score.table_parts import score_lane
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import Settings
from penumbra.sources.tables.csv_tables import CsvLayout

_of_process: dict[str, PartScorer] = {}


def open_process_pool(
    settings: Settings, processes: int, options: Sequence[str] = (), is_another: bool = False
) -> ProcessPoolExecutor:
    """Open a pool of processes that score parts, and end with this one, however it ends.

    Args:
        settings: As for `score_tables`.
        processes: The most processes.
        options: What is added to answers.
        is_another: Whether a record has ended processes before these.

    Returns:
        The pool; a process begins with the first part for it.
    """
    os.environ["POLARS_MAX_THREADS"] = "1"  # of the processes; here its threads run already
    return open_fork_pool(processes, __name__, _start_process, (settings, options, is_another))


def _start_process(settings: Settings, options: Sequence[str], is_another: bool) -> None:
    threading.Thread(target=_end_with_run, daemon=True).start()  # the kernel would do so where the fork server ends
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the run ends by it, and says so
    _of_process["score"] = PartScorer(settings, load_problem(SCORED_PARTS), options, Attempt(True, is_another))


def _end_with_run() -> None:
    multiprocessing.parent_process().join()  # type: ignore[union-attr]
    os.kill(os.getpid(), signal.SIGKILL)


def score_in_process(table: TableJob, path: Path, layout: CsvLayout, logs: Path | None, lane: tuple[int, int]) -> None:
    """Score one lane of a table's parts, in a process of the pool.

    Args:
        table: The table.
        path: As for `score_lane`, as are the others.
        layout: How CSV files are written.
        logs: The folder of the prediction log, if parts are logged at once.
        lane: Which of how many lanes.

    Raises:
        Exception: What `score_lane` raises.
    """
    for _ in score_lane(_of_process["score"], table, path, layout, logs, lane):
        pass
