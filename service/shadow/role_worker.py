"""The worker of one shadow role, candidate or previous: takes its model through the prediction log in micro-batches.

Rows that can't be scored are recorded with the reason: rows that the model fails on, rows that are too old when their
turn comes, and rows that arrive while a model that keeps failing is left alone for a while.
"""

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from penumbra.core.settings import ServiceSettings, Settings
from penumbra.core.text.counts import format_count
from penumbra.logs.schema import (
    BEHIND_REASON,
    STATUS_ERROR,
    STATUS_OK,
    STATUS_SKIPPED,
    STATUS_TIMEOUT,
    ShadowBatch,
    ShadowRow,
)
from penumbra.logs.shadow.shadow_log import SHADOW_ROLES, ShadowLog
from penumbra.registry.bundles.manifest import drop_way_out
from penumbra.registry.pointers import (
    BUNDLES_FOLDER,
    CANARY_ALIAS,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    find_shadow_version,
    read_pointer,
)
from service.shadow.backlog import LoggedPrediction, ScoringJob, make_shadow_start, read_next_job
from service.shadow.scorer_client import ScorerClient, ScorerDied, ScoreRequest, ScorerTimeout, ShadowResult

FAILURES_BEFORE_BACKOFF = 3  # failures in a row before the model is left alone
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 2.0, 300.0
MAX_JOB_TRIES = 2
SKIPPED_BATCHES = 32  # batches that a model that is behind leaves out at most before its next one
MAX_PAUSE_SECONDS = 0.2

logger = logging.getLogger("service.shadow.process")


def compute_pause(service: ServiceSettings) -> float:
    """Compute how long the shadow waits for more rows: where it has none, and after a batch that wasn't full.

    A few rows cost as much as many. A service that looks for new models often is waited for.

    Args:
        service: Section [service] (`poll_seconds`).

    Returns:
        Seconds.
    """
    return min(MAX_PAUSE_SECONDS, service.poll_seconds / 4)


