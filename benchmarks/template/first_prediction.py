"""How long it takes from nothing to the first prediction: generate, set up, train, serve, ask."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from benchmarks.own_data.project import StepFailed
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY, find_free_port, is_service_ready
from penumbra.core.system.process_tree import kill_process_tree
from tests.helpers.template_copies import commit_all, generate_project

WAIT_SECONDS, PAUSE_SECONDS = 120.0, 0.1
PRINT_EXAMPLE = """
import json
from penumbra.core.loading.problem_loading import load_problem
print(json.dumps(load_problem(["schema"]).schema.EXAMPLE))
"""


def measure_first_prediction(template: Path, folder: Path, answers: Mapping[str, str]) -> dict[str, float]:
    """Generate a project, train by its own `make`, and ask its service once.

    Args:
        template: A git repository with the template.
        folder: A new folder.
        answers: Answers to copier's questions that aren't the default ones.

    Returns:
        The seconds since the beginning at which each of "generate", "train" and "serve" was over.

    Raises:
        StepFailed: A step failed.
    """
    began, marks = time.monotonic(), {}
    commit_all(generate_project(template, folder, **answers))
    marks["generate"] = time.monotonic() - began
    environ = _make_environment()
    if subprocess.run(["make", "train"], cwd=folder, env=environ, stdout=subprocess.DEVNULL).returncode:
        raise StepFailed("`make train` failed: its output above says why")
    marks["train"] = time.monotonic() - began
    _ask_once(folder, environ)
    return {**marks, "serve": time.monotonic() - began}


def _make_environment() -> dict[str, str]:
    """The environment of a person's shell: without that of this checkout."""
    dropped = ("PENUMBRA_", "PYTHON", "VIRTUAL_ENV", "OMP_NUM_THREADS", "MAKE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "PYTHON": str(Path(sys.base_prefix) / "bin" / "python3")}


def _ask_once(project: Path, environ: Mapping[str, str]) -> None:
    port = find_free_port()
    url, python = f"http://127.0.0.1:{port}", project / ".venv/bin/python"
    service = subprocess.Popen(
        ["make", "serve"], cwd=project, env={**environ, "PENUMBRA_SERVICE__PORT": str(port)}, stdout=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(service, url)
        paths = {**environ, "PYTHONPATH": str(project)}
        record = subprocess.run(
            [python, "-c", PRINT_EXAMPLE], cwd=project, env=paths, check=True, capture_output=True
        ).stdout
        request = urllib.request.Request(f"{url}/predict", record, {"content-type": "application/json"})
        with OPEN_WITHOUT_PROXY(request, timeout=30) as answer:
            json.load(answer)["model_version"]
    finally:
        kill_process_tree(service)


def _wait_until_ready(service: "subprocess.Popen[bytes]", url: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not is_service_ready(url):
        if service.poll() is not None or time.monotonic() > end:
            raise StepFailed("the service isn't ready: its output above says why")
        time.sleep(PAUSE_SECONDS)
