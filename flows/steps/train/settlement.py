"""Whether there is anything to train: what is left of an earlier training is finished first."""

import sqlite3

from flows.steps.shared.shared_folders import fetch_folders, list_training_folders
from flows.steps.train import plan
from penumbra.approvals.accepted_faults import include_accepted_faults
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.addresses import get_scheme
from penumbra.registry.tracking.sqlite_registry import get_database_path, needs_mlflow, read_aliases
from penumbra.storage.cache import RunReceipts


def settle_training(settings: Settings, problem: Problem) -> bool:
    """Finish a registration that was cut short, and tell whether this data, code and settings were trained before.

    If they were, the latest receipt says so.

    Args:
        settings: All of them.
        problem: The problem, with schema, source, features and candidates.

    Returns:
        Whether there is nothing to train.

    Raises:
        Exception: Those of `plan.PLAN_ERRORS` and `registration.REGISTRATION_ERRORS`.
    """
    fetch_folders(list_training_folders(settings))
    receipts = RunReceipts(settings.training.folder)
    if receipts.begun_file.exists():
        from flows.steps.train.release import registration

        registration.prepare_registration(settings)
    current = plan.make_plan(include_accepted_faults(settings), problem)
    version = plan.find_trained_version(current, settings)
    if version is not None:
        receipts.write_latest(
            f"Nothing to train: version {version} was made from this data, code and settings.\n"
            f"(data {current.facts['data_version'][:8]}, fingerprint {current.fingerprint[:8]})\n"
        )
    return version is not None


def prepare_registry(settings: Settings) -> None:
    """Find out before a training whether its model can be registered, and finish what a killed process has begun.

    MLflow, which takes a second to import, is asked only where a look into an SQLite database doesn't show that nothing
    is wrong and nothing left to do.

    Args:
        settings: Sections [training], [registry], [ledger], [service] and [cluster] are read.

    Raises:
        BrokenLedger: The ledger isn't whole, or the live model's past isn't here.
        MlflowException: The registry is damaged, locked or out of reach.
    """
    from penumbra.registry.history.ledger_sync import require_history
    from penumbra.registry.history.shared_ledger import open_ledger

    if _is_registry_in_order(settings):
        database = get_database_path(settings.registry.tracking)
        aliases = read_aliases(database, settings.registry.model) if database and database.exists() else None
        require_history(settings, aliases, open_ledger(settings).entries())
        return
    from flows.steps.train.release import registration
    from penumbra.registry.models import ModelRegistry

    registration.prepare_registration(settings)
    ModelRegistry(settings.registry).require_writable()


def require_registry(settings: Settings) -> None:
    """Find out whether the registry can keep a result, before minutes are spent; by MLflow only where it takes that.

    Args:
        settings: Sections [training], [registry] and [cluster] are read.

    Raises:
        MlflowException: The registry is damaged, locked or out of reach.
    """
    if not _is_registry_in_order(settings):
        from penumbra.registry.models import ModelRegistry

        ModelRegistry(settings.registry).require_writable()


def _is_registry_in_order(settings: Settings) -> bool:
    database = get_database_path(settings.registry.tracking)
    is_elsewhere = settings.cluster.state or get_scheme(settings.registry.artifacts)
    if not database or is_elsewhere or RunReceipts(settings.training.folder).begun_file.exists():
        return False
    try:
        return not database.exists() or not needs_mlflow(database)
    except sqlite3.Error as error:
        from penumbra.registry.tracking.database import refuse_locked

        refuse_locked(database, error)
        return False
