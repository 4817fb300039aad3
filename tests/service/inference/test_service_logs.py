"""Whichever log it is: what vanished comes back, and what can't be written is counted, said and refused."""

import logging
import shutil
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from penumbra.logs.append_log import read_entries
from service.inference.service_logs import ServiceLogs

LOGS = ("predictions", "refusals", "broken_counts", "labels")
ENTRY = b'{"a":1}'


@pytest.fixture
def logs(tmp_path: Path) -> ServiceLogs:
    return ServiceLogs(tmp_path / "predictions", tmp_path / "labels")


def read_ids(folder: Path) -> list[str]:
    return [entry["id"] for entry in read_entries(folder)]


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("way", ["recover", "close"])
def test_entries_of_a_deleted_folder_come_back(logs: ServiceLogs, name: str, way: str) -> None:
    log = getattr(logs, name)
    ids = log.append([ENTRY]) + log.append([ENTRY, ENTRY])
    shutil.rmtree(log.folder)
    getattr(logs, way)()
    assert read_ids(log.folder) == ids
    assert logs.describe_failures() == ""


@pytest.mark.parametrize("name", LOGS)
def test_a_log_that_cant_be_written_is_counted_said_once_and_works_again(
    logs: ServiceLogs, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = getattr(logs, name)
    first = log.append([ENTRY])
    failures = {"log": log.name}
    before = REGISTRY.get_sample_value("penumbra_log_failures_total", failures) or 0.0
    shutil.rmtree(log.folder)
    log.folder.write_text("in the way")
    for _ in range(3):
        logs.recover()
        with pytest.raises(FileExistsError):
            log.append([ENTRY, ENTRY])
    assert logs.describe_failures() == f"the {log.name} {log.folder} can't be written"
    assert REGISTRY.get_sample_value("penumbra_log_failures_total", failures) == before + 6
    log.folder.unlink()
    with caplog.at_level(logging.INFO, "service"):
        logs.recover()
    assert logs.describe_failures() == ""
    assert read_ids(log.folder) == first
    about = [message for message in caplog.messages if log.name in message]
    assert len(about) == 2
    assert about[1] == f"the {log.name} can be written again"


def test_entries_that_cant_be_saved_at_the_end_are_said_and_the_other_logs_are_closed(
    logs: ServiceLogs, caplog: pytest.LogCaptureFixture
) -> None:
    logs.predictions.append([ENTRY])
    ids = logs.labels.append([ENTRY])
    for log in (logs.predictions, logs.labels):
        shutil.rmtree(log.folder)
    logs.predictions.folder.write_text("in the way")
    logs.close()
    assert read_ids(logs.labels.folder) == ids
    assert [
        message for message in caplog.messages if "the prediction log ends with entries that can't be saved" in message
    ]
