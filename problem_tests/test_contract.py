"""The folder, its settings, and the example that stands in the documentation of the API."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.metrics.losses import build_judged_task
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.logs.labels import LabelSpec
from service.http.refusals import RequestRefused
from service.http.requests.feedback import build_label_examples, build_label_reader
from service.http.requests.record_reader import Contract, RecordReader


def test_the_folder_and_the_settings_are_whole() -> None:
    try:
        settings, loaded = load_settings(), load_problem()
        build_judged_task(loaded.schema, settings.promotion.loss)
    except (ProblemError, SettingsError) as error:
        pytest.fail(str(error), pytrace=False)
    candidates = loaded.candidates.CANDIDATES
    for name in settings.training.candidates:
        if name not in candidates:
            pytest.fail(
                f"settings.toml: training.candidates names {name}, and problem/candidates.py has "
                f"{', '.join(candidates)}",
                pytrace=False,
            )


def test_the_example_is_a_request_that_keeps_the_contract(problem: Problem, settings: Settings) -> None:
    schema = problem.schema
    contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, settings.service.max_records)
    if refusal := find_refusal(contract, schema.EXAMPLE, "EXAMPLE"):
        pytest.fail(f"EXAMPLE of problem/schema.py is refused as a request: {refusal}", pytrace=False)


def test_the_outcome_of_the_example_can_be_reported_and_tells_the_target(problem: Problem, settings: Settings) -> None:
    schema = problem.schema
    if not schema.OUTCOME:
        pytest.skip("problem/schema.py has no OUTCOME")
    reader, spec = build_label_reader(schema, settings.service.max_records), LabelSpec.from_schema(schema)
    for label in build_label_examples(schema):
        if refusal := find_refusal(reader, label, "OUTCOME"):
            pytest.fail(f"OUTCOME of problem/schema.py is refused as a label: {refusal}", pytrace=False)
        record = reader.parse_one(json.dumps(label).encode())
    if spec.compute_targets([record]).item() is None:
        pytest.fail(f"target() of problem/schema.py is null for the OUTCOME {schema.OUTCOME}", pytrace=False)


def find_refusal(reader: RecordReader, record: Mapping[str, Any], name: str) -> str:
    """Why a record isn't taken: what is wrong with each field, or the message where no field is named; "" if it is."""
    try:
        reader.parse_one(json.dumps(record).encode())
    except (RequestRefused, TypeError) as refused:
        faults = [fault for fault in getattr(refused, "details", ()) if "field" in fault]
        return "; ".join(describe_fault(fault, name) for fault in faults) or str(refused)
    return ""


def describe_fault(fault: Mapping[str, Any], name: str) -> str:
    if "value" not in fault:
        return f"{fault['field']} is missing, expected {fault['expected']}: add it to {name}"
    return f"{fault['field']} is {fault['value']}, expected {fault['expected']}"
