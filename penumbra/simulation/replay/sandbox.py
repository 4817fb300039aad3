"""A folder of its own to run the whole loop in: settings, flows, and the service as `make serve` starts it."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flows.steps import REASON_VARIABLE
from flows.steps.processes.flow_forks import FlowRunner
from penumbra.core.settings import API_KEY_PREFIX, PROJECT_ROOT, Settings, load_settings
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY
from penumbra.core.system.process_tree import kill_process_tree
from penumbra.logs import append_log
from penumbra.logs.shadow.shadow_log import ShadowStateReader
from penumbra.registry.pointers import CANDIDATE_ALIAS, PREVIOUS_ALIAS, SERVICE_LOCK_FILE, read_pointer
from penumbra.storage.locks import is_file_locked

TRAINING_OPTIONS = ("--no-pylint", "run", "--doctor", "skipped: a replay runs without the doctor")
WAIT_SECONDS, PAUSE_SECONDS = 600.0, 0.005  # seconds
SERVICE_OUTPUT, FLOW_OUTPUT, REASON_FILE = "service.txt", "flow.txt", "reason.txt"
SERVE_SCRIPT = """
import os, runpy, signal
from penumbra.core.system.process_tree import end_with_parent
end_with_parent(os.getppid(), signal.SIGTERM)
runpy.run_module("service", run_name="__main__", alter_sys=True)
"""


class ReplayTimeout(RuntimeError):
    """Something that the replay waits for didn't happen in ten minutes; the message says what."""


class ReplayFailed(RuntimeError):
    """A flow or a request failed; the message says which, with the end of its output."""


def enter_sandbox(folder: Path, overrides: dict[str, str]) -> Settings:
    """Make a folder the working directory of this process and of those it starts, so that relative paths begin there.

    Args:
        folder: The folder, which is made.
        overrides: Environment variables that are set for both; API keys are removed.

    Returns:
        The settings, read again.
    """
    (folder / ".metaflow").mkdir(parents=True, exist_ok=True)
    (folder / ".dvc").mkdir(exist_ok=True)
    config = (PROJECT_ROOT / ".dvc" / "config").read_text()
    (folder / ".dvc" / "config").write_text(config.replace("[core]", "[core]\n    no_scm = true"))
    for name in [name for name in os.environ if name.startswith(API_KEY_PREFIX)]:
        del os.environ[name]
    paths = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), str(PROJECT_ROOT)]
    os.environ.update(overrides, PYTHONPATH=os.pathsep.join(dict.fromkeys(paths)))
    os.chdir(folder)
    return load_settings()


def clear_sandbox(folder: Path) -> None:
    """Delete everything in a `folder`, and itself; nothing happens if it isn't there."""
    shutil.rmtree(folder, ignore_errors=True)


def run_training(runner: FlowRunner) -> None:
    """Run the training flow as its make target does, but for the doctor.

    Args:
        runner: What runs flows.

    Raises:
        ReplayFailed: It failed.
    """
    reason, output = Path(REASON_FILE), Path(FLOW_OUTPUT)
    reason.unlink(missing_ok=True)
    arguments = [str(PROJECT_ROOT / "flows" / "train.py"), *TRAINING_OPTIONS]
    if runner.run(arguments, {REASON_VARIABLE: str(reason.absolute())}, output):
        said = reason.read_text() if reason.exists() else " / ".join(output.read_text().split("\n")[-9:])
        raise ReplayFailed(f"the training failed: {said.strip()}")


@contextlib.contextmanager
def run_service(settings: Settings) -> Iterator["RunningService"]:
    """Run the service as `make serve` starts it, with or without a live model, as a context manager.

    The service of a replay that was killed, which answers what it has begun to before it ends, is waited for.

    Args:
        settings: Those of the replay's folder.

    Yields:
        The service, which may not answer yet. It is ended with all its processes.

    Raises:
        ReplayTimeout: Another service works in the folder, and doesn't end in ten minutes.
    """
    lock = settings.service.state / SERVICE_LOCK_FILE
    wait_for_event(lambda: not (lock.exists() and is_file_locked(lock)), f"the service that holds {lock} has ended")
    with Path(SERVICE_OUTPUT).open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", SERVE_SCRIPT], stdout=output, stderr=output)
    service = RunningService(settings, process)
    try:
        yield service
    finally:
        service.begin_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        kill_process_tree(process)


