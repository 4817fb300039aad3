"""Whether there is anything to train: what is left of an earlier training is finished first."""

from flows.steps.shared_folders import fetch_folders, list_training_folders
from flows.steps.train import plan
from penumbra.approvals.accepted_faults import include_accepted_faults
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
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
        from flows.steps.train import registration

        registration.prepare_registration(settings)
    current = plan.make_plan(include_accepted_faults(settings), problem)
    version = plan.find_trained_version(current, settings)
    if version is not None:
        receipts.write_latest(
            f"Nothing to train: version {version} was made from this data, code and settings.\n"
            f"(data {current.facts['data_version'][:8]}, fingerprint {current.fingerprint[:8]})\n"
        )
    return version is not None
