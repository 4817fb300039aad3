"""Metrics of the shadow, written to a file every second, and shown by the service at `/metrics`.

A heartbeat that stands still tells that the other values are old.
"""

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from penumbra.core.settings import ServiceSettings
from penumbra.logs.schema import STATUS_OK
from penumbra.logs.shadow_log import METRICS_FILE, REFUSED_FILE
from penumbra.logs.shadow_state import ShadowProgress, ShadowState
from penumbra.storage.atomic import replace_file
from service.shadow.backlog import measure_backlog

DEFAULT_PREDICTION_BYTES = 600  # assumed size of a logged prediction until one is scored

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


MetricSample = tuple[str, dict[str, str], float]


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
    replace_file(service.shadow_log / METRICS_FILE, format_exposition(samples))


def read_refused_versions(state: Path) -> dict[str, str]:
    """Read which candidate the deployer doesn't let into the shadow.

    Args:
        state: The service's state folder.

    Returns:
        The reason by version; empty where none is refused.
    """
    try:
        version, reason = (state / REFUSED_FILE).read_text().split("\n", 1)
    except (OSError, ValueError):
        return {}
    return {version: reason.strip()}


def format_exposition(samples: Sequence[MetricSample]) -> str:
    """Format samples in Prometheus' text format.

    Args:
        samples: Name in `METRIC_HELP`, labels and value of each.

    Returns:
        The text, with the help and the type of each metric.
    """
    lines = []
    for name, text in METRIC_HELP.items():
        if samples_of_name := [sample for sample in samples if sample[0] == name]:
            full = f"penumbra_shadow_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} {'counter' if name.endswith('_total') else 'gauge'}"]
            lines += [f"{full}{_format_labels(labels)} {value:.17g}" for _, labels, value in samples_of_name]
    return "".join(line + "\n" for line in lines)


def _list_samples(predictions: Path, state: ShadowState, workers: Sequence[RoleStatus]) -> Iterator[MetricSample]:
    for worker in workers:
        if worker.version is not None and (progress := state.models.get(worker.version)):
            labels = {"role": worker.role, "version": worker.version}
            yield "failures", labels, worker.failures
            yield from _list_model_samples(predictions, progress, labels)


def _list_model_samples(predictions: Path, progress: ShadowProgress, labels: dict[str, str]) -> Iterator[MetricSample]:
    backlog, rows = measure_backlog(predictions, progress), sum(progress.statuses.values())
    line_bytes = progress.bytes / rows if rows else DEFAULT_PREDICTION_BYTES
    yield from (("rows_total", {**labels, "status": status}, count) for status, count in progress.statuses.items())
    yield "lag_rows", labels, backlog.new / line_bytes
    yield "catch_up_rows", labels, backlog.past / line_bytes
    yield "lag_seconds", labels, _seconds_since(backlog.since)
    if total := rows + (backlog.new + backlog.past) / line_bytes:
        yield "coverage", labels, progress.statuses.get(STATUS_OK, 0) / total
    if progress.compared:
        yield "difference_mean", labels, progress.difference / progress.compared
    if progress.decided:
        yield "differing_share", labels, progress.differing / progress.decided


def _seconds_since(moment: dt.datetime | None) -> float:
    """Return the seconds since a moment; not negative, though the clock may have been put back."""
    return max(0.0, (dt.datetime.now(dt.UTC) - moment).total_seconds()) if moment else 0.0


def _format_labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape_label(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escape_label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
