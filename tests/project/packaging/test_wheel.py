"""The wheel: it holds the engine and nothing else, and runs a project that has no engine of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers.checkout import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git tracks, as a fresh clone has them."""
    folder = tmp_path_factory.mktemp("fresh") / "checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment's bin folder: the wheel is installed, and the packages of this environment can be imported."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, env=_clean_environment())
    paths = {"base": str(folder), "platbase": str(folder)}
    (Path(sysconfig.get_path("purelib", vars=paths)) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture
def project(checkout: Path, tmp_path: Path) -> Path:
    """A checkout without an engine of its own."""
    return shutil.copytree(checkout, tmp_path / "project", ignore=shutil.ignore_patterns("penumbra"))


def _clean_environment() -> dict[str, str]:
    """This process' environment without what would change where modules or settings come from."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PENUMBRA_"))}


def _run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments], cwd=folder, env=_clean_environment(), capture_output=True, text=True
    )


def test_the_wheel_holds_the_engine_and_nothing_else(wheel: Path, checkout: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"penumbra", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    engine = {path.relative_to(checkout).as_posix() for path in (checkout / "penumbra").rglob("*") if path.is_file()}
    assert {name for name in names if name.startswith("penumbra/")} == engine


def test_the_installed_command_runs_a_project_without_an_engine(installed: Path, project: Path) -> None:
    shown = _run(installed / "penumbra", "settings", folder=project / "problem")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "service.port" in shown.stdout
    rules = _run(installed / "penumbra", "rules", folder=project)
    assert (rules.returncode, rules.stderr) == (0, "")
    assert "Of 0 predictions in the log" in rules.stdout


@pytest.mark.parametrize("module", ["service.app", "flows.train", "monitoring.windows.window_records"])
def test_the_rooms_of_a_project_import_the_installed_engine(installed: Path, project: Path, module: str) -> None:
    code = f"import {module}, penumbra; print({module}.__file__); print(*penumbra.__path__)"
    imported = _run(installed / "python", "-W", "ignore", "-c", code, folder=project)
    assert imported.returncode == 0, imported.stderr
    room, engine = imported.stdout.splitlines()[-2:]
    assert Path(room).is_relative_to(project)
    assert Path(engine).is_relative_to(installed.parent)


def test_a_checkout_is_run_by_its_own_engine_only(installed: Path, checkout: Path) -> None:
    refused = _run(installed / "penumbra", "settings", folder=checkout / "docs")
    assert (refused.returncode, refused.stdout) == (1, "")
    (sentence,) = refused.stderr.splitlines()
    assert sentence.endswith(f": run {checkout / 'bin/penumbra'} in {checkout}")


def test_help_needs_no_project_and_a_command_without_one_says_so_in_a_sentence(installed: Path, tmp_path: Path) -> None:
    shown = _run(installed / "penumbra", "--help", folder=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Usage: penumbra ")
    refused = _run(installed / "penumbra", "settings", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"{tmp_path} is in no Penumbra project: run penumbra in the folder with settings.toml and problem/, "
        "or below it\n"
    )
