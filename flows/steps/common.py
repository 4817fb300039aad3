"""What every flow shares: a clean stop with one sentence, and the environment of its tasks."""

import contextlib
import os
from collections.abc import Iterator

from metaflow.exception import MetaflowException

SINGLE_THREAD_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}


class FlowStopped(MetaflowException):
    headline = "Stopped"


@contextlib.contextmanager
def stop_flow_on(*errors: type[Exception]) -> Iterator[None]:
    """Turn expected errors into a message without a traceback."""
    try:
        yield
    except errors as error:
        raise FlowStopped(str(error)) from None


def limit_parallel_tasks() -> None:
    """Run at most one task a core, unless told otherwise."""
    os.environ.setdefault("METAFLOW_RUN_MAX_WORKERS", str(os.cpu_count() or 1))


def count_parallel_tasks() -> int:
    """How many tasks run at once."""
    return int(os.environ.get("METAFLOW_RUN_MAX_WORKERS", os.cpu_count() or 1))


def distribute_jobs(names: list[str], lanes: int) -> list[list[str]]:
    """Names in falling order of cost to lanes of about equal cost: forth and back, as teams are picked."""
    dealt: list[list[str]] = [[] for _ in range(min(lanes, len(names)))]
    order = [*range(len(dealt)), *reversed(range(len(dealt)))]
    for turn, name in enumerate(names):
        dealt[order[turn % len(order)]].append(name)
    return dealt
