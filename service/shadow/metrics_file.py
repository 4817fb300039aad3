"""What `/metrics` shows of the shadow, which writes it to a file every second: a heartbeat that stands still says that
the rest is old."""

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from penumbra.core.settings import Settings
from penumbra.logs.schema import STATUS_OK
from penumbra.logs.shadow_log import METRICS_FILE, REFUSED_FILE
from penumbra.logs.shadow_state import ShadowProgress, ShadowState
from penumbra.storage.atomic import replace_file
from service.shadow.backlog import measure_backlog

DEFAULT_PREDICTION_BYTES = 600  # of a logged prediction, as long as nothing is known

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
    """What is asked of a follower."""

    role: str
    version: str | None
    failures: int


MetricSample = tuple[str, dict[str, str], float]


def write_shadow_metrics(settings: Settings, state: ShadowState, places: Sequence[RoleStatus]) -> None:
    """Replace the file as a whole. Raises OSError."""
    refused = [("refused", {"version": version}, 1.0) for version in read_refused_versions(settings.service.state)]
    samples = [("heartbeat_seconds", {}, time.time()), *refused, *_samples(settings, state, places)]
    replace_file(settings.service.shadow_log / METRICS_FILE, format_exposition(samples))


def read_refused_versions(state: Path) -> dict[str, str]:
    """The version that the deployer doesn't let into the shadow, with the reason."""
    try:
        version, reason = (state / REFUSED_FILE).read_text().split("\n", 1)
    except (OSError, ValueError):
        return {}
    return {version: reason.strip()}


def format_exposition(samples: Sequence[MetricSample]) -> str:
    """In Prometheus' text format."""
    lines = []
    for name, text in METRIC_HELP.items():
        if found := [sample for sample in samples if sample[0] == name]:
            full = f"penumbra_shadow_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} {'counter' if name.endswith('_total') else 'gauge'}"]
            lines += [f"{full}{_format_labels(labels)} {value:.17g}" for _, labels, value in found]
    return "".join(line + "\n" for line in lines)


def _samples(settings: Settings, state: ShadowState, places: Sequence[RoleStatus]) -> Iterator[MetricSample]:
    for place in places:
        if place.version is not None and (progress := state.models.get(place.version)):
            labels = {"role": place.role, "version": place.version}
            yield "failures", labels, place.failures
            yield from _model_samples(settings.service.predictions, progress, labels)


def _model_samples(predictions: Path, progress: ShadowProgress, labels: dict[str, str]) -> Iterator[MetricSample]:
    waiting, rows = measure_backlog(predictions, progress), sum(progress.statuses.values())
    each = progress.bytes / rows if rows else DEFAULT_PREDICTION_BYTES
    yield from (("rows_total", {**labels, "status": status}, count) for status, count in progress.statuses.items())
    yield "lag_rows", labels, waiting.new / each
    yield "catch_up_rows", labels, waiting.past / each
    yield "lag_seconds", labels, _seconds_since(waiting.since)
    if total := rows + (waiting.new + waiting.past) / each:
        yield "coverage", labels, progress.statuses.get(STATUS_OK, 0) / total
    if progress.compared:
        yield "difference_mean", labels, progress.difference / progress.compared
    if progress.decided:
        yield "differing_share", labels, progress.differing / progress.decided


def _seconds_since(moment: dt.datetime | None) -> float:
    """Not below nought, though the clock may have been put back."""
    return max(0.0, (dt.datetime.now(dt.UTC) - moment).total_seconds()) if moment else 0.0


def _format_labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
