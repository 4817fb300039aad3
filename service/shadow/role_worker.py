"""One place in the shadow, candidate or previous: takes its model through the prediction log in micro-batches.

Rows that can't be scored are recorded with the reason: those that the model fails on, those that are too old when their
turn comes, and those that come while a model that fails again and again is left alone for a while.
"""

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from penumbra.core.settings import Settings
from penumbra.logs.schema import STATUS_ERROR, STATUS_OK, STATUS_SKIPPED, STATUS_TIMEOUT, ShadowBatch, ShadowRow
from penumbra.logs.shadow_log import ShadowLog
from penumbra.registry.lineage import BUNDLES_FOLDER
from penumbra.registry.pointers import find_shadow_version
from service.shadow.backlog import LoggedPrediction, ScoringJob, make_shadow_start, read_next_job
from service.shadow.scorer_client import ScorerClient, ScorerDied, ScoreRequest, ScorerTimeout, ShadowResult

FAILURES_BEFORE_BACKOFF = 3  # so many in a row, and the model is left alone
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 2.0, 300.0  # seconds
MAX_JOB_TRIES = 2
GATHER_SECONDS = 0.2  # seconds until the next batch after one that wasn't full: a few rows cost as much as many

logger = logging.getLogger("service.shadow.process")


@dataclass
class ShadowRoleWorker:
    """`step` never waits: it is called again and again. `version` is the model that the role's pointer names."""

    role: str
    settings: Settings
    log: ShadowLog
    version: str | None = None
    client: ScorerClient | None = None
    problem: str = ""
    failures: int = 0
    _job: ScoringJob | None = None
    _again: ScoringJob | None = None
    _resumes: float = 0.0
    _gathers: float = 0.0

    def step(self) -> bool:
        """Do what can be done now; return whether that was anything. Raises OSError (the logs)."""
        self._follow_pointer()
        if self.version is None:
            return False
        try:
            if self._job:
                return self._collect(self._job)
            return time.monotonic() >= self._gathers and (self.is_backing_off or self._ready()) and self._begin()
        except (ScorerTimeout, ScorerDied) as error:
            self._failed(error)
            return True

    def close(self) -> None:
        if self.client:
            self.client.close()
        self.client = self._job = None

    @property
    def is_waiting(self) -> bool:
        """Is something to come from the model's process?"""
        return self._job is not None or (self.client is not None and self.client.refused is None)

    @property
    def is_backing_off(self) -> bool:
        """Is the model left alone, as it failed again and again?"""
        return time.monotonic() < self._resumes

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
        self.version, self.problem, self.failures, self._again, self._resumes = version, "", 0, None, 0.0

    def _ready(self) -> bool:
        if self.client is None:
            limits = self.settings.shadow
            folder = self.settings.service.state / BUNDLES_FOLDER / str(self.version)
            self.client = ScorerClient(folder, limits.timeout_seconds, limits.memory_mb)
        if not self.client.is_ready():
            return False
        if self.client.refused:
            self.failures = max(self.failures, FAILURES_BEFORE_BACKOFF)
            raise ScorerDied(f"its bundle is refused: {self.client.refused}")
        return True

    def _begin(self) -> bool:
        """Give the next rows to the model, or record why it doesn't get them; False where there are none."""
        settings, progress = self.settings, self.log.state.models[str(self.version)]
        rows = settings.shadow.batch_rows
        if not (job := self._again or read_next_job(settings.service.predictions, progress, rows)):
            return False
        hours = settings.shadow.catch_up_hours
        if old := job.count_older(dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)):
            self._skip(job.take_first(old), f"older than {hours:g} h when its turn came")
        elif self.is_backing_off:
            self._skip(job, f"left alone after {self.failures} failures: {self.problem}")
        else:
            self._job = job
            self._get_client().send_request(ScoreRequest(str(job.path), job.start, job.end))
        return True

    def _collect(self, job: ScoringJob) -> bool:
        if (said := self._get_client().poll_results()) is None:
            return False
        if len(said) != len(job.lines):
            raise ScorerDied(f"{len(said)} answers to {len(job.lines)} rows")
        self._record(job, said)
        self.failures = 0
        return True

    def _skip(self, job: ScoringJob, reason: str) -> None:
        self._record(job, [ShadowResult(status=STATUS_SKIPPED, reason=reason)] * len(job.lines))

    def _failed(self, error: Exception) -> None:
        """The process took too long, or died. What it was at when it died is given to a new one once more: it may have
        been killed for no fault of its own."""
        job, self.problem = self._job, str(error)
        self.close()
        self.failures += 1
        logger.warning("version %s failed in the shadow: %s", self.version, error)
        if self.failures >= FAILURES_BEFORE_BACKOFF:
            self._resumes = time.monotonic() + min(
                FIRST_BACKOFF_SECONDS * 2 ** (self.failures - FAILURES_BEFORE_BACKOFF), MAX_BACKOFF_SECONDS
            )
        if job and isinstance(error, ScorerDied) and job.tries < MAX_JOB_TRIES:
            self._again = replace(job, tries=job.tries + 1)
        elif job:
            status = STATUS_TIMEOUT if isinstance(error, ScorerTimeout) else STATUS_ERROR
            self._record(job, [ShadowResult(status=status, reason=self.problem)] * len(job.lines))

    def _record(self, job: ScoringJob, said: Sequence[ShadowResult]) -> None:
        now, version = dt.datetime.now(dt.UTC), str(self.version)
        pairs = list(zip(job.lines, said, strict=True))
        rows = [ShadowRow(line.id, version, now, *_result_fields(each)) for line, each in pairs]
        self.log.append(summarise_shadow_batch(version, job, pairs), rows)
        self._job = self._again = None
        self._gathers = 0.0 if len(rows) >= self.settings.shadow.batch_rows else time.monotonic() + GATHER_SECONDS

    def _get_client(self) -> ScorerClient:
        if self.client is None:
            raise ScorerDied("it isn't running")
        return self.client


def _is_comparable(line: LoggedPrediction, version: str) -> bool:
    """Is it what another model answered by itself?"""
    return line.output is not None and line.model != version and not (line.rules or line.fallback)


def summarise_shadow_batch(
    version: str, job: ScoringJob, pairs: Sequence[tuple[LoggedPrediction, ShadowResult]]
) -> ShadowBatch:
    """The line that makes a job's rows count, with how far the model agrees with the live one."""
    batch = ShadowBatch(version, job.path.stem, job.start, job.end, {})
    for line, said in pairs:
        batch.statuses[said.status] = batch.statuses.get(said.status, 0) + 1
        if said.status == STATUS_OK and _is_comparable(line, version):
            batch.compared += 1
            batch.difference += compute_output_difference(line.output, said.output)
            if isinstance(line.decision, bool | str):
                batch.decided += 1
                batch.differing += line.decision != said.decision
    return batch


def compute_output_difference(live: float | list[float], shadow: float | list[float]) -> float:
    """Absolute difference of two values; of two distributions over classes, half the sum of them all: the share of
    probability that is elsewhere."""
    if isinstance(live, list) and isinstance(shadow, list):
        return sum(abs(one - other) for one, other in zip(live, shadow, strict=True)) / 2
    return abs(live - shadow)  # type: ignore[operator]


def _result_fields(said: ShadowResult) -> tuple[object, object, str, str]:
    return said.output, said.decision, said.status, said.reason
