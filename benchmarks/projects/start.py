"""`penumbra bench start`: from a fresh clone to its first prediction, and what a second `make train` takes.

The clone has an environment of its own; the package cache is warm where a project was set up on this machine before.
"""

import json
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.helpers.process_costs import make_shell_environment
from benchmarks.projects.own_data.project import StepFailed
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY, find_free_port, is_service_ready
from penumbra.core.system.process_tree import kill_process_tree

SECOND_ROUNDS = 5
WAIT_SECONDS, PAUSE_SECONDS = 120.0, 0.1
PRINT_EXAMPLE = """
import json
from penumbra.core.loading.problem_loading import load_problem
print(json.dumps(load_problem(["schema"]).schema.EXAMPLE))
"""


def main() -> None:
    """Print the seconds of each step, and a JSON document in the last line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "clone"
        clone = ["git", "clone", "--quiet", str(PROJECT_ROOT), str(folder)]
        marks = measure_first_prediction(lambda: subprocess.run(clone, check=True), folder)
        second = statistics.median(time_training(folder) for _ in range(SECOND_ROUNDS))
    print(f"{'clone':<48}{marks['made']:>6.1f} s")
    print(f"{'environment, first `make train`':<48}{marks['train'] - marks['made']:>6.1f} s")
    print(f"{'`make serve` until the first answer':<48}{marks['serve'] - marks['train']:>6.1f} s")
    print(f"{'another `make train` with nothing new':<48}{second:>6.2f} s, median of {SECOND_ROUNDS}")
    print(json.dumps({"first_prediction_s": round(marks["serve"], 1), "second_train_s": round(second, 2)}))


def measure_first_prediction(make_project: Callable[[], object], folder: Path) -> dict[str, float]:
    """Make a project, train by its own `make`, and ask its service once, for the example that its README has.

    That the example is read from the contract doesn't count.

    Args:
        make_project: Makes the project as a git checkout with a commit.
        folder: The folder that it makes.

    Returns:
        The seconds since the beginning at which each of "made", "train" and "serve" was over.

    Raises:
        StepFailed: A step failed.
    """
    began, marks = time.monotonic(), {}
    make_project()
    marks["made"] = time.monotonic() - began
    time_training(folder)
    marks["train"] = time.monotonic() - began
    example = _read_example(folder)
    began = time.monotonic() - marks["train"]
    _ask_once(folder, example)
    return {**marks, "serve": time.monotonic() - began}


def time_training(project: Path) -> float:
    """Take the time of `make train`.

    Args:
        project: The folder of the project.

    Returns:
        The seconds.

    Raises:
        StepFailed: It failed.
    """
    began = time.monotonic()
    command = ["make", "train"]
    if subprocess.run(command, cwd=project, env=make_shell_environment(), stdout=subprocess.DEVNULL).returncode:
        raise StepFailed("`make train` failed: its output above says why")
    return time.monotonic() - began


def _read_example(project: Path) -> bytes:
    command = [project / ".venv/bin/python", "-c", PRINT_EXAMPLE]
    paths = {**make_shell_environment(), "PYTHONPATH": str(project)}
    return subprocess.run(command, cwd=project, env=paths, check=True, capture_output=True).stdout


def _ask_once(project: Path, record: bytes) -> None:
    port = find_free_port()
    url, environ = f"http://127.0.0.1:{port}", {**make_shell_environment(), "PENUMBRA_SERVICE__PORT": str(port)}
    service = subprocess.Popen(["make", "serve"], cwd=project, env=environ, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(service, url)
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


if __name__ == "__main__":
    main()
