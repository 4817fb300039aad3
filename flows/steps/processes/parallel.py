"""How many tasks of a flow run side by side, and what each of them is given to do."""

import itertools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Job = TypeVar("Job")
MAX_TASKS_OF_A_STEP = 100_000  # Metaflow refuses more than 100 where it isn't told otherwise
SINGLE_THREAD_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}


def limit_parallel_tasks() -> None:
    """Let Metaflow run at most one task a core, unless METAFLOW_RUN_MAX_WORKERS is set, of any number of tasks."""
    os.environ.setdefault("METAFLOW_RUN_MAX_WORKERS", str(os.cpu_count() or 1))
    for command in ("RUN", "RESUME"):
        os.environ.setdefault(f"METAFLOW_{command}_MAX_NUM_SPLITS", str(MAX_TASKS_OF_A_STEP))


def count_parallel_tasks() -> int:
    """Return how many tasks run at once: METAFLOW_RUN_MAX_WORKERS, or else the number of cores."""
    return int(os.environ.get("METAFLOW_RUN_MAX_WORKERS", os.cpu_count() or 1))


def open_fork_pool(
    processes: int, module: str, start: Callable[..., None], arguments: tuple[Any, ...]
) -> "ProcessPoolExecutor":
    """Open a pool of processes of one thread each, forks of one that has imported a module with all that they need.

    Args:
        processes: The most processes.
        module: The module's name.
        start: Called first in each process.
        arguments: What it is called with.

    Returns:
        The pool; a process begins with the first job for it.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    os.environ.update(SINGLE_THREAD_ENVIRONMENT)
    context = get_context("forkserver")  # polars doesn't survive a fork where it has computed
    context.set_forkserver_preload([module])  # imported once for all of them
    return ProcessPoolExecutor(processes, context, start, arguments)


def split_jobs(jobs: Sequence[Job], lanes: int) -> list[list[Job]]:
    """Split jobs into lanes of neighbours.

    Args:
        jobs: In an order in which neighbours have work in common.
        lanes: How many lanes there are, 1 or more, and at most as many as jobs.

    Returns:
        The jobs of each lane; their lengths differ by at most one.
    """
    ends = [len(jobs) * number // lanes for number in range(lanes + 1)]
    return [list(jobs[begin:end]) for begin, end in itertools.pairwise(ends)]


def distribute_jobs(jobs: list[Job], lanes: int) -> list[list[Job]]:
    """Distribute jobs over lanes of about equal cost.

    Args:
        jobs: In falling order of cost; dealt forth and back, as teams are picked.
        lanes: How many lanes there may be at most, 1 or more.

    Returns:
        The jobs of each lane. No lane is empty, and their lengths differ by at most one.
    """
    dealt: list[list[Job]] = [[] for _ in range(min(lanes, len(jobs)))]
    order = [*range(len(dealt)), *reversed(range(len(dealt)))]
    for turn, job in enumerate(jobs):
        dealt[order[turn % len(order)]].append(job)
    return dealt
