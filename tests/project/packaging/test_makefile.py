"""What is said to make is text: neither make nor a shell expands it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from penumbra.core.settings import PROJECT_ROOT

FAKE_PYTEST = """import json, os
def main(words):
    print(json.dumps(words))
    return int(words[0] in os.environ.get("FAILING", "").split())
"""
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS", "NAME")  # what `make test` would hand on to the make in a test
PROBLEM = ["problem_tests", "-o", "cache_dir=.pytest_cache/problem_tests"]
READY = ("uv", "runtime", "development", "bin/uv")


@pytest.fixture
def folder(tmp_path):
    """A checkout whose environment has a pytest and a penumbra that print what they are called with."""
    shutil.copy(PROJECT_ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "locks/uv.lock", "locks/runtime.lock", "locks/dev.lock", "locks/label-studio.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    for name in (".venv/bin", "problem_tests", "tests"):
        (tmp_path / name).mkdir(parents=True)
    for number, name in enumerate(READY, 1):
        (tmp_path / ".venv" / name).touch()
        os.utime(tmp_path / ".venv" / name, (number, number))
    (tmp_path / ".venv-label-studio").mkdir()
    (tmp_path / ".venv-label-studio/ready").touch()
    (tmp_path / "pytest.py").write_text(FAKE_PYTEST)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / ".venv/bin/penumbra").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / ".venv/bin/penumbra").chmod(0o755)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "start"], cwd=tmp_path, check=True)
    return tmp_path


def start_make(folder, *words, **variables):
    environ = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    environ |= {"PYTHONPATH": str(folder), **variables}
    return subprocess.run(["make", *words], cwd=folder, env=environ, capture_output=True, text=True)


def run_make(folder, *words):
    done = start_make(folder, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_words_for_the_tests_are_passed_on_as_they_are(folder):
    words = "-k 'a or b' $(shell touch made) $$(touch made)"
    shown = [json.loads(line) for line in run_make(folder, "test", f"ARGS={words}")]
    assert [each[-1] for each in shown] == ["made)", "made)"]
    assert shown[0][:8] == [*PROBLEM, "-k", "a or b", "$(shell", "touch", "made)"]
    assert not (folder / "made").exists()


def test_paths_in_one_folder_leave_the_other_out(folder):
    (shown,) = map(json.loads, run_make(folder, "test", "ARGS=tests/cli -x"))
    assert shown == ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "tests/cli", "-x"]


@pytest.mark.slow
def test_of_tests_that_run_alone_only_the_files_are_collected(folder):
    for name, mark in (("test_load.py", "alone"), ("test_other.py", "slow")):
        (folder / "tests" / name).write_text(f"@pytest.mark.{mark}\n")
    beside, _, alone = map(json.loads, run_make(folder, "test-all"))
    assert beside[:3] == ["tests", "-m", "not alone"]
    assert alone == ["tests/test_load.py", "-m", "alone", "-n", "2", "--dist", "loadgroup"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failing", "named"),
    [("tests", "tests/"), ("problem_tests", "problem_tests/"), ("tests problem_tests", "tests/ problem_tests/")],
)
def test_tests_that_fail_in_one_folder_hide_nothing_of_the_other_and_are_named_last(folder, failing, named):
    done = start_make(folder, "test", FAILING=failing)
    *shown, last = done.stdout.splitlines()
    assert [json.loads(line)[0] for line in shown] == ["tests", "problem_tests"]
    assert last == f"Tests failed in: {named}"
    assert done.returncode != 0


@pytest.mark.slow
def test_the_next_run_knows_which_tests_failed_in_both_folders(folder):
    (folder / "pytest.py").unlink()
    (folder / ".venv/bin/python").unlink()  # a link to it has no packages
    (folder / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / ".venv/bin/python").chmod(0o755)
    (folder / "problem_tests/test_problem.py").write_text("def test_passes(): pass\ndef test_fails(): assert 0\n")
    (folder / "tests/test_engine.py").write_text(
        "import time\ndef test_passes(): time.sleep(2)\ndef test_fails(): assert 0\n"
    )
    assert start_make(folder, "test").returncode != 0
    for name in ("problem_tests", "tests"):
        shown = start_make(folder, "test", f"ARGS=--lf {name}").stdout
        assert "1 failed" in shown
        assert "passed" not in shown


def test_tests_of_the_problem_without_a_cache_are_given_none(folder):
    words = ["-p", "no:cacheprovider"]  # pytest refuses the setting of a cache then
    shown = run_make(folder, "test", f"ARGS={' '.join(words)} problem_tests")
    assert [json.loads(line) for line in shown] == [[*words, "problem_tests"]]


@pytest.mark.slow
def test_without_tests_of_the_engine_those_of_the_problem_run_alone(folder):
    (folder / "tests").rmdir()
    shutil.rmtree(folder / ".venv-label-studio")  # which only tests of the engine need
    for target in ("test", "test-all"):
        assert [json.loads(line) for line in run_make(folder, target)] == [PROBLEM]


def test_the_name_of_a_benchmark_is_taken_as_text(folder):
    assert run_make(folder, "bench", "NAME=`touch made`$(shell touch made)\"'") == [
        "bench",
        "`touch made`$(shell touch made)\"'",
    ]
    assert not (folder / "made").exists()


@pytest.mark.parametrize("name", ["REASON", "CLUSTER", "PENUMBRA_SERVICE__PORT"])
def test_whatever_variable_is_given_make_expands_nothing_in_it(folder, name):
    (folder / ".venv/bin/penumbra").write_text(f"#!/bin/sh\nprintenv {name}\n")
    assert run_make(folder, "train", f"{name}=$(shell touch made) `touch made`") == ["$(shell touch made) `touch made`"]
    assert start_make(folder, "train", **{name: "$(shell touch made)"}).stdout == "$(shell touch made)\n"
    assert not (folder / "made").exists()


FAKE_PYTHON = """#!/bin/sh
echo "$*" >> "$CALLS"
case $* in "-c import pip") exit "$CODE" ;; "-m venv"*) mkdir -p .venv/bin; ln -sf "$PYTHON" .venv/bin/python ;; esac
"""


@pytest.mark.parametrize(
    ("code", "venv", "pip"),
    [
        ("0", "-m venv --without-pip .venv", "-m pip --python .venv/bin/python install"),
        ("1", "-m venv .venv", "-m pip install"),
    ],
    ids=["with", "without"],
)
def test_uv_is_installed_by_the_pip_that_python_has_or_else_by_one_of_the_environment(
    tmp_path, monkeypatch, code, venv, pip
):
    shutil.copy(PROJECT_ROOT / "Makefile", tmp_path)
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("CODE", code)
    run_make(tmp_path, ".venv/uv", f"PYTHON={tmp_path / 'python'}")
    *_, made, installed = (tmp_path / "calls").read_text().splitlines()
    assert (made, installed.startswith(f"{pip} "), "--require-hashes" in installed) == (venv, True, True)
