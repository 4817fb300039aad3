"""The service factory: builds the BentoML service of a problem. The one of `problem/` is in service/app.py.

Importing it starts no threads that a fork would miss, so the worker host does so once for all workers.
"""

import asyncio
import contextlib
import faulthandler
import functools
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import cast

import bentoml
from pydantic import ConfigDict, RootModel

from penumbra.core.problem import Problem
from penumbra.core.settings import ServiceSettings, Settings
from penumbra.logs.labels import LabelSpec
from penumbra.reviews.case_lineage import explain_reviewed_prediction
from penumbra.reviews.deferred import describe_deferred_answer
from service.http import bentoml_app, openapi
from service.http.access.access_control import AccessControl, KeyDigests
from service.http.requests import feedback
from service.http.requests.feedback import FeedbackEndpoint
from service.http.requests.record_reader import Contract
from service.http.requests.responses import build_answer_type, build_review_type
from service.inference import pinned_models
from service.inference.blocked_records import record_crashes
from service.inference.canary_share import make_canary_share
from service.inference.details import OPTIONS
from service.inference.idempotency.request_claims import ClaimJournal
from service.inference.live_model import LiveModels
from service.inference.predictor import Predictor
from service.inference.rule_engine import make_problem_rule_engines
from service.inference.scoring_marks import HANG_SIGNAL, WorkerMarks
from service.inference.service_logs import ServiceLogs
from service.processes.deployment.state_lock import StateFolderRefused, acquire_state_lock
from service.processes.workers import inheritance, process_control

BENTOML_CONFIG = {"logging": {"access": {"enabled": False}}}

logger = logging.getLogger("service.service_factory")


def build_service(settings: Settings, problem: Problem, keys: KeyDigests = ()) -> bentoml_app.FastService:
    """Build the BentoML service of a problem.

    Args:
        settings: All settings.
        problem: The problem, with schema, features and rules.
        keys: Digests of the API keys, as `read_keys` returns them.

    Returns:
        The service. Each application that its `to_asgi` makes has a live model and logs of its own.

    Raises:
        SettingsError: There is a canary share, and the contract has no primary key.
    """
    service, name, schema = settings.service, settings.registry.model, problem.schema
    contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, service.max_records)
    labels = feedback.build_label_reader(schema, service.max_records)
    spec = LabelSpec.from_schema(schema)
    answer = build_answer_type(spec.task)
    share = make_canary_share(settings.promotion.canary_share, spec)
    rotation = settings.log.segment_mb, settings.limit_segment_hours(settings.log.segment_hours)

    class Body(bentoml_app.RequestBody):
        described = RootModel[contract.model | list[contract.model]]  # type: ignore[name-defined]

    class Answers(RootModel[answer | list[answer]]):  # type: ignore[valid-type]
        model_config = ConfigDict(json_schema_extra=bentoml_app.replace_any_of)

    @bentoml.service(name=name, service_class=bentoml_app.FastService, workers=service.workers, **BENTOML_CONFIG)
    class Service:
        document = openapi.build_openapi_document(
            name, contract, answer, build_review_type(spec.task), labels, feedback.build_label_examples(schema), OPTIONS
        )
        service_settings = service
        access = AccessControl(keys, service.open)
        share = inheritance.inherited.share if inheritance.inherited else None

        def __init__(self) -> None:
            logging.getLogger("bentoml").setLevel(logging.WARNING)
            logging.getLogger("service").setLevel(logging.INFO)
            process_control.enable_loggers()
            make_rules = make_problem_rule_engines(settings.rules, problem, spec)
            live = LiveModels(service.state, problem, make_rules, share is not None, settings.registry.signed_by)
            self.marks = open_worker_marks(service)
            self.logs = ServiceLogs(service.predictions, settings.labels.folder, *rotation)
            self.claims = ClaimJournal(service.state, service.idempotency_minutes)
            self.predictor = Predictor(contract, spec.task, live, self.logs, share, self.marks, self.claims)
            self.feedback = FeedbackEndpoint(labels, spec, self.logs.labels)
            self.explain = functools.partial(explain_reviewed_prediction, settings)
            self.find_review = functools.partial(describe_deferred_answer, settings, spec)
            live.refresh()

        @bentoml.on_deployment
        def prepare() -> None:
            """Run once before the workers of `bentoml serve` start."""
            os.close(_acquire_lock_or_exit(service.state))
            pinned_models.prepare_bento_start(settings)

        @bentoml.on_startup
        async def start(self) -> None:
            self.tasks = [
                asyncio.create_task(self.predictor.run_maintenance()),
                asyncio.create_task(self.marks.run_heartbeat()),
                asyncio.create_task(_end_with_parent()),
            ]
            bentoml_app.tune_worker()
            process_control.request_short_slices()
            process_control.escape_log_output()

        @bentoml.on_shutdown
        async def stop(self) -> None:
            for task in self.tasks:
                task.cancel()
            self.marks.close()
            self.logs.close()
            self.claims.close()

        @bentoml.api
        async def predict(self, body: Body, /) -> Answers:
            """What `POST /predict` does; there `service/http/asgi.py` does it by itself, in a twelfth of the time."""
            return await bentoml_app.answer_request(self.predictor, body, service.max_body_bytes)  # type: ignore[return-value]

    return cast(bentoml_app.FastService, Service)


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


def _acquire_lock_or_exit(state: Path) -> int:
    try:
        return acquire_state_lock(state)
    except StateFolderRefused as error:
        sys.exit(str(error))


async def _end_with_parent() -> None:
    """End this worker when its parent process ends: it would otherwise hold the port after the parent was killed."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
