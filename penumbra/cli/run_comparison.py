"""Runs of the registry, read for a comparison."""

from penumbra.core.settings import RegistrySettings
from penumbra.registry.runs import RunRegistry
from penumbra.training.evaluation.comparison import ComparedRun


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
    runs = reversed(RunRegistry(registry).find_latest_runs(count))
    return [ComparedRun(run.id, run.start, run.metrics, run.read_facts()) for run in runs]
