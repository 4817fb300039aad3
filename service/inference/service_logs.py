"""The logs that one worker writes, kept alive in one place: predictions, refusals, broken counts, labels."""

import logging
import secrets
from collections.abc import Sequence
from pathlib import Path

from penumbra.logs.append_log import LogWriter
from penumbra.logs.schema import get_broken_counts_folder, get_refusals_folder
from penumbra.registry.lineage import UNLOGGED_PREFIX
from service.http import metrics

logger = logging.getLogger("service.inference.service_logs")


class ServiceLog(LogWriter):
    """A log whose failures are counted by `penumbra_log_failures`, and reported when they begin and end.

    Attributes:
        name: What the log is called in messages and metrics, such as "label log".
        consequence: What a failure means, such as "labels are refused".
    """

    def __init__(self, name: str, consequence: str, folder: Path, megabytes: float, hours: float) -> None:
        super().__init__(folder, megabytes, hours)
        self.name = name
        self.consequence = consequence
        self._reported = False

    def append(self, entries: Sequence[bytes]) -> list[str]:
        """Write encoded entries, as `LogWriter.append` does; count those that can't be written.

        Args:
            entries: JSON objects without an `id`.

        Returns:
            The ids of the entries, in their order.

        Raises:
            OSError: Where the write fails.
        """
        try:
            return super().append(entries)
        except OSError as error:
            metrics.log_failures.labels(self.name).inc(max(len(entries), 1))
            self._report(error)
            raise

    def append_or_name(self, entries: Sequence[bytes]) -> tuple[list[str], bool]:
        """Write encoded entries, or give them ids under which they aren't found.

        Args:
            entries: JSON objects without an `id`.

        Returns:
            The ids of the entries, in their order, and whether they are in the log.
        """
        try:
            return self.append(entries), True
        except OSError:
            return name_unlogged(len(entries)), False

    def recover(self) -> None:
        """Repair the log, as `LogWriter.recover` does; report where that begins or ceases to be impossible."""
        super().recover()
        if self.is_failing:
            self._report(f"{self.folder} has vanished, or isn't a folder with room that may be written")
        elif self._reported:
            self._reported = False
            logger.info("the %s can be written again", self.name)

    def _report(self, reason: object) -> None:
        if not self._reported:
            self._reported = True
            logger.error("the %s can't be written, %s: %s", self.name, self.consequence, reason)


def name_unlogged(n_entries: int) -> list[str]:
    """Make ids for answers that can't be logged.

    Args:
        n_entries: How many.

    Returns:
        The ids, under which nothing is found.
    """
    return [f"{UNLOGGED_PREFIX}{secrets.token_hex(8)}" for _ in range(n_entries)]


class ServiceLogs:
    """The logs of one worker, each with one writer; on the event loop only.

    Attributes:
        predictions: Every answer.
        refusals: The records that a business rule refused.
        broken_counts: How many records broke the contract.
        labels: The labels that `POST /feedback` accepted.
    """

    def __init__(self, predictions: Path, labels: Path, megabytes: float = 64, hours: float = 1) -> None:
        """Write to folders of their own, in segments of at most `megabytes` and `hours`."""
        rotation = megabytes, hours
        self.predictions = ServiceLog("prediction log", "answers go out without it", predictions, *rotation)
        self.refusals = ServiceLog(
            "log of refusals", "records are refused without it", get_refusals_folder(predictions), *rotation
        )
        self.broken_counts = ServiceLog(
            "log of broken counts", "the monitor doesn't see them", get_broken_counts_folder(predictions), *rotation
        )
        self.labels = ServiceLog("label log", "labels are refused", labels, *rotation)
        self._logs = (self.predictions, self.refusals, self.broken_counts, self.labels)

    def recover(self) -> None:
        """Repair all logs; called ten times a second."""
        for log in self._logs:
            log.recover()

    def describe_failures(self) -> str:
        """Describe which logs can't be written.

        Returns:
            A sentence for readiness; empty where all can be written.
        """
        failing = [f"the {log.name} {log.folder} can't be written" for log in self._logs if log.is_failing]
        return "; ".join(failing)

    def close(self) -> None:
        """Close all logs, each after what vanished of it has been written anew."""
        for log in self._logs:
            try:
                log.close()
            except OSError as error:
                logger.error("the %s ends with entries that can't be saved: %s", log.name, error)
