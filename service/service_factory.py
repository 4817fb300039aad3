"""The service factory: builds the BentoML service of a problem. The one of `problem/` is in service/app.py.

Importing it starts no threads that a fork would miss, so the worker host does so once for all workers.
"""

import os
import sys
from pathlib import Path
from typing import cast

import bentoml
from pydantic import ConfigDict, RootModel

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.labels import LabelSpec
from service.http import bentoml_app, openapi
from service.http.access.access_control import AccessControl, KeyDigests
from service.http.requests import feedback
from service.http.requests.record_reader import Contract
from service.http.requests.responses import build_answer_type, build_review_type
from service.inference.details import OPTIONS
from service.inference.models import pinned_models
from service.inference.models.canary_share import make_canary_share
from service.processes.deployment.state_lock import StateFolderRefused, acquire_state_lock
from service.processes.workers import inheritance
from service.worker_parts import WorkerParts

BENTOML_CONFIG = {"logging": {"access": {"enabled": False}}}


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
    canary_share = make_canary_share(settings.promotion.canary_share, spec)

    class Body(bentoml_app.RequestBody):
        described = RootModel[contract.model | list[contract.model]]  # type: ignore[name-defined]

    class Answers(RootModel[answer | list[answer]]):  # type: ignore[valid-type]
        model_config = ConfigDict(json_schema_extra=bentoml_app.replace_any_of)

    @bentoml.service(name=name, service_class=bentoml_app.FastService, workers=service.workers, **BENTOML_CONFIG)
    class Service(WorkerParts):
        document = openapi.build_openapi_document(
            name, contract, answer, build_review_type(spec.task), labels, feedback.build_label_examples(schema), OPTIONS
        )
        service_settings = service
        access = AccessControl(keys, service.open)
        share = inheritance.inherited.share if inheritance.inherited else None

        def __init__(self) -> None:
            super().__init__(settings, problem, contract, labels, canary_share)

        @bentoml.on_deployment
        def prepare() -> None:
            """Run once before the workers of `bentoml serve` start."""
            os.close(_acquire_lock_or_exit(service.state))
            pinned_models.prepare_bento_start(settings)

        @bentoml.api
        async def predict(self, body: Body, /) -> Answers:
            """What `POST /predict` does; there `service/http/endpoints.py` does it, in a twelfth of the time."""
            return await bentoml_app.answer_request(self.predictor, body, service.max_body_bytes)  # type: ignore[return-value]

    return cast(bentoml_app.FastService, Service)


def _acquire_lock_or_exit(state: Path) -> int:
    try:
        return acquire_state_lock(state)
    except StateFolderRefused as error:
        sys.exit(str(error))
