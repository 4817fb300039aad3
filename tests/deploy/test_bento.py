"""The bento serves its pinned models from anywhere; the container's file and user keep to what they promise."""

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from deploy.bento import BENTO_FILES, BentoNotBuilt, build_bento, stage_service_code
from deploy.sbom import SBOM_FILE
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.core.system.http_client import find_free_port
from penumbra.logs import append_log
from penumbra.registry.bundles import bundle
from problem import schema
from problem.schema import EXAMPLE
from service.http.requests.record_reader import Contract
from service.inference.models.pinned_models import install_pinned_models
from service.processes.workers.launcher import PROCESS_MODULES
from tests.helpers.servers import local_service

DOCKERFILE = (PROJECT_ROOT / "deploy/Dockerfile").read_text()
COMPOSE = yaml.safe_load((PROJECT_ROOT / "deploy/compose.yaml").read_text())
NOBODY = "65534"
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
IN_A_CONTAINER = """
set -e
mount --make-rprivate /
if [ -n "$HIDDEN" ]; then  # the interpreter is in a folder of root's own: show others that and nothing else of it
  mount --bind "$PYTHON" "$HELD"
  mount -t tmpfs -o mode=755 tmpfs "$HIDDEN"
  mkdir -p "$PYTHON"
  mount --bind "$HELD" "$PYTHON"
fi
mount --bind "$VAR" "$CODE/var"
mount -t tmpfs -o mode=1777 tmpfs "$TMPDIR"
mount -o remount,ro,bind /
cd "$CODE"
! touch "$CODE/probe" 2>/dev/null
exec "$@"
"""


def write_pinned_models(folder: Path, version: str, content: str = "x") -> Path:
    """Pinned models, as far as `install_pinned_models` looks at them."""
    (folder / "bundles" / version).mkdir(parents=True)
    (folder / "bundles" / version / "bundle.json").write_text(content)
    (folder / "live").write_text(version)
    return folder


def test_pinned_models_become_the_state_of_a_service_that_has_none(tmp_path: Path) -> None:
    install_pinned_models(tmp_path / "state", "sqlite:///x.db", write_pinned_models(tmp_path / "pinned", "7"))
    assert (tmp_path / "state/live").read_text() == "7"
    assert (tmp_path / "state/bundles/7/bundle.json").read_text() == "x"
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["bundles", "live"]


def test_with_a_registry_what_it_has_said_since_counts(tmp_path: Path) -> None:
    write_pinned_models(tmp_path / "state", "8")
    install_pinned_models(tmp_path / "state", "sqlite:///x.db", write_pinned_models(tmp_path / "pinned", "7"))
    assert (tmp_path / "state/live").read_text() == "8"


def test_without_a_registry_a_newer_bento_brings_its_own(tmp_path: Path) -> None:
    write_pinned_models(tmp_path / "state", "8")
    install_pinned_models(tmp_path / "state", "", write_pinned_models(tmp_path / "pinned", "9"))
    assert (tmp_path / "state/live").read_text() == "9"


def test_where_nothing_is_pinned_nothing_is_made(tmp_path: Path) -> None:
    install_pinned_models(tmp_path / "state", "", tmp_path / "pinned")
    assert list(tmp_path.iterdir()) == []


def test_without_a_live_model_there_is_no_bento(tmp_path: Path) -> None:
    with pytest.raises(BentoNotBuilt, match="make train"):
        build_bento(
            local_service.make_service_settings(tmp_path), local_service.FolderRegistry(tmp_path), local_service.PROBLEM
        )


def test_no_bento_carries_a_secret_of_the_settings_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PROJECT_ROOT / "settings.toml").read_text()
    secret = text.replace(
        'tracking = "sqlite:///var/mlflow.db"', 'tracking = "postgresql://me:Planted5ecret@host/base"'
    )
    (tmp_path / "settings.toml").write_text(secret)
    monkeypatch.setattr("deploy.bento.PROJECT_ROOT", tmp_path)
    with pytest.raises(
        BentoNotBuilt, match=r"a secret in registry.tracking, .*\(PENUMBRA_REGISTRY__TRACKING\)"
    ) as refusal:
        stage_service_code(tmp_path / "context")
    assert "Planted5ecret" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


IMPORT_FROM_HERE_ALONE = """
import importlib, pathlib, sys
folder = pathlib.Path(sys.argv[1])
sys.path[:] = [str(folder), *(path for path in sys.path if not (pathlib.Path(path) / "penumbra").exists())]
for module in sys.argv[2:]:
    assert pathlib.Path(importlib.import_module(module).__file__).is_relative_to(folder), module
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that BentoML makes a bento of."""
    folder = tmp_path_factory.mktemp("staged")
    stage_service_code(folder)
    return folder


def list_staged_modules(folder: Path) -> list[str]:
    files = [path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.rglob("*.py"))]
    return [file.replace("/", ".").removesuffix(".__init__") for file in files]


