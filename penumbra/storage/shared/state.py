"""Where the state that machines share lies: what is kept below the URL of the setting `cluster.state`."""

from dataclasses import dataclass
from typing import Literal

from penumbra.core.settings import Settings

StateFolder = Literal[
    "ledger", "leases", "data", "data-version", "train", "monitor", "failures", "reviews", "logs", "receipts"
]


@dataclass(frozen=True)
class SharedState:
    """The state behind a URL; local folders are copies of what is kept there."""

    url: str

    @classmethod
    def from_settings(cls, settings: Settings) -> "SharedState | None":
        """Return the state that `settings` share with other machines; None where this machine's folders are all."""
        return cls(settings.cluster.state.rstrip("/")) if settings.cluster.state else None

    def locate(self, folder: StateFolder, *below: str) -> str:
        """Locate a part of the state.

        Args:
            folder: What is kept: "train" for `training.folder`, and so on.
            below: Names of folders below it, such as a run's.

        Returns:
            Its URL.
        """
        return "/".join((self.url, folder, *below))
