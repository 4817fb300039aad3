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
from service import background, factory, feedback, logs, openapi, pinned
from service.access import Access, Keys, read_keys
from service.answers import answer_type
from service.decider import Share
from service.feedback import Feedback
from service.live import Live
from service.messages import Contract
from service.predictor import Predictor
from service.rules import ruling
from settings import Settings, SettingsError, load
from stores.labels import Terms
from stores.lineage import explain
from stores.log import Writer
from stores.shadow import METRICS

CONFIG = {
    "logging": {"access": {"enabled": False}},
    "tracing": {"excluded_urls": [".*"]},
}


def build(settings: Settings, problem: Any = problem, keys: Keys = ()) -> factory.FastService:
    """The service of a problem (the package) with these settings. Each application that `to_asgi` makes has a live
    model and a log of its own."""
    service, name, schema = settings.service, settings.registry.model, problem.schema
    contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, service.max_records)
    labels = feedback.contract(schema, service.max_records)
    terms = Terms.of(schema)
    answer = answer_type(terms.task)
    share = _canaries(settings.promotion.canary_share, terms)
    rotation = settings.log.segment_mb, settings.log.segment_hours

    class Body(RootModel[contract.model | list[contract.model]]):  # type: ignore[name-defined]
        model_config = ConfigDict(json_schema_extra=_as_one_of)

    class Answers(RootModel[answer | list[answer]]):  # type: ignore[valid-type]
        model_config = ConfigDict(json_schema_extra=_as_one_of)

    @bentoml.service(name=name, service_class=factory.FastService, workers=service.workers, **CONFIG)
    class Service:
        document = openapi.document(name, contract, answer, labels, feedback.examples(schema))
        max_body_bytes = service.max_body_bytes
        metrics_file = service.shadow / METRICS
        limits = service.max_concurrency, service.timeout_seconds
        access = Access(keys, service.open)

        def __init__(self) -> None:
            logging.getLogger("bentoml").setLevel(logging.WARNING)
            logging.getLogger("service").setLevel(logging.INFO)
            ruled = ruling(problem.rules.RULES if settings.rules.apply else (), settings.rules.on_error)
            live = Live(service.state, problem.features.FEATURES, terms.task, ruled, canaries=share is not None)
            self.predictor = Predictor(contract, terms.task, live, Writer(service.predictions, *rotation), share)
            self.feedback = Feedback(labels, terms, Writer(settings.labels.folder, *rotation))
            self.explain = functools.partial(explain, settings)
            live.refresh()

        @bentoml.on_deployment
        def prepare() -> None:
            pinned.prepare(settings)

        @bentoml.on_startup
        async def start(self) -> None:
            self.tasks = [asyncio.create_task(self.predictor.tend()), asyncio.create_task(_end_with_parent())]
            factory.settle()
            background.in_short_slices()
            logs.escape_everything()

        @bentoml.on_shutdown
        async def stop(self) -> None:
            for task in self.tasks:
                task.cancel()
            self.predictor.log.close()
            self.predictor.refusals.close()
            self.feedback.log.close()

        @bentoml.api
        async def predict(self, body: Body, /) -> Answers:
            """What `POST /predict` does; there `service/http.py` does it, in a twelfth of the time."""
            began = time.perf_counter()
            if isinstance(body.root, list):
                return Answers(await self.predictor.many([record.__dict__ for record in body.root], began))
            return Answers(self.predictor.one(body.root.__dict__, began))

    return cast(factory.FastService, Service)


def _canaries(share: float, terms: Terms) -> Share | None:
    """Raises SettingsError where there is nothing to tell one key from another by."""
    if share and not terms.key:
        raise SettingsError(f"promotion.canary_share = {share} needs a primary key in the contract (problem/schema.py)")
    return Share(terms.key, share) if share else None


def _as_one_of(json_schema: dict[str, Any]) -> None:
    """BentoML keeps only the first of `anyOf`."""
    json_schema["oneOf"] = json_schema.pop("anyOf")


async def _end_with_parent() -> None:
    """Workers would hold the port for ever if the process that watches them was killed."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


Service = build(load(), keys=read_keys())
