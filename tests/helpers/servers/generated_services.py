"""The service of a problem drawn at random, with a small tree as its live model."""

import contextlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.logs import append_log
from penumbra.registry.bundles import bundle_writing
from penumbra.training.onnx.compile import compile_model
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract
from tests.helpers.problems.generated_problems import RequestMaker
from tests.helpers.servers import local_service

FIT_ROWS = 40
LARGEST_FIT = 1e6  # scikit-learn's trees take float32


class GeneratedService(NamedTuple):
    """A problem with a live model, its BentoML service, and what makes requests to it."""

    problem: Any
    service: Any
    requests: RequestMaker
    folder: Path


def make_generated_service(folder: Path, problem: Any, draw: random.Random, **settings: Any) -> GeneratedService:
    """Deploy a small tree for the problem, and build its service."""
    requests = RequestMaker(problem.schema.Row)
    problem.schema.EXAMPLE = {name: json.loads(good[0]) for name, (good, _) in requests.columns.items()}
    _deploy(folder, problem, requests, draw)
    service = local_service.build_service(local_service.make_service_settings(folder, **settings), problem)
    return GeneratedService(problem, service, requests, folder)


def read_inputs(folder: Path) -> dict[str, Any]:
    """By prediction id: what the model was given, as in the prediction log."""
    return {line["id"]: line["inputs"] for line in append_log.read_entries(folder / "predictions")}


def _deploy(folder: Path, problem: Any, requests: RequestMaker, draw: random.Random) -> None:
    schema, kinds = problem.schema, problem.features.FEATURES
    task, rows = Task.from_schema(schema), _draw_rows(problem, requests, draw)
    derived = derive_features(kinds, rows)
    inputs = FeatureEncoder(kinds, learn_category_tables(kinds, derived))
    matrix = np.clip(inputs.encode_frame(derived), -LARGEST_FIT, LARGEST_FIT)
    targets = np.random.default_rng(draw.randrange(2**32)).random(len(matrix))
    if task.kind == "regression":
        model = DecisionTreeRegressor(max_depth=5, random_state=1).fit(matrix, targets)
        outputs = model.predict(matrix)
    else:
        classes = np.argsort(targets) % max(2, len(task.classes))
        model = DecisionTreeClassifier(max_depth=5, random_state=1).fit(matrix, classes)
        outputs = model.predict_proba(matrix)
    place = folder / "state/bundles/1"
    bundle_writing.write_model_files(place, compile_model(model, matrix.shape[1]), matrix, outputs)
    bundle_writing.write_reference_rows(place, rows)
    baseline = {"binary": 0.25, "regression": 0.25, "multiclass": [1 / len(task.classes or "?")] * len(task.classes)}
    facts = {"task": {"kind": task.kind, "classes": task.classes}, "baseline": baseline[task.kind]}
    bundle_writing.seal_bundle(place, {"threshold": 0.5, **facts}, inputs.kinds, inputs.tables)
    (folder / "state/live").write_text("1")


def _draw_rows(problem: Any, requests: RequestMaker, draw: random.Random) -> pl.DataFrame:
    contract, rows = Contract(problem.schema.Row, (), {}, FIT_ROWS), list[dict[str, Any]]()
    for _ in range(10 * FIT_ROWS):
        with contextlib.suppress(RequestRefused):
            rows.append(contract.parse_one(requests.draw_record(draw, broken=0).encode("utf-8", "surrogatepass")))
        if len(rows) == FIT_ROWS:
            break
    return contract.to_frame(rows)


def decode_answers(body: bytes) -> Sequence[dict[str, Any]]:
    """The answers in a response's body."""
    decoded = json.loads(body)
    return decoded if isinstance(decoded, list) else [decoded]