@dataclass
class ShadowRoleWorker:
    """Scores the backlog of one role; `version` is the model that the role's pointer names, or None."""

    role: str
    settings: Settings
    log: ShadowLog
    version: str | None = None
    client: ScorerClient | None = None
    last_failure: str = ""
    failures: int = 0
    _job: ScoringJob | None = None
    _retry_job: ScoringJob | None = None
    _resume_at: float = 0.0
    _next_batch_at: float = 0.0
    _busy_since: float | None = None  # it has had work ever since

    def step(self) -> bool:
        """Do what can be done without waiting; call it repeatedly.

        Returns:
            True if anything was done.

        Raises:
            OSError: A log can't be read or written.
        """
        self._follow_pointer()
        if self.version is None:
            return False
        try:
            if self._job:
                return self._collect(self._job)
            return (
                time.monotonic() >= self._next_batch_at
                and (self.is_backing_off or self._is_client_ready())
                and self._start_next_job()
            )
        except (ScorerTimeout, ScorerDied) as error:
            self._handle_failure(error)
            return True

    def close(self) -> None:
        """End the model's process, if there is one; its unfinished job is scored later."""
        if self.client:
            self.client.close()
        self.client = self._job = None

    @property
    def is_waiting(self) -> bool:
        """True while a message from the model's process is expected."""
        return self._job is not None or (self.client is not None and self.client.refused is None)

    @property
    def is_backing_off(self) -> bool:
        """True while the model is left alone because it kept failing."""
        return time.monotonic() < self._resume_at

    def _follow_pointer(self) -> None:
        version = find_shadow_version(self.settings.service.state, self.role)
        if version == self.version:
            return
        self.close()
        if version and version not in self.log.state.models:
            hours = self.settings.shadow.catch_up_hours
            self.log.append(make_shadow_start(self.settings.service.predictions, version, hours))
        if version:
            logger.info("version %s is in the shadow as %s", version, self.role)
        self.version, self.last_failure, self.failures, self._retry_job, self._resume_at = version, "", 0, None, 0.0
        self._busy_since = None

    def _is_client_ready(self) -> bool:
        if self.client is None:
            folder = self.settings.service.state / BUNDLES_FOLDER / str(self.version)
            signers = self.settings.registry.signed_by
            self.client = ScorerClient(folder, self.settings.shadow, signers)
        if not self.client.is_ready():
            return False
        if self.client.refused:
            self.failures = max(self.failures, FAILURES_BEFORE_BACKOFF)
            refused = self.client.refused
            raise ScorerDied(
                f"its bundle is refused: {drop_way_out(refused) if self.role == PREVIOUS_ALIAS else refused}"
            )
        return True

    def _start_next_job(self) -> bool:
        """Send the next rows to the model, or record why it doesn't get them; False where there are none."""
        settings, progress = self.settings, self.log.state.models[str(self.version)]
        rows, now, is_overloaded = settings.shadow.batch_rows, dt.datetime.now(dt.UTC), self._is_overloaded()
        most = rows * SKIPPED_BATCHES if is_overloaded else rows
        if not (job := self._retry_job or read_next_job(settings.service.predictions, progress, most)):
            self._busy_since = None
            return False
        self._busy_since = self._busy_since or time.monotonic()
        hours, seconds = settings.shadow.catch_up_hours, settings.shadow.max_lag_seconds
        if outdated := self._count_outdated(job):
            self._append(job.take_first(outdated), [], is_full=True)
        elif old := job.count_older(now - dt.timedelta(hours=hours)):
            self._skip(job.take_first(old), f"older than {hours:g} h when its turn came")
        elif self.is_backing_off:
            self._skip(job, f"left alone after {self.failures} failures: {self.last_failure}")
        elif is_overloaded and job.is_new and (old := job.count_older(now - dt.timedelta(seconds=seconds))):
            self._skip(job.take_first(old), f"{BEHIND_REASON} {seconds:g} s behind")
        else:
            self._job = job.take_first(rows)
            self._get_client().send_request(ScoreRequest(str(job.path), job.start, self._job.end))
        return True

    def _count_outdated(self, job: ScoringJob) -> int:
        """Count the leading lines of the past that this version isn't compared on.

        Those are its own, and those of versions that are neither live, nor canary, nor in the shadow any more.
        """
        state = self.settings.service.state
        if job.is_new or (live := read_pointer(state, LIVE_ALIAS)) is None:
            return 0
        others = {live, *(read_pointer(state, role) for role in (*SHADOW_ROLES, CANARY_ALIAS))} - {self.version}
        return next((n for n, line in enumerate(job.lines) if not line.model or line.model in others), len(job.lines))

    def _is_overloaded(self) -> bool:
        """Tell whether more has arrived than the model could answer for so long as it may be behind."""
        limit = self.settings.shadow.max_lag_seconds
        return self._busy_since is not None and time.monotonic() - self._busy_since > limit

    def _collect(self, job: ScoringJob) -> bool:
        if (results := self._get_client().poll_results()) is None:
            return False
        if len(results) != len(job.lines):
            raise ScorerDied(f"{format_count(len(results), 'answer')} to {format_count(len(job.lines), 'row')}")
        self._record(job, results)
        self.failures = 0
        return True

    def _skip(self, job: ScoringJob, reason: str) -> None:
        self._record(job, [ShadowResult(status=STATUS_SKIPPED, reason=reason)] * len(job.lines))

    def _handle_failure(self, error: Exception) -> None:
        """End the process after a timeout or its death. A job that it died on is sent to a new process once more.

        The process may have been killed for no fault of the model's.
        """
        is_told = self.failures > 0 and str(error) == self.last_failure
        job, self.last_failure = self._job, str(error)
        self.close()
        self.failures += 1
        level = logging.DEBUG if is_told else logging.WARNING
        logger.log(level, "version %s failed in the shadow: %s", self.version, error)
        if self.failures >= FAILURES_BEFORE_BACKOFF:
            self._resume_at = time.monotonic() + min(
                FIRST_BACKOFF_SECONDS * 2 ** (self.failures - FAILURES_BEFORE_BACKOFF), MAX_BACKOFF_SECONDS
            )
        if job and isinstance(error, ScorerDied) and job.tries < MAX_JOB_TRIES:
            self._retry_job = replace(job, tries=job.tries + 1)
        elif job:
            status = STATUS_TIMEOUT if isinstance(error, ScorerTimeout) else STATUS_ERROR
            self._record(job, [ShadowResult(status=status, reason=self.last_failure)] * len(job.lines))

    def _record(self, job: ScoringJob, results: Sequence[ShadowResult]) -> None:
        answered = zip(job.lines, results, strict=True)
        pairs = [(line, result) for line, result in answered if line.model != self.version]  # nothing is answered twice
        self._append(job, pairs, len(job.lines) >= self.settings.shadow.batch_rows or self._is_overloaded())

    def _append(self, job: ScoringJob, pairs: Sequence[tuple[LoggedPrediction, ShadowResult]], is_full: bool) -> None:
        """Log what the version said of a job's lines; after one that wasn't full it waits for more."""
        now, version = dt.datetime.now(dt.UTC), str(self.version)
        rows = [ShadowRow(line.id, version, now, *_result_fields(result)) for line, result in pairs]
        self.log.append(summarise_shadow_batch(version, job, pairs), rows)
        self._job = self._retry_job = None
        self._next_batch_at = 0.0 if is_full else time.monotonic() + compute_pause(self.settings.service)

    def _get_client(self) -> ScorerClient:
        if self.client is None:
            raise ScorerDied("it isn't running")
        return self.client


