"""The BentoML service: `bentoml serve service.app:Service`, or with its companion processes `python -m service`."""

import asyncio
import functools
import logging
import os
import signal
import time
from typing import Any, cast

import bentoml
from pydantic import ConfigDict, RootModel

from penumbra.core.problem import Problem
from penumbra.core.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.logs.append_log import LogWriter
from penumbra.logs.labels import LabelSpec
from penumbra.registry.lineage import explain_prediction
from service.http import bentoml_app, feedback, openapi
from service.http.access import AccessControl, KeyDigests, read_keys
from service.http.feedback import FeedbackEndpoint
from service.http.record_reader import Contract
from service.http.responses import build_answer_type
from service.inference import pinned_models
from service.inference.live_model import LiveModels
from service.inference.pipeline import CanaryShare
from service.inference.predictor import Predictor
from service.inference.rule_engine import make_rule_engine_factory
from service.processes import process_control

BENTOML_CONFIG = {
    "logging": {"access": {"enabled": False}},
    "tracing": {"excluded_urls": [".*"]},
}


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
    share = _make_canary_share(settings.promotion.canary_share, spec)
    rotation = settings.log.segment_mb, settings.log.segment_hours

    class Body(RootModel[contract.model | list[contract.model]]):  # type: ignore[name-defined]
        model_config = ConfigDict(json_schema_extra=_replace_any_of)

    class Answers(RootModel[answer | list[answer]]):  # type: ignore[valid-type]
        model_config = ConfigDict(json_schema_extra=_replace_any_of)

    @bentoml.service(name=name, service_class=bentoml_app.FastService, workers=service.workers, **BENTOML_CONFIG)
    class Service:
        document = openapi.build_openapi_document(name, contract, answer, labels, feedback.build_label_examples(schema))
        service_settings = service
        access = AccessControl(keys, service.open)

        def __init__(self) -> None:
            logging.getLogger("bentoml").setLevel(logging.WARNING)
            logging.getLogger("service").setLevel(logging.INFO)
            make_rules = make_rule_engine_factory(
                problem.rules.RULES if settings.rules.apply else (), settings.rules.on_error
            )
            live = LiveModels(service.state, problem, make_rules, share is not None, settings.registry.signed_by)
            self.predictor = Predictor(contract, spec.task, live, LogWriter(service.predictions, *rotation), share)
            self.feedback = FeedbackEndpoint(labels, spec, LogWriter(settings.labels.folder, *rotation))
            self.explain = functools.partial(explain_prediction, settings)
            live.refresh()

        @bentoml.on_deployment
        def prepare() -> None:
            pinned_models.prepare_bento_start(settings)

        @bentoml.on_startup
        async def start(self) -> None:
            self.tasks = [
                asyncio.create_task(self.predictor.run_maintenance()),
                asyncio.create_task(_end_with_parent()),
            ]
            bentoml_app.tune_worker()
            process_control.request_short_slices()
            process_control.escape_log_output()

        @bentoml.on_shutdown
        async def stop(self) -> None:
            for task in self.tasks:
                task.cancel()
            self.predictor.log.close()
            self.predictor.refusals.close()
            self.feedback.log.close()

        @bentoml.api
        async def predict(self, body: Body, /) -> Answers:
            """What `POST /predict` does; there `service/http/asgi.py` does it, in a twelfth of the time."""
            began = time.perf_counter()
            if isinstance(body.root, list):
                return Answers(await self.predictor.answer_batch([record.values for record in body.root], began))
            return Answers(self.predictor.answer_one(body.root.values, began))

    return cast(bentoml_app.FastService, Service)


def _make_canary_share(share: float, spec: LabelSpec) -> CanaryShare | None:
    """Build the rule that assigns keys to the canary, or None where the share is 0.

    Raises:
        SettingsError: There is a share, and the contract has no primary key to divide by.
    """
    if share and not spec.key:
        raise SettingsError(f"promotion.canary_share = {share} needs a primary key in the contract (problem/schema.py)")
    return CanaryShare(tuple(spec.key), share) if share else None


def _replace_any_of(json_schema: dict[str, Any]) -> None:
    """Write `oneOf` for `anyOf`, of which BentoML keeps only the first alternative."""
    json_schema["oneOf"] = json_schema.pop("anyOf")


async def _end_with_parent() -> None:
    """End this worker when its parent process ends: it would otherwise hold the port after the parent was killed."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


Service = build_service(load_settings(), load_problem(SERVED_PARTS), read_keys())
