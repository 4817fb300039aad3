"""Records of runs, which are written to MLflow when they are finished, and what its tables have of them."""

import hashlib
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penumbra.core.text.masking import mask_settings
from penumbra.registry.tracking.long_texts import shorten_texts

KEY_TAG, BEGUN_TAG = "penumbra.key", "penumbra.begun"  # of runs: what identifies one, since when it is recorded
FACTS_TAG, JSON_TAG_FACTS = "facts", ("settings", "environment")  # tags of trainings that hold JSON
MAX_METRIC_NAME = 200  # characters; MLflow takes 250


@dataclass(frozen=True)
class FinishedRun:
    """A finished run that is to be recorded; `start` and `end` in seconds since the epoch. Of the metrics those are
    left out that aren't finite: MLflow would keep the largest float in place of infinity."""

    name: str
    start: float
    end: float
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedRun:
    """A run as MLflow has it; `start` in seconds since the epoch."""

    id: str
    start: float
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    def read_facts(self) -> dict[str, Any]:
        """Read what made a training or experiment run.

        Returns:
            "candidate", "parameters", "train" and "judged" (batches), "data_version", "revision", "files" (digests by
            path), "gate", "settings" without their secrets, "environment" and others.
        """
        own = {name: mask_settings(json.loads(self.tags[name])) for name in JSON_TAG_FACTS}
        return {**json.loads(self.tags[FACTS_TAG]), **own}


@dataclass(frozen=True)
class BegunRun:
    """A run that is being recorded, with what `ModelRegistry.record` takes beside it."""

    run: FinishedRun
    parent: str
    key: str
    artifacts: Mapping[str, Path]
    data_version: str


@dataclass(frozen=True)
class RunContents:
    """What MLflow's tables have of a run.

    Attributes:
        tags: Its tags.
        params: Its parameters.
        metrics: Its metrics, all finite, by names that MLflow takes.
        long_texts: By artifact path what is too long for a tag or a parameter.
    """

    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    long_texts: dict[str, str]


def build_contents(begun: BegunRun) -> RunContents:
    """Build what MLflow's tables are to have of a run.

    Args:
        begun: The run.

    Returns:
        Its contents.
    """
    tags, long_tags = shorten_texts(_build_tags(begun), "tags")
    params, long_params = shorten_texts({key: str(value) for key, value in begun.run.params.items()}, "params")
    return RunContents(tags, params, _build_metrics(begun.run.metrics), {**long_tags, **long_params})


def build_update(metrics: Mapping[str, float], tags: Mapping[str, str]) -> RunContents:
    """Build what a recorded run gets anew.

    Args:
        metrics: Its metrics.
        tags: Its tags, which are short.

    Returns:
        The contents, without parameters.
    """
    return RunContents(dict(tags), {}, _build_metrics(metrics), {})


def convert_to_milliseconds(seconds: float) -> int:
    """Return a time, in `seconds` since the epoch, in the whole milliseconds that MLflow keeps."""
    return int(seconds * 1000)


def _build_tags(begun: BegunRun) -> dict[str, str]:
    tags = {**begun.run.tags, "mlflow.runName": begun.run.name, BEGUN_TAG: f"{time.time():.0f}"}
    named = {"mlflow.parentRunId": begun.parent, KEY_TAG: begun.key}
    return tags | {name: value for name, value in named.items() if value}


def _build_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    return {_to_metric_name(key): float(value) for key, value in metrics.items() if math.isfinite(value)}


def _to_metric_name(name: str) -> str:
    """A name that MLflow takes; a digest tells apart those with other characters than it allows, such as "a (EUR)"."""
    plain = re.sub(r"[^\w. :-]", "_", name)[:MAX_METRIC_NAME]
    return name if plain == name else f"{plain} {hashlib.sha256(name.encode()).hexdigest()[:8]}"
