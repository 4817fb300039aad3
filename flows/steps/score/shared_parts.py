"""What machines share of a scoring job: one at a time scores a table, and goes on from the parts that others have left.

Parts are there before their entries are in any log, and are gone once the table is done, or is refused for its rows.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from flows.steps.score.parts.part_scoring import BROKEN, FACTS_FILE, PREDICTIONS, REFUSED
from flows.steps.score.table_job import BEGUN_FILE, DONE_FILE, BegunTable, TableJob
from flows.steps.score.table_parts import publish_parts
from flows.steps.shared.shared_folders import LAST_FILES, list_flow_folders
from penumbra.core.settings import Settings
from penumbra.logs.replicas.log_shipping import ship_logs
from penumbra.logs.replicas.shared_logs import SharedLogs
from penumbra.storage.shared.lease import Lease, LeaseLost, hold_lease
from penumbra.storage.shared.mirror import Mirror
from penumbra.storage.shared.store_failures import StoreError


class SharedParts:
    """The parts of the tables of a job, behind a URL and in a folder of this machine."""

    def __init__(self, folder: Path, url: str, logs: SharedLogs) -> None:
        """Make no request yet.

        Args:
            folder: The job's folder here.
            url: The URL of what machines share of it.
            logs: The logs that what is scored goes to.
        """
        self._folder, self._mirror, self._logs = folder, Mirror(folder, url, LAST_FILES), logs

    @classmethod
    def from_settings(cls, settings: Settings, job: str) -> "SharedParts | None":
        """Return those of a `job`, as the `settings` say where they are; None where machines share no state."""
        if (logs := SharedLogs.from_settings(settings)) is None:
            return None
        ((folder, url),) = list_flow_folders(settings, "score", job).items()
        return cls(folder, url, logs)

    @contextlib.contextmanager
    def share(self) -> Iterator[None]:
        """Fetch what others have done of the job, and leave what the block does of it, also where it fails.

        Yields:
            Nothing.

        Raises:
            StoreError: The store refuses, or is away.
            OSError: A file can't be read or written.
        """
        self._mirror.fetch()
        try:
            yield
        except LeaseLost:
            raise
        except BaseException:
            with contextlib.suppress(StoreError):  # the block's own error says more
                self._mirror.push()
            raise
        self._mirror.push()

    @contextlib.contextmanager
    def hold(self, table: TableJob) -> Iterator[Lease]:
        """Let no other machine score a table for the block, and fetch what others have done of it; a context manager.

        Args:
            table: The table.

        Yields:
            The lease of it.

        Raises:
            WorkInProgress: Another machine scores it, or has begun it anew since this run did.
            LeaseLost: At the end of the block: this machine was silent for too long, and another one scores it now.
            StoreError: The store refuses, or is away.
        """
        place = self._name_place(table)
        leases, name = self._logs.state.locate("leases"), f"score/{table.job}/{place}"
        with hold_lease(leases, name, f"score of {table.title}", wait=False) as lease:
            self._mirror.fetch(place)
            table.require_begun()
            yield lease

    def publish(self, table: TableJob, lease: Lease) -> None:
        """Log the rows of a table whose parts are all done, once other machines have these, and ship the entries.

        Args:
            table: The table.
            lease: That of the table, which is held.

        Raises:
            LeaseLost: Another machine scores it now; nothing is logged.
            StoreError: The store refuses, or is away.
            OSError: A file can't be read or written.
        """
        lease.check()
        self._mirror.push(self._name_place(table))
        lease.check()
        publish_parts(table, self._logs.folders[PREDICTIONS])
        ship_logs(self._logs, (PREDICTIONS, REFUSED, BROKEN))

    def drop(self, table: TableJob) -> None:
        """Remove the shared parts of a table of which nothing is logged. Raises StoreError where the store refuses."""
        self._delete(self._mirror.store.list_versions(f"{self._name_place(table)}/{table.begun.key}"))

    def remove_done(self) -> None:
        """Remove what no machine needs: all but the receipts of tables that are done, and all earlier beginnings.

        Raises:
            StoreError: The store refuses, or is away.
        """
        names = list(self._mirror.store.list_versions())
        begun = self._mirror.store.read_present(name for name in names if name.endswith(f"/{BEGUN_FILE}"))
        kept = tuple(
            f"{name.removesuffix(BEGUN_FILE)}{msgspec.json.decode(content, type=BegunTable).key}/"
            for name, content in begun.items()
        )
        done = tuple(place for place in kept if f"{place}{DONE_FILE}" in names)
        receipts = {f"{place}{DONE_FILE}" for place in done}
        self._delete(
            name
            for name in names
            if name not in begun and name not in receipts and (name.startswith(done) or not name.startswith(kept))
        )

    def _delete(self, names: Iterable[str]) -> None:
        """Delete objects, first those by which a part counts: whoever fetches them meanwhile has it whole, or not."""
        self._mirror.store.delete(sorted(names, key=lambda name: not name.endswith(f"/{FACTS_FILE}")))

    def _name_place(self, table: TableJob) -> str:
        return table.folder.parent.relative_to(self._folder).as_posix()
