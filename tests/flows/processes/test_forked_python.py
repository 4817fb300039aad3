"""The forks that programs of tests are: as programs of their own, but for the libraries that are there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penumbra.core.system.process_tree import list_lost_threads
from tests.helpers.programs.forking import find_python
from tests.helpers.servers.local_service import wait_until
from tests.helpers.servers.processes import is_alive

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="there are no such forks")]

LOOK = "import json, os, sys; print(json.dumps([sys.argv, sys.path[:2], dict(os.environ), os.getcwd(), input()]))"
ORIGIN = """
import psutil, sys
print(psutil.Process().parent().ppid(), "mlflow" in sys.modules, "penumbra" in sys.modules)
"""
WAIT = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def run(*words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*find_python(), *words], capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


def test_a_program_has_its_own_line_environment_folder_and_streams_whatever_runs_it(tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(LOOK)
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": "/elsewhere", "OWN": "1"}
    for words in (["-m", "look", "x"], ["look.py", "x"], ["-c", LOOK, "x"]):
        given = {"cwd": tmp_path, "env": own, "input": "said\n", "text": True}
        expected = json.loads(subprocess.check_output([sys.executable, *words], **given))
        forked = json.loads(run(*words, **{name: given[name] for name in ("cwd", "env", "input")}).stdout)
        assert {name: forked[2][name] for name in own} == own
        assert (forked[:2], forked[3:]) == (expected[:2], expected[3:])


def test_it_ends_with_its_own_code_and_says_why() -> None:
    assert (run("-c", "raise SystemExit(3)").returncode, run("-c", "pass").returncode) == (3, 0)
    assert run("-c", "import sys; sys.exit('no')").stderr == "no\n"
    assert "ZeroDivisionError" in run("-c", "1 / 0").stderr


def test_it_has_the_libraries_none_of_the_project_and_misses_no_thread() -> None:
    server, *has = run("-c", ORIGIN).stdout.split()
    assert has == ["True", "False"]
    assert list_lost_threads(int(server)) == set()


def test_it_is_killed_where_its_command_is() -> None:
    with subprocess.Popen([*find_python(), "-c", WAIT], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        program = int(command.stdout.readline())
        assert is_alive(program)
        command.kill()
    wait_until(lambda: not is_alive(program))
