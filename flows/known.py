"""Was this data, with this code and these settings, trained before? Ends with 0 if so, and says which version it made;
with 3 if not, and with 1 where something is in the way of any training."""

import sys

import settings
from flows.experiments import plan
from stores.receipts import Receipts

UNKNOWN = 3


def main() -> None:
    try:
        chosen = settings.load()
        made = plan.make(chosen)
    except plan.EXPECTED as error:
        sys.exit(str(error))
    version = plan.trained_as(made, chosen)
    if version is None:
        sys.exit(UNKNOWN)
    Receipts(chosen.training.folder).say(
        f"Nothing to train: version {version} was made from this data, code and settings.\n"
        f"(data {made.facts['data_version'][:8]}, fingerprint {made.fingerprint[:8]})\n"
    )


if __name__ == "__main__":
    main()
