"""The BentoML service: `bentoml serve service.app:Service`, or with all that belongs to it `python -m service`."""

import asyncio
import functools
import logging
import os
import signal
import time
from typing import Any, cast

import bentoml
from pydantic import ConfigDict, RootModel

import problem.features
import problem.rules
import problem.schema
from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.logs.append_log import LogWriter
from penumbra.logs.labels import LabelSpec
from penumbra.logs.shadow_log import METRICS_FILE
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
from service.processes import log_escaping, process_control

BENTOML_CONFIG = {
    "logging": {"access": {"enabled": False}},
    "tracing": {"excluded_urls": [".*"]},
}


def build_service(settings: Settings, problem: Any = problem, keys: KeyDigests = ()) -> bentoml_app.FastService:
    """The service of a problem (the package) with these settings. Each application that `to_asgi` makes has a live
    model and a log of its own."""
    service, name, schema = settings.service, settings.registry.model, problem.schema
    contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, service.max_records)
    labels = feedback.build_label_reader(schema, service.max_records)
    terms = LabelSpec.from_schema(schema)
    answer = build_answer_type(terms.task)
    share = _make_canary_share(settings.promotion.canary_share, terms)
    rotation = settings.log.segment_mb, settings.log.segment_hours

    class Body(RootModel[contract.model | list[contract.model]]):  # type: ignore[name-defined]
        model_config = ConfigDict(json_schema_extra=_replace_any_of)

    class Answers(RootModel[answer | list[answer]]):  # type: ignore[valid-type]
        model_config = ConfigDict(json_schema_extra=_replace_any_of)

    @bentoml.service(name=name, service_class=bentoml_app.FastService, workers=service.workers, **BENTOML_CONFIG)
    class Service:
        document = openapi.build_openapi_document(name, contract, answer, labels, feedback.build_label_examples(schema))
        max_body_bytes = service.max_body_bytes
        metrics_file = service.shadow_log / METRICS_FILE
        limits = service.max_concurrency, service.timeout_seconds
        access = AccessControl(keys, service.open)

        def __init__(self) -> None:
            logging.getLogger("bentoml").setLevel(logging.WARNING)
            logging.getLogger("service").setLevel(logging.INFO)
            ruled = make_rule_engine_factory(
                problem.rules.RULES if settings.rules.apply else (), settings.rules.on_error
            )
            live = LiveModels(service.state, problem.features.FEATURES, terms.task, ruled, canaries=share is not None)
            self.predictor = Predictor(contract, terms.task, live, LogWriter(service.predictions, *rotation), share)
            self.feedback = FeedbackEndpoint(labels, terms, LogWriter(settings.labels.folder, *rotation))
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
            log_escaping.escape_log_output()

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
                return Answers(await self.predictor.answer_batch([record.__dict__ for record in body.root], began))
            return Answers(self.predictor.answer_one(body.root.__dict__, began))

    return cast(bentoml_app.FastService, Service)


def _make_canary_share(share: float, terms: LabelSpec) -> CanaryShare | None:
    """Raises SettingsError where there is nothing to tell one key from another by."""
    if share and not terms.key:
        raise SettingsError(f"promotion.canary_share = {share} needs a primary key in the contract (problem/schema.py)")
    return CanaryShare(terms.key, share) if share else None


def _replace_any_of(json_schema: dict[str, Any]) -> None:
    """BentoML keeps only the first of `anyOf`."""
    json_schema["oneOf"] = json_schema.pop("anyOf")


async def _end_with_parent() -> None:
    """Workers would hold the port for ever if the process that watches them was killed."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


Service = build_service(load_settings(), keys=read_keys())
