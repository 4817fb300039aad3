"""The cluster's image is of one commit, runs as nobody in particular, and needs nothing else of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.image import ImageNotStaged, stage_image_context
from deploy.locks import IMAGE_PYTHON
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.registry.code_version import read_code_revision
from tests.helpers.checkout import REPOSITORY

DOCKERFILE = (PROJECT_ROOT / "deploy/cluster.Dockerfile").read_text()
FILES = ("penumbra/a.py", "problem/schema.py", "locks/cluster.lock", "locks/dev.lock", "tests/test_a.py", "README.md")


def git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    shutil.copy(PROJECT_ROOT / "settings.toml", root)
    git(root, "init")
    git(root, "add", "-A")
    git(root, "commit", "-m", "start")
    return root


def stage(root: Path, tmp_path: Path) -> Path:
    return stage_image_context(load_settings(environ={"PENUMBRA_SERVICE__STATE": str(tmp_path / "state")}), root)


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_image_has_the_code_that_runs_with_its_revision_and_no_tests(checkout: Path, tmp_path: Path) -> None:
    context = stage(checkout, tmp_path)
    assert list_files(context) == {
        "penumbra/a.py",
        "problem/schema.py",
        "locks/cluster.lock",
        "settings.toml",
        "REVISION",
    }
    assert (context / "REVISION").read_text() == read_code_revision(checkout) + "\n"


def test_a_file_that_the_last_commit_no_longer_has_is_not_left_over(checkout: Path, tmp_path: Path) -> None:
    stage(checkout, tmp_path)
    git(checkout, "rm", "penumbra/a.py")
    git(checkout, "commit", "-m", "less")
    assert "penumbra/a.py" not in list_files(stage(checkout, tmp_path))


def test_what_was_not_committed_becomes_no_image(checkout: Path, tmp_path: Path) -> None:
    (checkout / "problem/features.py").write_text("new")
    with pytest.raises(ImageNotStaged, match="differs from its last commit"):
        stage(checkout, tmp_path)


def test_outside_of_a_checkout_there_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageNotStaged, match="no git checkout"):
        stage(tmp_path, tmp_path)


def test_no_image_carries_a_secret_of_the_settings_along(checkout: Path, tmp_path: Path) -> None:
    text = (checkout / "settings.toml").read_text()
    tracking = 'tracking = "postgresql://me:Planted5ecret@host/base"'
    (checkout / "settings.toml").write_text(text.replace('tracking = "sqlite:///var/mlflow.db"', tracking))
    git(checkout, "commit", "-am", "a secret")
    with pytest.raises(ImageNotStaged, match=r"the image would carry along.*PENUMBRA_REGISTRY__TRACKING") as refusal:
        stage(checkout, tmp_path)
    assert "Planted5ecret" not in str(refusal.value)


def test_the_image_runs_as_a_user_that_is_not_root() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.findall(r"^USER (\d+):(\d+)$", last, re.M) == [("10001", "10001")]
    assert last.index("USER") < last.index("CMD")


def test_the_image_installs_from_the_lock_with_hashes() -> None:
    assert "--require-hashes -r /cluster.lock" in DOCKERFILE
    assert len(re.findall(r"pip install|apt|curl|wget", DOCKERFILE)) == 1
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {f"python:{IMAGE_PYTHON}-slim"}


@pytest.mark.slow
def test_commands_flows_and_services_run_from_the_image_alone(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, root / name, follow_symlinks=False)
    git(root, "init")
    git(root, "add", "-A")
    git(root, "commit", "-m", "start")
    context = stage(root, tmp_path)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(context), "PYTHONSAFEPATH": "1"}
    imports = "import flows.train, flows.monitor, service.app, service.shadow.process, monitoring.dashboard.server"
    check = f"{imports}, penumbra; assert penumbra.__file__.startswith({str(context)!r})"
    for command in (["-c", check], ["-m", "penumbra.cli.app", "settings"]):
        done = subprocess.run([sys.executable, *command], cwd=context, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
