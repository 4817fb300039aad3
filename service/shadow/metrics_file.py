"""Metrics of the shadow, written to a file every second, and shown by the service at `/metrics`.

A heartbeat that stands still tells that the other values are old.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from penumbra.core.settings import ServiceSettings
from penumbra.logs.lag import METRICS_FILE, measure_backlog
from penumbra.logs.schema import STATUS_OK
from penumbra.logs.shadow.shadow_state import ShadowProgress, ShadowState
from penumbra.registry.pointers import read_refusal
from penumbra.storage.atomic import replace_file
from service.processes.exposition import MetricSample, format_exposition

METRIC_HELP = {
    "heartbeat_seconds": "When the shadow last looked for work, in seconds since 1970.",
    "rows_total": "Logged predictions that a model of the shadow was done with, by what came of it.",
    "coverage": "Of all that was logged since the model is in the shadow, the share that it has answered.",
    "lag_seconds": "For how long the oldest prediction waits that the model has yet to answer.",
    "lag_rows": "How many predictions wait for the model, estimated from their bytes.",
    "catch_up_rows": "How many wait that were there before the model came, estimated from their bytes.",
    "difference_mean": "Mean absolute difference between the model's output and the live one's.",
    "differing_share": "Share of decisions that differ from the live model's.",
    "failures": "How often in a row the model's process failed or was ended.",
    "refused": "1 for a candidate that the deployer doesn't let into the shadow, as its bundle is broken.",
}


class RoleStatus(Protocol):
    """The attributes of a role worker that metrics are made of."""

    role: str
    version: str | None
    failures: int


def write_shadow_metrics(service: ServiceSettings, state: ShadowState, workers: Sequence[RoleStatus]) -> None:
    """Replace the metrics file as a whole.

    Args:
        service: `state`, `shadow_log` and `predictions` are read.
        state: The state of the shadow log.
        workers: The role of each worker, its version and the number of its failures.

    Raises:
        OSError: The file can't be written.
    """
    refused = [("refused", {"version": version}, 1.0) for version in read_refused_versions(service.state)]
    samples = [("heartbeat_seconds", {}, time.time()), *refused, *_list_samples(service.predictions, state, workers)]
    replace_file(service.shadow_log / METRICS_FILE, format_exposition("penumbra_shadow_", METRIC_HELP, samples))


def read_refused_versions(state: Path) -> dict[str, str]:
    """Read which candidate the deployer doesn't let into the shadow.

    Args:
        state: The service's state folder.

    Returns:
        The reason by version; empty where none is refused.
    """
    version, reason = read_refusal(state)
    return {version: reason} if version else {}


def _list_samples(predictions: Path, state: ShadowState, workers: Sequence[RoleStatus]) -> Iterator[MetricSample]:
    for worker in workers:
        if worker.version is not None and (progress := state.models.get(worker.version)):
            labels = {"role": worker.role, "version": worker.version}
            yield "failures", labels, worker.failures
            yield from _list_model_samples(predictions, progress, labels)


def _list_model_samples(predictions: Path, progress: ShadowProgress, labels: dict[str, str]) -> Iterator[MetricSample]:
    (new, past), rows = measure_backlog(predictions, progress), sum(progress.statuses.values())
    yield from (("rows_total", {**labels, "status": status}, count) for status, count in progress.statuses.items())
    yield "lag_rows", labels, new.rows
    yield "catch_up_rows", labels, past.rows
    yield "lag_seconds", labels, new.count_seconds()
    if total := rows + new.rows + past.rows:
        yield "coverage", labels, progress.statuses.get(STATUS_OK, 0) / total
    if progress.compared:
        yield "difference_mean", labels, progress.difference / progress.compared
    if progress.decided:
        yield "differing_share", labels, progress.differing / progress.decided
