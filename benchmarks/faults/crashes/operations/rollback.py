"""A rollback of the live model, with a registry and while the registry is away."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.crashes.operations.operation import (
    MLFLOW_MODULES,
    Operation,
    describe_ledger,
    describe_registry,
    make_settings,
)
from penumbra.storage.sealed import SEAL_SUFFIX, find_damaged_files

LIGHT_MODULES = ("penumbra.registry.rollback", "penumbra.core.settings")


def prepare_promoted(folder: Path, has_registry: bool) -> None:
    """Serve version 2 after version 1."""
    from penumbra.registry.bundles.manifest import write_manifest
    from penumbra.registry.history.ledger_entries import LedgerEvent
    from penumbra.registry.history.shared_ledger import open_ledger

    settings = make_settings(folder)
    for version in ("1", "2"):
        (settings.service.state / "bundles" / version).mkdir(parents=True)
        write_manifest(settings.service.state / "bundles" / version, {"inputs": [], "tables": {}, "sha256": {}})
    for pointer, version in (("live", "2"), ("previous", "1")):
        (settings.service.state / pointer).write_text(version)
    versions = {"live": "2", "previous": "1"}
    event = LedgerEvent(kind="promotion", actor="ann", reason="better", verdict="promote", versions=versions)
    open_ledger(settings).append(event)
    if has_registry:
        from tests.helpers.models import registered_versions

        database = registered_versions.register_versions(folder / "registered", "ab")
        registered_versions.make_aliased_registry(folder, database, live="2", previous="1")


def run_rollback(folder: Path, has_registry: bool) -> None:
    """Do what the command does; a second rollback is refused."""
    from penumbra.registry.rollback import RollbackRefused, roll_back_live, sync_rollback

    settings = make_settings(folder)
    try:
        print(roll_back_live(settings, "complaints"))
    except RollbackRefused as refused:
        print(refused)
    if has_registry:
        print(sync_rollback(settings))


def describe_pointers(folder: Path, has_registry: bool) -> Iterator[str]:
    """Yield a text for each pointer, alias, version and entry of the ledger."""
    settings = make_settings(folder)
    for path in settings.service.state.iterdir():
        if path.is_file() and not path.name.startswith(".") and path.suffix not in (".lock", SEAL_SUFFIX):
            yield f"pointer: {path.name} {path.read_text() if path.name != 'rolled-back' else ''}"
    yield from (f"damaged: {path}" for path in find_damaged_files(settings.service.state))
    yield from describe_ledger(settings)
    if has_registry:
        yield from describe_registry(settings)


def _make_operation(has_registry: bool) -> Operation:
    prepare, run, describe = (
        partial(each, has_registry=has_registry) for each in (prepare_promoted, run_rollback, describe_pointers)
    )
    return Operation(
        prepare, run, describe, "ledger: rollback", (*LIGHT_MODULES, *(MLFLOW_MODULES if has_registry else ()))
    )


OPERATIONS = {"rollback": _make_operation(True), "rollback_alone": _make_operation(False)}
