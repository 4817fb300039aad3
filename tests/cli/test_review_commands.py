import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command_line import run_command_line
from tests.helpers.logs.review_cases import pick_predictions, read_review_labels
from tests.helpers.servers.local_service import make_service_environment


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two cases in the folders that the settings name."""
    for name, value in make_service_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return pick_predictions(tmp_path, 2)


def answer_tasks(tasks: list[Any], minutes: list[int]) -> list[Any]:
    """The tasks as Label Studio exports them, once the user 1 has answered them."""
    for number, (task, value) in enumerate(zip(tasks, minutes, strict=True), 1):
        region = {"from_name": "outcome arr_delay", "to_name": "record", "type": "number", "value": {"number": value}}
        annotation = {"id": number, "completed_by": 1, "result": [region], "updated_at": "2026-03-02T13:00:00Z"}
        task.update(id=number, annotations=[annotation])
    return tasks


def test_cases_go_out_as_tasks_and_come_back_as_answers(tmp_path: Path, cases: list[str]) -> None:
    path = tmp_path / "reviews.json"
    exported = run_command_line("export-reviews", str(path))
    assert exported.stdout == "2 tasks in reviews.json, the labelling configuration in reviews.xml\n"
    path.write_text(json.dumps(answer_tasks(json.loads(path.read_text()), [42, 5])))
    imported = run_command_line("import-reviews", str(path), "--map", "1=ann")
    assert (imported.exit_code, imported.stdout) == (0, "recorded: 2 answer; known before: 0; refused: 0\n")
    assert {label["prediction"] for label in read_review_labels(tmp_path)} == set(cases)


def test_what_is_refused_is_exit_3_and_names_file_task_and_value(tmp_path: Path, cases: list[str]) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(answer_tasks([{"data": {"case": case}} for case in cases], [99_999, 5])))
    imported = run_command_line("import-reviews", str(path), "--reviewer", "ann")
    assert (imported.exit_code, imported.stdout) == (3, "recorded: 1 answer; known before: 0; refused: 1\n")
    assert imported.stderr == (
        "export.json, task 1, annotation 1: arr_delay is 99999: expected less than or equal to 3000\n"
    )


def test_a_file_that_is_not_there_or_no_export_is_one_sentence(tmp_path: Path, cases: list[str]) -> None:
    (tmp_path / "tasks.csv").write_text("case,outcome\n")
    for name, words in (("none.json", "No such file"), ("tasks.csv", "expected an export of Label Studio")):
        imported = run_command_line("import-reviews", str(tmp_path / name))
        assert (imported.exit_code, words in imported.stderr, imported.stderr.count("\n")) == (1, True, 1)
        assert "Errno" not in imported.stderr


def test_who_an_annotator_is_is_said_with_an_equals_sign() -> None:
    assert run_command_line("import-reviews", "export.json", "--map", "alice").exit_code == 2
