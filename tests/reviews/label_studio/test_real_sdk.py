"""Label Studio's own SDK takes what is written for it; `make test-all` installs it into a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from penumbra.reviews.label_studio.configuration import build_labelling_config
from problem import schema
from tests.helpers.checkout import REPOSITORY
from tests.helpers.logs.review_cases import pick_predictions
from tests.reviews.label_studio.awkward_answers import SCHEMA
from tests.reviews.label_studio.test_answers import make_region, read_export
from tests.reviews.label_studio.test_tasks import read_tasks, write_tasks

SDK = REPOSITORY / ".venv-label-studio"
# Prints what the SDK finds wrong. Its validate_task can't be asked about tasks with annotations or predictions.
VALIDATE = """
import json, sys
from label_studio_sdk.label_interface import LabelInterface

given = json.load(sys.stdin)
interface = LabelInterface(given["configuration"])
interface.validate()
wrong = [task for task in given["tasks"] if not interface.validate_task({"data": task["data"]})]
answers = [each for task in given["tasks"] for key in ("annotations", "predictions") for each in task.get(key, [])]
wrong += [error for each in answers for error in interface.validate_prediction(each, return_errors=True)]
print(json.dumps([len(answers), wrong]))
"""

pytestmark = pytest.mark.slow


def find_faults(configuration: str, tasks: list[Any]) -> list[Any]:
    """How many annotations and predictions the SDK was shown, and what it finds wrong."""
    assert SDK.exists(), "the SDK isn't installed: make .venv-label-studio/ready"
    done = subprocess.run(
        [sys.executable, "-c", VALIDATE],
        input=json.dumps({"configuration": configuration, "tasks": tasks}),
        env={**os.environ, "PYTHONPATH": str(SDK)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_sdk_takes_configuration_tasks_and_what_a_server_exported(tmp_path: Path) -> None:
    cases = pick_predictions(tmp_path, 3)
    configuration = write_tasks(tmp_path).configuration.read_text()
    assert find_faults(configuration, [*read_tasks(tmp_path), *read_export(cases)]) == [4, []]


def test_the_sdk_takes_every_kind_of_outcome_and_predictions_whatever_the_columns_are_called(tmp_path: Path) -> None:
    pick_predictions(tmp_path)
    configuration = write_tasks(tmp_path, SimpleNamespace(schema=SCHEMA), is_blind=False).configuration.read_text()
    regions = [
        make_region("outcome sky", "choices", ['"fog" & <haze>']),
        make_region('outcome price, "net" <EUR> & more', "number", 1.5),
        make_region('none price, "net" <EUR> & more', "choices", ["no value"]),
        make_region("outcome remark", "textarea", None) | {"value": {"text": ["a remark"]}},
    ]
    answered = {"data": {"record": {}, "said": {}}, "annotations": [{"result": regions}]}
    assert find_faults(configuration, [*read_tasks(tmp_path), answered]) == [2, []]


def test_the_sdk_does_find_what_is_wrong() -> None:
    wrong = {"data": {"record": {}}, "annotations": [{"result": [make_region("sureness", "choices", ["certain"])]}]}
    count, faults = find_faults(build_labelling_config(schema, is_blind=True), [wrong, {"data": {}}])
    assert (count, len(faults)) == (1, 2)
