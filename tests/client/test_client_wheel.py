"""The client's wheel holds the client alone, and works with what it requires alone."""

import email
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.helpers.checkout import REPOSITORY

CLIENT = REPOSITORY / "deploy/client"


@pytest.mark.slow
def test_it_holds_the_client_alone_and_imports_what_it_requires_alone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CLIENT, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = [archive.read(name) for name in archive.namelist() if name.endswith("METADATA")]
    modules = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "penumbra/client").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == {"penumbra/__init__.py", *modules}
    required = email.message_from_bytes(metadata).get_all("Requires-Dist") or []
    assert {name.partition(">")[0] for name in required} == {"httpx", "msgspec"}


def test_it_has_the_projects_version() -> None:
    versions = [
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"] for folder in (CLIENT, REPOSITORY)
    ]
    assert versions[0] == versions[1]
