"""Was this data, with this code and these settings, trained before? Ends with 0 if so, and says which version it made;
with 3 if not, and with 1 where something is in the way of any training."""

import sys

from flows.steps.train import plan
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.storage.cache import RunReceipts

EXIT_NOT_TRAINED = 3


def main() -> None:
    try:
        settings = load_settings()
        made = plan.make_plan(settings, load_problem())
    except plan.PLAN_ERRORS as error:
        sys.exit(str(error))
    version = plan.find_trained_version(made, settings)
    if version is None:
        sys.exit(EXIT_NOT_TRAINED)
    RunReceipts(settings.training.folder).write_latest(
        f"Nothing to train: version {version} was made from this data, code and settings.\n"
        f"(data {made.facts['data_version'][:8]}, fingerprint {made.fingerprint[:8]})\n"
    )


if __name__ == "__main__":
    main()