class RunningService:
    """The running service: requests to it, and events of it to wait for."""

    def __init__(self, settings: Settings, process: subprocess.Popen[bytes]) -> None:
        """Take the settings that it runs by (its port and folders) and its process."""
        self.settings, self.process = settings, process
        self.url = f"http://127.0.0.1:{settings.service.port}"
        self._shadow = ShadowStateReader(settings.service.shadow_log)

    def post(self, path: str, body: bytes) -> list[dict[str, Any]]:
        """Send a POST request.

        Args:
            path: The path of the URL.
            body: JSON.

        Returns:
            The answers, one for each record.

        Raises:
            ReplayFailed: It is refused.
        """
        request = urllib.request.Request(self.url + path, body, {"content-type": "application/json"})
        try:
            return list(json.load(OPEN_WITHOUT_PROXY(request, timeout=60)))
        except urllib.error.HTTPError as refused:
            raise ReplayFailed(f"POST {path}: {refused.code} {refused.read().decode()[:500]}") from None

    def wait_until_ready(self) -> None:
        """Wait until some version answers. Raises: ReplayTimeout."""
        self.wait("the service answers", lambda: self._version() is not None)

    def begin_to_end(self) -> None:
        """Ask it to end, without waiting for that."""
        self.process.send_signal(signal.SIGTERM)

    def wait_for_version(self, version: str) -> None:
        """Wait until this `version` answers. Raises: ReplayTimeout."""
        self.wait(f"version {version} answers", lambda: self._version() == version)

    def wait_for_shadow(self, aliases: dict[str, str], read_logs: Callable[[], object]) -> None:
        """Wait until the shadow models among the `aliases` have answered everything.

        Args:
            aliases: The versions by alias.
            read_logs: Called again and again, so that the answers are read as they are logged.

        Raises:
            ReplayTimeout: They don't in ten minutes, or the service ends.
        """
        for role, version in [(role, aliases[role]) for role in (CANDIDATE_ALIAS, PREVIOUS_ALIAS) if role in aliases]:
            has_caught_up = functools.partial(self._has_caught_up, role, version, read_logs)
            self.wait(f"version {version} has answered all", has_caught_up)

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        """Wait until something happens.

        Args:
            what: A sentence that holds then, for the message.
            happened: Whether it holds now.

        Raises:
            ReplayTimeout: It doesn't happen in ten minutes, or the service ends.
        """
        try:
            wait_for_event(happened, what, lambda: self.process.poll() is not None)
        except ReplayTimeout as error:
            lines = Path(SERVICE_OUTPUT).read_text().splitlines()[-3:]
            raise ReplayTimeout(f"{error}; the service's last words: {' / '.join(lines)}") from None

    def _version(self) -> str | None:
        """Return the version that answers, None while none does."""
        try:
            return str(json.load(OPEN_WITHOUT_PROXY(self.url + "/readyz", timeout=1))["model_version"])
        except OSError:
            return None

    def _has_caught_up(self, role: str, version: str, read_logs: Callable[[], object]) -> bool:
        read_logs()
        if read_pointer(self.settings.service.state, role) != version:
            return False
        sizes = append_log.read_segment_sizes(self.settings.service.predictions)
        progress = self._shadow.read().models.get(version)
        if progress is None:
            return not sizes
        return not any(any(progress.split_unscored(path.stem, size)) for path, size in sizes.items())


def wait_for_event(happened: Callable[[], bool], what: str, is_in_vain: Callable[[], bool] = lambda: False) -> None:
    """Wait until something happens.

    Args:
        happened: Whether it has happened.
        what: A sentence that holds then, for the message.
        is_in_vain: Whether it can't happen any more.

    Raises:
        ReplayTimeout: It doesn't happen in ten minutes, or can't any more.
    """
    end = time.monotonic() + WAIT_SECONDS
    while not happened():
        if is_in_vain() or time.monotonic() > end:
            raise ReplayTimeout(f"waited in vain until {what}")
        time.sleep(PAUSE_SECONDS)