def _is_comparable(line: LoggedPrediction, output: float | list[float] | None) -> bool:
    """Tell whether a model gave this answer alone, without rules, exploration or fallback; and while the task was that
    of the shadow's `output`."""
    if line.output is None or line.rules or line.fallback or line.explored:
        return False
    live, shadow = (len(each) if isinstance(each, list) else 0 for each in (line.output, output))
    return live == shadow


def summarise_shadow_batch(
    version: str, job: ScoringJob, pairs: Sequence[tuple[LoggedPrediction, ShadowResult]]
) -> ShadowBatch:
    """Summarise a scored job as the log entry that makes its rows count.

    Args:
        version: The shadow model's version.
        job: The scored job.
        pairs: Each logged prediction with the shadow model's result.

    Returns:
        The entry: rows by status, and how far the model agrees with the live one.
    """
    batch = ShadowBatch(version, job.path.stem, job.start, job.end, {})
    for line, result in pairs:
        batch.statuses[result.status] = batch.statuses.get(result.status, 0) + 1
        if result.status == STATUS_OK and _is_comparable(line, result.output):
            batch.compared += 1
            batch.difference += compute_output_difference(line.output, result.output)
            if isinstance(line.decision, bool | str):
                batch.decided += 1
                batch.differing += line.decision != result.decision
    return batch


def compute_output_difference(live: float | list[float], shadow: float | list[float]) -> float:
    """Compute how far two outputs are apart: what `compute_distances` is to arrays, without NumPy in this process.

    Args:
        live: The live model's output: a number, or the probabilities of the classes.
        shadow: The shadow model's output, of the same shape.

    Returns:
        The absolute difference of two numbers; of two distributions half the sum of absolute differences, which is the
        total variation distance.
    """
    if isinstance(live, list) and isinstance(shadow, list):
        return sum(abs(one - other) for one, other in zip(live, shadow, strict=True)) / 2
    return abs(live - shadow)  # type: ignore[operator]


def _result_fields(result: ShadowResult) -> tuple[object, object, str, str]:
    return result.output, result.decision, result.status, result.reason
