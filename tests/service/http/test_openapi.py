"""The document that the contract generates says what the service does, whatever schemathesis can think of to ask."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.servers import local_service

ADMIN = "admin-key-of-anna"
# A list that is too long gets a 413, which counts as a refusal here. That data which JSON Schema allows may be refused
# all the same isn't checked: the contract knows more (ranges of instants, rules between columns, 7.0 is no integer).
CONFIG = """
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422, 429]
"""


@pytest.mark.slow
def test_the_service_does_what_its_document_says_whatever_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENUMBRA_KEYS__ADMIN", ADMIN)
    monkeypatch.setenv("PENUMBRA_SERVICE__MAX_RECORDS", "20")
    local_service.deploy_version(tmp_path, "1", baseline=0.2)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with local_service.start_server(tmp_path) as (_, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, seconds=60)
        options = ["--header", f"authorization: Bearer {ADMIN}", "--phases", "examples,coverage,fuzzing"]
        limits = ["--max-examples", "30", "--seed", "1", "--no-color", "--wait-for-schema", "30"]
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(tmp_path / "schemathesis.toml"),
            "run",
        ]
        done = subprocess.run(
            [*command, f"{http.base_url}/docs.json", *options, *limits], cwd=tmp_path, capture_output=True, text=True
        )
    said = "\n".join(line[:500] for line in done.stdout.splitlines())
    assert done.returncode == 0, said + done.stderr
    assert re.search(r"Selected: (\d+)/\1\n\s+Tested: \1\n", said)
    assert "Traceback" not in (tmp_path / "output").read_text()