@pytest.mark.slow
def test_every_module_of_a_bento_can_be_imported_from_it_alone(staged: Path, tmp_path: Path) -> None:
    modules = list_staged_modules(staged)
    assert {"service.app", "service.shadow.scorer", *PROCESS_MODULES.values()} <= set(modules)
    done = subprocess.run(
        [sys.executable, "-IB", "-c", IMPORT_FROM_HERE_ALONE, str(staged), *modules],
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_only_code_that_serves_goes_into_a_bento(staged: Path) -> None:
    modules = list_staged_modules(staged)
    assert {name.partition(".")[0] for name in modules} == {"penumbra", "problem", "service"}
    unserved = ("penumbra.training", "penumbra.promotion", "penumbra.simulation", "penumbra.cli", "penumbra.data")
    assert not [name for name in modules if name.startswith((*unserved, "problem.candidates", "problem.source"))]
    others = {
        path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file() and path.suffix != ".py"
    }
    assert others == {*BENTO_FILES, "bentofile.yaml"}


def test_the_container_runs_as_a_user_that_is_not_root() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    (user,) = re.findall(r"^USER (\d+):(\d+)$", last, re.M)
    assert "0" not in user
    assert last.index("USER") < last.index("ENTRYPOINT")


def test_the_container_installs_from_the_lock_with_hashes() -> None:
    assert "--require-hashes -r /serve.lock" in DOCKERFILE
    assert len(re.findall(r"pip install|apt|curl|wget", DOCKERFILE)) == 1


def test_the_containers_settings_exist_and_hold() -> None:
    environ = dict(re.findall(r"(PENUMBRA_\w+)=(\S+)", DOCKERFILE))
    settings = load_settings(environ={key: value.strip('"') for key, value in environ.items()})
    assert (settings.service.host, settings.registry.tracking) == ("0.0.0.0", "")
    assert all(str(path).startswith("var/") for path in (settings.service.state, settings.service.predictions))
    assert str(settings.labels.folder).startswith("var/")


def test_the_composition_has_a_read_only_file_system_and_asks_for_a_key() -> None:
    (service,) = COMPOSE["services"].values()
    assert service["read_only"] is True
    assert service["volumes"] == ["state:/srv/var"]
    assert ":?" in service["environment"]["PENUMBRA_KEYS__PREDICT"]


@pytest.fixture(scope="module")
def pinned_bento(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bundle.Bundle]:
    """A bento, and the model that is pinned in it."""
    folder = tmp_path_factory.mktemp("bento")
    folder.chmod(0o755)
    model = local_service.make_bundle(folder / "registry/1")
    bento = build_bento(
        local_service.make_service_settings(folder),
        local_service.FolderRegistry(folder / "registry", "1"),
        local_service.PROBLEM,
    )
    return bento, bundle.read_bundle(model, local_service.PROBLEM)


@contextlib.contextmanager
def run_service(command: list[str], folder: Path, **environ: str) -> Iterator[httpx.Client]:
    """The service started by a command in a folder with nothing of ours in its environment, once it is ready."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "HOME": str(folder / "nowhere"), "BENTOML_DO_NOT_TRACK": "True", **environ}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=own, stdout=output, stderr=output, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{environ['PORT']}", trust_env=False) as http:
            local_service.wait_until(lambda: process.poll() is not None or _ready(http), seconds=90)
            assert process.poll() is None, (folder / "output").read_text()
            yield http
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def post_example(http: httpx.Client) -> Any:
    return http.post("/predict", json=EXAMPLE).json()


def compute_expected_probability(model: bundle.Bundle) -> float:
    contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1)
    return float(model.score(contract.to_frame([contract.parse_one(msgspec.json.encode(EXAMPLE))]))[0])


@pytest.mark.slow
def test_a_bento_serves_from_an_empty_folder_with_the_registry_away(pinned_bento: Any, tmp_path: Path) -> None:
    bento, model = pinned_bento
    port = str(find_free_port())
    command = ["bentoml", "serve", str(bento), "--host", "127.0.0.1", "--port", port]
    away = {"PENUMBRA_REGISTRY__TRACKING": "http://127.0.0.1:1", "BENTOML_HOME": str(tmp_path / "home")}
    with run_service(command, tmp_path, PORT=port, **away) as http:
        response_body = post_example(http)
    assert (response_body["model_version"], response_body["probability"]) == ("1", compute_expected_probability(model))
    assert append_log.find_entry_in_segments(tmp_path / "var/predictions", response_body["prediction_id"])
    assert not (bento / "src/var").exists()
    materials = json.loads((bento / "src" / SBOM_FILE).read_text())["components"]
    assert {"machine-learning-model", "library"} == {each["type"] for each in materials}


@pytest.mark.slow
def test_a_user_without_rights_serves_from_a_read_only_file_system(pinned_bento: Any, open_folder: Path) -> None:
    bento, model = pinned_bento
    var, temporary, held, code = (open_folder / name for name in ("volume", "tmp", "held", "srv"))
    shutil.copytree(bento / "src", code)
    for folder in (var, temporary, held, code / "var"):
        folder.mkdir()
    os.chown(var, int(NOBODY), int(NOBODY))
    port = str(find_free_port())
    command = ["unshare", "-m", "sh", "-c", IN_A_CONTAINER, "sh", *AS_NOBODY, sys.executable, "-m", "service"]
    environ = {"VAR": str(var), "CODE": str(code), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    environ |= {"PYTHON": sys.base_prefix, "HIDDEN": find_closed_parent(Path(sys.base_prefix)), "HELD": str(held)}
    environ |= {"PENUMBRA_REGISTRY__TRACKING": "", "PENUMBRA_SERVICE__PORT": port, "PORT": port}
    with run_service(command, open_folder, **environ) as http:
        response_body = post_example(http)
        assert response_body["probability"] == compute_expected_probability(model)
        assert "logged" not in response_body
    assert {path.owner() for path in var.rglob("*")} == {"nobody"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's own; for tests that only root can make."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("only root can become another user: run this as root, with unshare and setpriv installed")
    if subprocess.run(["unshare", "-m", "mount", "--make-rprivate", "/"], capture_output=True).returncode:
        pytest.skip("this machine allows no mount namespaces")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def find_closed_parent(folder: Path) -> str:
    """The outermost folder on the way to this one that others may not enter, or ""."""
    closed = [str(parent) for parent in reversed(folder.parents) if not parent.stat().st_mode & stat.S_IXOTH]
    return closed[0] if closed else ""
