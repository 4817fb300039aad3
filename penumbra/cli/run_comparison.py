"""Runs of the registry, read for a comparison."""

import json

from flows.steps.train.run_record import JSON_TAG_FACTS
from penumbra.core.masking import mask_settings
from penumbra.core.settings import RegistrySettings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.run_records import RecordedRun
from penumbra.training.comparison import ComparedRun


def read_compared_runs(registry: RegistrySettings, count: int) -> list[ComparedRun]:
    """Read the latest experiments and trainings.

    Args:
        registry: Where the runs are.
        count: How many runs to read at most.

    Returns:
        The runs, oldest first.

    Raises:
        MlflowException: The registry can't be read.
    """
    return [_to_compared_run(run) for run in reversed(ModelRegistry(registry).find_latest_runs(count))]


def _to_compared_run(run: RecordedRun) -> ComparedRun:
    facts = {key: mask_settings(json.loads(run.tags[key])) for key in JSON_TAG_FACTS}
    return ComparedRun(run.id, run.start, run.metrics, json.loads(run.tags["facts"]) | facts)
