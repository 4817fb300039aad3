"""bin/penumbra: sets the environment up where it is missing or stale, and is quiet where it is fresh."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from penumbra.core.settings import PROJECT_ROOT

FAKE_MAKE = """#!/bin/sh
echo "make $*" >> "$CALLS"
mkdir -p "$2/.venv/bin"
printf '#!/bin/sh\\necho "$PWD:$*$PYTHONDONTWRITEBYTECODE"\\n' > "$2/.venv/bin/penumbra"
chmod +x "$2/.venv/bin/penumbra"
touch "$2/.venv/runtime"
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with bin/penumbra, and a `make` that notes its calls."""
    root = tmp_path / "my checkout"
    for folder in (root / "bin", root / "locks", tmp_path / "path"):
        folder.mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "bin/penumbra", root / "bin")
    for name in ("pyproject.toml", "locks/runtime.lock"):
        (root / name).touch()
    (tmp_path / "path/make").write_text(FAKE_MAKE)
    (tmp_path / "path/make").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return root


def call(checkout: Path, *words: str) -> str:
    command = [str(checkout / "bin/penumbra"), *words]
    done = subprocess.run(command, cwd=checkout / "locks", capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def count_calls(checkout: Path) -> int:
    return len((checkout.parent / "calls").read_text().splitlines())


def test_a_fresh_clone_is_set_up_once(checkout: Path) -> None:
    for _ in range(2):
        assert call(checkout, "explain", "a b") == f"{checkout / 'locks'}:explain a b\n"
    assert count_calls(checkout) == 1


def test_bytecode_is_written_whatever_the_environment_says(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert call(checkout, "--help") == f"{checkout / 'locks'}:--help\n"


@pytest.mark.parametrize("name", ["pyproject.toml", "locks/runtime.lock"])
def test_a_changed_lock_sets_it_up_anew(checkout: Path, name: str) -> None:
    call(checkout, "--help")
    later = (checkout / ".venv/runtime").stat().st_mtime + 5
    os.utime(checkout / name, (later, later))
    call(checkout, "--help")
    assert count_calls(checkout) == 2


def test_it_is_found_through_a_link(checkout: Path) -> None:
    (checkout.parent / "penumbra").symlink_to(checkout / "bin/penumbra")
    done = subprocess.run([str(checkout.parent / "penumbra"), "train"], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(":train\n")
