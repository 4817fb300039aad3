"""A fitted candidate as the service has it: its bundle, and the service itself in this process."""

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from penumbra.core.columns import INPUTS_COLUMN
from penumbra.core.settings import load_settings
from penumbra.core.system.http_client import extract_prediction
from penumbra.features import Record
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.registry.pointers import BUNDLES_FOLDER, swap_live_pointer
from penumbra.rules import Rule
from penumbra.training.fit import compute_baseline, count_category_values
from penumbra.training.release import build_release
from problem_tests.sample import Sample

with warnings.catch_warnings():  # importing Starlette's test client warns about what is old in it
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

VERSION = "1"


def ship_model(sample: Sample, fitted: Any, state: Path) -> bundle.Bundle:
    """Compile or archive a fitted estimator, as training does, and make it the live model of a service.

    Args:
        sample: The sample.
        fitted: The estimator.
        state: The service's state folder, which is made.

    Returns:
        The bundle, loaded as the service loads it.

    Raises:
        ParityError: The compiled model answers otherwise than the fitted one.
        BrokenBundle: The model can't be loaded. Whatever the estimator raises is raised too.
    """
    inputs, encoder = sample.matrix
    folder, task = state / BUNDLES_FOLDER / VERSION, sample.task
    release = build_release(fitted, inputs, encoder.categorical, task)
    bundle_writing.write_model_files(folder, release.model, release.probe, release.answers)
    bundle_writing.write_reference_rows(folder, sample.labelled.drop(INPUTS_COLUMN))
    facts = {
        "task": dataclasses.asdict(task),
        "baseline": compute_baseline(task, sample.labels),
        "counts": count_category_values(inputs, encoder.categorical, encoder.tables),
        **({"threshold": load_settings().training.threshold} if task.kind == "binary" else {}),
    }
    bundle_writing.seal_bundle(folder, facts, encoder.kinds, encoder.tables)
    swap_live_pointer(state, None, VERSION)
    return bundle.read_bundle(folder, sample.problem, VERSION)


@contextlib.contextmanager
def open_service(sample: Sample, state: Path, rules: Sequence[Rule] = ()) -> Iterator[TestClient]:
    """The service in this process, with a live model that was shipped and these rules.

    Args:
        sample: The sample, for the problem.
        state: The service's state folder.
        rules: Business rules.

    Yields:
        A client for HTTP requests.
    """
    places = {"SERVICE__STATE": state, "SERVICE__PREDICTIONS": state / "log", "LABELS__FOLDER": state / "labels"}
    places |= {"REVIEW__FOLDER": state / "reviews"}
    environ = {name: str(place) for name, place in {**places, "LEDGER__FOLDER": state / "ledger"}.items()}
    environ |= {"SERVICE__MAX_RECORDS": "10000", "SERVICE__OPEN": "True"}
    settings = load_settings(environ={f"PENUMBRA_{name}": value for name, value in environ.items()})
    problem: Any = SimpleNamespace(
        schema=sample.problem.schema,
        features=sample.problem.features,
        rules=SimpleNamespace(RULES=rules, OBSERVED_DECISIONS=()),
    )
    with warnings.catch_warnings():  # of what is old in BentoML
        warnings.simplefilter("ignore")
        from service.service_factory import build_service

        app = build_service(settings, problem).to_asgi()
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        yield http


def ask(http: TestClient, records: Record | Sequence[Record]) -> Any:
    """Send one record, or a list of them.

    Args:
        http: The client.
        records: The record or the records.

    Returns:
        The decoded answer, or the text of the refusal.
    """
    body = msgspec.json.encode(records)
    answer = http.post("/predict", content=body, headers={"content-type": "application/json"})
    return json.loads(answer.content) if answer.status_code == 200 else f"refused ({answer.text})"


def read_predictions(answers: Any, count: int) -> list[Any]:
    """Take the predictions out of the answers to a list.

    Args:
        answers: What `ask` returned for a list.
        count: The list's length.

    Returns:
        The prediction of each record, or the text of the refusal for each.
    """
    return [answers] * count if isinstance(answers, str) else [extract_prediction(answer) for answer in answers]
