"""Where the state that machines share lies: what is kept below the URL of the setting `cluster.state`."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from penumbra.core.settings import Settings

StateFolder = Literal[
    "ledger",
    "leases",
    "data",
    "data-version",
    "train",
    "monitor",
    "passes",
    "failures",
    "logs",
    "receipts",
    "reviews",
    "score",
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


@contextlib.contextmanager
def exclude_machines(settings: Settings, work: str, wait: bool = True) -> Iterator[bool]:
    """Let no other machine do the same for the block, by a lease; nothing where machines share no state.

    Args:
        settings: The section [cluster] is read.
        work: What is done, in a word that is the lease's name, too.
        wait: Whether to wait for another machine that is at it. One that was killed is waited for in any case, which
            is over within a minute.

    Yields:
        Whether it has waited.

    Raises:
        WorkInProgress: Another machine is at it, and `wait` is false.
        LeaseLost: At the end of the block: this machine was silent for too long, and another one is at it now.
        StoreError: The store refuses, or is away.
    """
    state = SharedState.from_settings(settings)
    if state is None:
        yield False
        return
    from penumbra.storage.shared.lease import hold_lease

    with hold_lease(state.locate("leases"), work, work, wait) as lease:
        yield lease.has_waited
