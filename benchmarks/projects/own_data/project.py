"""A copy of the project with another problem in place of the example, as a user makes it by editing `problem/`."""

import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import Problem
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY, find_free_port, is_service_ready

PROBLEMS = Path(__file__).parent / "problems"
COMMON_FILES, TABLE_MODULE = ("source.py", "candidates.py"), "table.py"
COPIED = (
    *("penumbra", "flows", "service", "monitoring", "deploy", "locks", ".dvc", ".metaflow", "settings.toml"),
    *("pyproject.toml", "README.md", "LICENSE", "data.dvc", ".gitignore", ".dvcignore", "bin", "examples"),
)
TIMEOUT_SECONDS = 600.0
GIT = ("git", "-c", "user.name=owner", "-c", "user.email=owner@localhost")


class StepFailed(RuntimeError):
    """A command or a request of the loop failed; the message says which, with the end of its output."""


class ProjectCopy:
    """A project folder with a problem of its own."""

    def __init__(
        self, folder: Path, source: Path, python: Sequence[str] = (sys.executable,), **overrides: object
    ) -> None:
        """Copy the project's code, and make `problem/` from a folder.

        Args:
            folder: The folder to make.
            source: The files of `problem/`; those of `COMMON_FILES` that it lacks come from the folder above it.
            python: What commands are run by.
            overrides: Settings as `section__name`, for every command.
        """
        self.folder, self.package, self.python = folder, f"{source.name}_problem", python
        for name in COPIED:
            origin = PROJECT_ROOT / name
            if origin.is_dir():
                ignored = shutil.ignore_patterns("*.pyc.*", "tmp", "cache", "[A-Z]*Flow")  # bytecode comes along
                shutil.copytree(origin, folder / name, ignore=ignored)
            elif origin.exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(origin, folder / name)
        for target in (folder / "problem", folder / "packages" / self.package):
            copy_problem(source, target)
        for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "start")):
            subprocess.run([*GIT, *command], cwd=folder, check=True, capture_output=True)
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.overrides: dict[str, object] = {"service__port": self.port, **overrides}

    def load_problem(self) -> Problem:
        """Load the problem in this process, under a package name of its own."""
        sys.path.insert(0, str(self.folder / "packages"))
        try:
            return load_problem(package=self.package)
        finally:
            sys.path.remove(str(self.folder / "packages"))

    def run_command(self, *words: str, codes: tuple[int, ...] = (0,), **overrides: object) -> str:
        """Run a command of `penumbra`.

        Args:
            words: The command and its options.
            codes: The exit codes that are right.
            overrides: Settings as `section__name`, for this command.

        Returns:
            What it wrote.

        Raises:
            StepFailed: It ended with another code, in a traceback, or not within ten minutes.
        """
        command = [*self.python, "-m", "penumbra.cli.app", *words]
        with open_output(self.folder) as output:
            process = self._start(command, output, overrides)
            try:
                code = process.wait(TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = -signal.SIGKILL
            output.seek(0)
            text = output.read().decode()
        if code not in codes or "Traceback (most recent" in text:
            raise StepFailed(f"`penumbra {' '.join(words)}` ended with {code}:\n{text[-3000:]}")
        return text

    @contextlib.contextmanager
    def serve(self, *command: str, **overrides: object) -> Iterator[None]:
        """Run the service until the block ends.

        Args:
            command: What starts it; none: `penumbra serve`.
            overrides: Settings as `section__name`.

        Raises:
            StepFailed: It isn't ready within a minute.
        """
        words = command or (sys.executable, "-m", "penumbra.cli.app", "serve")
        with (self.folder / "service.txt").open("ab") as output:
            process = self._start(words, output, overrides)
        try:
            self.wait_until(
                lambda: process.poll() is not None or is_service_ready(self.url), "the service is ready", 60
            )
            if process.poll() is not None:
                raise StepFailed(f"the service ended:\n{(self.folder / 'service.txt').read_text()[-3000:]}")
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()

    def post(self, path: str, body: Any, expected: int = 200) -> Any:
        """Post JSON to the service.

        Args:
            path: The path, with its slash.
            body: Anything of JSON's types.
            expected: The status code that is right.

        Returns:
            The answer's JSON.

        Raises:
            StepFailed: The answer has another status code.
        """
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with OPEN_WITHOUT_PROXY(request, timeout=30) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        if status != expected:
            raise StepFailed(f"POST {path} gave {status}, not {expected}: {content[:2000].decode()}")
        return json.loads(content)

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        """Wait for something.

        Args:
            condition: Returns something true once it is so.
            what: What is waited for, in words.
            seconds: For so long.

        Raises:
            StepFailed: It isn't so after that time.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                log = self.folder / "service.txt"
                tail = log.read_text()[-2000:] if log.exists() else ""
                raise StepFailed(f"after {seconds:.0f} s it isn't so that {what}\n{tail}")
            time.sleep(0.1)

    def _start(self, command: Sequence[str], output: Any, overrides: dict[str, object]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._make_environment(overrides),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _make_environment(self, overrides: dict[str, object]) -> dict[str, str]:
        settings = {f"PENUMBRA_{key.upper()}": str(value) for key, value in {**self.overrides, **overrides}.items()}
        dropped = ("PENUMBRA_", "PYTHONDONTWRITEBYTECODE")  # without bytecode every process compiles all it imports
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        return {**inherited, "PYTHONPATH": str(self.folder), "METAFLOW_USER": "owner", **settings}


def convert_to_json(text: str | None, dtype: pl.DataType) -> Any:
    """Convert a value as the source writes it to what a client sends.

    Args:
        text: The value; None is null.
        dtype: The dtype of its column in the contract.

    Returns:
        A Boolean or a number for columns of these, else the text.
    """
    if text is None:
        return None
    if dtype == pl.Boolean:
        return text == "true"
    if dtype.is_integer():
        return int(text)
    return float(text) if dtype.is_float() else text


@contextlib.contextmanager
def open_output(folder: Path) -> Iterator[Any]:
    """A file for the output of a command, which is deleted at the end."""
    path = folder / f"output-{time.monotonic_ns()}.txt"
    with path.open("w+b") as output:
        try:
            yield output
        finally:
            path.unlink()


def copy_problem(source: Path, target: Path) -> None:
    """Copy the files of a problem, with those that it shares with others, and export its table beside it.

    Args:
        source: The folder of the problem; files of `COMMON_FILES` that it lacks come from the folder above it.
        target: The folder to make; the table is `exports/table.csv` in the folder above it.
    """
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", TABLE_MODULE))
    for name in COMMON_FILES:
        if not (target / name).exists() and (source.parent / name).exists():
            shutil.copy(source.parent / name, target / name)
    (target / "__init__.py").touch()
    if (source / TABLE_MODULE).exists():
        table = importlib.import_module(f"{__package__}.problems.{source.name}.table").load_table()
        (target.parent / "exports").mkdir(exist_ok=True)
        table.write_csv(target.parent / "exports" / "table.csv")
