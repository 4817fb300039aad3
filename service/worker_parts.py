"""The parts of a worker: its models, logs, marks and endpoints, from its start to its end."""

import asyncio
import contextlib
import faulthandler
import functools
import logging
import os
import signal
import threading

from penumbra.core.problem import Problem
from penumbra.core.settings import ServiceSettings, Settings
from penumbra.logs.labels import LabelSpec
from penumbra.reviews.case_lineage import explain_reviewed_prediction
from penumbra.reviews.deferred import describe_deferred_answer
from service.http import bentoml_app
from service.http.requests.feedback import FeedbackEndpoint
from service.http.requests.record_reader import Contract, RecordReader
from service.inference.blocked_records import record_crashes
from service.inference.idempotency.request_claims import ClaimJournal
from service.inference.models.canary_share import CanaryShare
from service.inference.models.live_model import LiveModels
from service.inference.predictor import Predictor
from service.inference.rules.rule_engine import make_problem_rule_engines
from service.inference.scoring_marks import HANG_SIGNAL, WorkerMarks
from service.inference.service_logs import ServiceLogs
from service.processes.deployment.state_lock import acquire_state_lock
from service.processes.workers import inheritance, process_control

logger = logging.getLogger("service.worker_parts")


class WorkerParts:
    """What a worker answers requests with, as `endpoints.ServiceParts`, and the tasks that run beside them."""

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        contract: Contract,
        labels: RecordReader,
        share: CanaryShare | None,
    ) -> None:
        """Open the logs, and load the live model.

        Args:
            settings: All settings.
            problem: The problem, with schema, features and rules.
            contract: Reads records.
            labels: Reads labels.
            share: The canary's share of the records; None for none.
        """
        logging.getLogger("bentoml").setLevel(logging.WARNING)
        logging.getLogger("service").setLevel(logging.INFO)
        process_control.enable_loggers()
        service, spec = settings.service, LabelSpec.from_schema(problem.schema)
        make_rules = make_problem_rule_engines(settings.rules, problem, spec)
        live = LiveModels(service.state, problem, make_rules, share is not None, settings.registry.signed_by)
        rotation = settings.log.segment_mb, settings.limit_segment_hours(settings.log.segment_hours)
        self.marks = open_worker_marks(service)
        self.logs = ServiceLogs(service.predictions, settings.labels.folder, *rotation)
        self.claims = ClaimJournal(service.state, service.idempotency_minutes)
        self.predictor = Predictor(contract, spec.task, live, self.logs, share, self.marks, self.claims)
        self.feedback = FeedbackEndpoint(labels, spec, self.logs.labels)
        self.explain = functools.partial(explain_reviewed_prediction, settings)
        self.find_review = functools.partial(describe_deferred_answer, settings, spec)
        live.refresh()

    async def start(self) -> None:
        """Start the tasks beside the answers, and keep the worker's process fit for these."""
        self.tasks = [
            asyncio.create_task(self.predictor.run_maintenance()),
            asyncio.create_task(self.marks.run_heartbeat()),
            asyncio.create_task(_end_with_parent()),
        ]
        bentoml_app.tune_worker()
        process_control.request_short_slices()
        process_control.escape_log_output()

    async def stop(self) -> None:
        """End the tasks, and close marks, logs and claims."""
        for task in self.tasks:
            task.cancel()
        self.marks.close()
        self.logs.close()
        self.claims.close()


def open_worker_marks(service: ServiceSettings) -> WorkerMarks:
    """Open the marks of this worker, and make it print where it hangs before it is ended for that.

    A worker of `bentoml serve` has no host, so it records what others left that have ended, and has the kernel end it.

    Args:
        service: `state` and `hang_seconds` are read.

    Returns:
        The marks of this process.
    """
    if threading.current_thread() is not threading.main_thread():  # within another program, such as a test
        return WorkerMarks(service.state, service.hang_seconds)
    faulthandler.register(HANG_SIGNAL, chain=True)
    if inheritance.inherited is None:
        acquire_state_lock(service.state, shared=True)
        with contextlib.suppress(OSError):
            for sentence in record_crashes(service.state):
                logger.error("%s", sentence)
    return WorkerMarks(service.state, service.hang_seconds, has_timer=inheritance.inherited is None)


async def _end_with_parent() -> None:
    """End this worker when its parent process ends: it would otherwise hold the port after the parent was killed."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
