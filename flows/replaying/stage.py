"""A place of its own to run the whole loop in: folders, settings, and the service as `make serve` starts it."""

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

import settings
from flows.asking import OPEN
from settings import KEYS, ROOT, Settings
from stores import log
from stores.pointers import CANDIDATE, PREVIOUS, pointed
from stores.shadow import last_state

FLOW_OPTIONS = ("--no-pylint", "run")
PATIENCE, PAUSE = 600.0, 0.1  # seconds
OUTPUT = "service.txt"
SERVE = """
import ctypes, runpy, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: it ends with this process, however that happens
runpy.run_module("service", run_name="__main__", alter_sys=True)
"""


class Stuck(RuntimeError):
    """Something that should have happened didn't, in ten minutes; says what."""


class Failed(RuntimeError):
    """A flow or a request failed; says which, with its last words."""


def enter(folder: Path, overrides: dict[str, str]) -> Settings:
    """Make a folder the place that all relative paths begin at, of this process and of those it starts."""
    (folder / ".metaflow").mkdir(parents=True, exist_ok=True)
    (folder / ".dvc").mkdir(exist_ok=True)
    config = (ROOT / ".dvc" / "config").read_text()
    (folder / ".dvc" / "config").write_text(config.replace("[core]", "[core]\n    no_scm = true"))
    for name in [name for name in os.environ if name.startswith(KEYS)]:
        del os.environ[name]
    os.environ.update(overrides, METAFLOW_USER="replay", PYTHONPATH=str(ROOT), DOCTOR="off")
    os.chdir(folder)
    return settings.load()


def clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def run(flow: str) -> bool:
    """True, once one of the flows is through, as its make target runs it. Raises Failed."""
    command = [sys.executable, str(ROOT / "flows" / f"{flow}.py"), *FLOW_OPTIONS]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(f"flows/{flow}.py failed: " + " / ".join(done.stdout.splitlines()[-5:]))
    return True


@contextlib.contextmanager
def serving(chosen: Settings) -> Iterator["Service"]:
    """What `make serve` starts, until it answers; ended with all that belongs to it."""
    with Path(OUTPUT).open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", SERVE], stdout=output, stderr=output)
    service = Service(chosen, process)
    try:
        service.wait("the service answers", service.ready)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


class Service:
    """The running service, and what can be asked of it and waited for."""

    def __init__(self, chosen: Settings, process: subprocess.Popen[bytes]) -> None:
        self.settings, self.process = chosen, process
        self.url = f"http://127.0.0.1:{chosen.service.port}"

    def post(self, path: str, body: bytes) -> list[dict[str, Any]]:
        """Raises Failed where it is refused."""
        request = urllib.request.Request(self.url + path, body, {"content-type": "application/json"})
        try:
            return list(json.load(OPEN(request, timeout=60)))
        except urllib.error.HTTPError as refused:
            raise Failed(f"POST {path}: {refused.code} {refused.read().decode()[:500]}") from None

    def ready(self) -> bool:
        return self._version() is not None

    def answers(self, version: str) -> None:
        """Wait until it does so with this version."""
        self.wait(f"version {version} answers", lambda: self._version() == version)

    def shadowed(self, aliases: dict[str, str]) -> None:
        """Wait until those that are in the shadow have answered everything."""
        for role, version in [(role, aliases[role]) for role in (CANDIDATE, PREVIOUS) if role in aliases]:
            self.wait(f"version {version} has answered all", functools.partial(self._caught_up, role, version))

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        """Raises Stuck where it doesn't come true in time, or the service ends."""
        end = time.monotonic() + PATIENCE
        while not happened():
            if self.process.poll() is not None or time.monotonic() > end:
                words = Path(OUTPUT).read_text().splitlines()[-3:]
                raise Stuck(f"waited in vain until {what}; the service's last words: {' / '.join(words)}")
            time.sleep(PAUSE)

    def _version(self) -> str | None:
        """The version that answers, None while none does."""
        try:
            return str(json.load(OPEN(self.url + "/readyz", timeout=1))["model_version"])
        except OSError:
            return None

    def _caught_up(self, role: str, version: str) -> bool:
        if pointed(self.settings.service.state, role) != version:
            return False
        progress = last_state(self.settings.service.shadow, repair=False).models.get(version)
        sizes = log.sizes(self.settings.service.predictions)
        return progress is not None and not any(any(progress.todo(path.stem, size)) for path, size in sizes.items())
