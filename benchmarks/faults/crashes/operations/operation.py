"""What an operation is to the harness, and what several of them describe."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penumbra.core.settings import Settings, load_settings

MLFLOW_MODULES = (
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "penumbra.registry.models",
)


@dataclass(frozen=True)
class Operation:
    """An operation that is killed at its steps.

    Attributes:
        prepare: Makes the state that it begins with, in an empty folder.
        run: Carries it out on the state in a folder.
        describe: Yields a text for each thing that the state has in the end, without times and ids.
        leaves: How one of the texts begins after an undisturbed run: without it that did something else.
        preloaded: Modules that its processes have imported when they begin; none may let polars
            compute something.
    """

    prepare: Callable[[Path], object]
    run: Callable[[Path], object]
    describe: Callable[[Path], Iterator[str]]
    leaves: str
    preloaded: tuple[str, ...] = ()


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Make settings with all folders below one.

    Args:
        folder: The folder.
        **changes: Other settings, as `section__key`.

    Returns:
        The settings.
    """
    return load_settings(environ=make_environment(folder, **changes))


def make_environment(folder: Path, **changes: Any) -> dict[str, str]:
    """Make the environment of `make_settings`, whose arguments it takes, and return its variables by name."""
    places = {
        "data__folder": "data",
        "data__derived": "derived",
        "data__remote": "remote",
        "training__folder": "train",
        "training__failures": "failures",
        "service__state": "state",
        "service__predictions": "predictions",
        "labels__folder": "labels",
        "review__folder": "reviews",
        "ledger__folder": "ledger",
        "monitor__folder": "monitor",
        "registry__artifacts": "artifacts",
    }
    settings = {name: folder / place for name, place in places.items()}
    settings |= {"registry__tracking": f"sqlite:///{folder}/mlflow.db", "data__commit": "false"}
    return {f"PENUMBRA_{name.upper()}": str(value) for name, value in {**settings, **changes}.items()}


def describe_ledger(settings: Settings) -> Iterator[str]:
    """Yield a text for each entry of the ledger."""
    from penumbra.registry.history.shared_ledger import open_ledger

    for entry in open_ledger(settings).entries():
        yield f"ledger: {entry.kind} {entry.verdict} {entry.versions} {entry.reason} {sorted(entry.evidence)}"


def describe_registry(settings: Settings) -> Iterator[str]:
    """Yield a text for each alias, and for each version with its tags."""
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(settings.registry)
    yield from (f"alias: {alias} {version}" for alias, version in (models.aliases() or {}).items())
    for version in models.client.search_model_versions(f"name = '{models.name}'"):
        tags = {name: text for name, text in version.tags.items() if not _is_time(text)}
        yield f"version {version.version}: {sorted(version.tags)} {sorted(text[20:] for text in tags.values())}"


def describe_runs(settings: Settings) -> Iterator[str]:
    """Yield a text for each of MLflow's runs, with its artifacts."""
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(settings.registry)
    for run in models.client.search_runs([models._experiment()]):
        artifacts = sorted(each.path for each in models.client.list_artifacts(run.info.run_id))
        figures = sorted(run.data.params.items()), sorted(run.data.metrics), len(run.inputs.dataset_inputs)
        yield f"run {run.info.run_name} {run.info.status}: {sorted(run.data.tags)} {figures} {artifacts}"


def _is_time(text: str) -> bool:
    try:
        return bool(dt.datetime.fromisoformat(text))
    except ValueError:
        return False
