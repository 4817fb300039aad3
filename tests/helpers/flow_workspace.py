"""A folder of its own to run the real flows in: settings' relative paths, DVC and Metaflow all begin there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT
from tests.helpers.programs.forking import find_python

WAITING_THREAD = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
SKIP_DOCTOR = ("--doctor", "skipped: no subject of the test")  # options of a training
NEW_PYTHON = (sys.executable,)  # has imported nothing, and draws another seed of hashes
FLOW_ENVIRONMENT = {"METAFLOW_USER": "tester", "METAFLOW_RUN_MAX_WORKERS": "2", "MLFLOW_DISABLE_TELEMETRY": "true"}


class Workspace:
    def __init__(self, folder: Path, python: Sequence[str] = ()):
        """Make it in a folder; `python` is what its programs are run by, forks of one process unless it is given."""
        self.folder, self.python = folder, python or find_python()
        (folder / ".metaflow").mkdir(parents=True)
        (folder / ".dvc").mkdir()
        config = (PROJECT_ROOT / ".dvc" / "config").read_text()
        (folder / ".dvc" / "config").write_text(config.replace("[core]", "[core]\n    no_scm = true"))
        shutil.copy(PROJECT_ROOT / "settings.toml", folder)
        self.overlay = folder / "overlay"

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        environ = {**os.environ, **FLOW_ENVIRONMENT, "PYTHONPATH": f"{self.overlay}{os.pathsep}{PROJECT_ROOT}"}
        environ |= {f"PENUMBRA_{key.upper()}": value for key, value in settings.items()}
        command = [*self.python, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environ,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **settings: str) -> str:
        """The output of a command that must succeed."""
        output, code = self.run_unchecked(*words, **settings)
        assert code == 0, output
        return output

    def run_unchecked(self, *words: str, **settings: str) -> tuple[str, int]:
        process = self.start(*words, **settings)
        output, _ = process.communicate(timeout=300)
        return output, process.returncode

    def ingest(self, **settings: str) -> str:
        """What the ingest flow does, for tests with another subject: in one process in place of six."""
        return self.run("-m", "tests.helpers.plain_ingest", **settings)

    def flow(self, name: str) -> tuple[str, ...]:
        return (str(PROJECT_ROOT / "flows" / f"{name}.py"), "--no-pylint", "run")

    def command(self, *words: str) -> tuple[str, ...]:
        """A command of `penumbra`."""
        return ("-m", "penumbra.cli.app", *words)

    def use_database(self, migrated: Path) -> None:
        """Begin with a copy of a new MLflow database: making one takes seconds."""
        (self.folder / "var").mkdir()
        shutil.copy(migrated, self.folder / "var/mlflow.db")

    def use_problem(self, folder: Path) -> None:
        """Run the flows with a copy of this folder in place of `problem/`."""
        shutil.rmtree(self.overlay, ignore_errors=True)
        shutil.copytree(folder, self.overlay / "problem", ignore=shutil.ignore_patterns("__pycache__"))

    def append_to_source(self, code: str) -> None:
        """Run the flows with a copy of `problem/` whose source ends with this code."""
        shutil.rmtree(self.overlay, ignore_errors=True)
        shutil.copytree(
            PROJECT_ROOT / "problem", self.overlay / "problem", ignore=shutil.ignore_patterns("__pycache__")
        )
        with (self.overlay / "problem" / "source.py").open("a") as source:
            source.write(code)

    @property
    def latest_receipt(self) -> str:
        return (self.folder / "var/train/receipts/latest.txt").read_text()

    @property
    def data_version(self) -> str:
        pointer = self.folder / "data.dvc"
        return pointer.read_text() if pointer.exists() else ""
