import datetime as dt
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.registry import aliases, pointers
from penumbra.registry.history.ledger import LEDGER_FILE, Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger
from penumbra.registry.pointers import RollbackPin, read_pointer, read_rollback_pin
from penumbra.registry.rollback import RollbackRefused, roll_back_live, sync_rollback
from penumbra.storage.shared.store_failures import StoreError
from problem import schema
from service.processes.deployment.version_deployment import deploy_live, record_unfit_versions
from tests.helpers.models import registered_versions as world
from tests.helpers.models.registered_versions import append_earlier_event, make_aliased_registry
from tests.helpers.problems.orders import load_orders
from tests.helpers.servers import local_service
from tests.helpers.servers.local_service import FolderRegistry
from tests.helpers.servers.object_stores import list_store_variables

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


def served(folder: Path) -> FolderRegistry:
    """Version 2 is live after version 1."""
    local_service.deploy_version(folder, "1")
    local_service.deploy_version(folder, "2", seed=2)
    return FolderRegistry(folder / "registry", "2", previous="1")


def deploy(registry: FolderRegistry, folder: Path) -> str | None:
    """A pass of the deployer."""
    aliases.sync_registry(registry, folder / "state", Ledger(folder / "ledger"))
    return deploy_live(registry, folder / "state", local_service.PROBLEM)


def pointers_of(folder: Path) -> list[str | None]:
    return [read_pointer(folder / "state", name) for name in ("live", "previous")]


def test_the_previous_version_answers_and_the_ledger_says_who_and_why(tmp_path: Path) -> None:
    served(tmp_path)
    message = roll_back_live(world.make_registry_settings(tmp_path), "complaints")
    assert (message, pointers_of(tmp_path)) == ("version 1 answers in place of version 2", ["1", "2"])
    (entry,) = Ledger(tmp_path / "ledger").entries()
    assert (entry.kind, entry.reason, entry.versions) == ("rollback", "complaints", {"live": "1", "previous": "2"})


def test_the_deployer_tells_the_registry_and_doesnt_swing_the_pointer_forward(tmp_path: Path) -> None:
    registry = served(tmp_path)
    roll_back_live(world.make_registry_settings(tmp_path), "")
    assert deploy_live(registry, tmp_path / "state", local_service.PROBLEM) == "1"
    assert deploy(registry, tmp_path) == "1"
    assert (registry.aliases(), pointers_of(tmp_path)) == ({"live": "1", "previous": "2"}, ["1", "2"])
    assert read_rollback_pin(tmp_path / "state") is None


def test_what_was_promoted_after_the_rollback_wins_over_it(tmp_path: Path) -> None:
    registry = served(tmp_path)
    local_service.make_bundle(tmp_path / "registry/3", 3)
    roll_back_live(world.make_registry_settings(tmp_path), "")
    aliases.move_aliases(registry, registry.aliases(), {"live": "3", "previous": "2"})
    assert deploy(registry, tmp_path) == "3"
    assert read_rollback_pin(tmp_path / "state") is None


def test_a_promotion_from_before_the_rollback_that_arrives_late_doesnt_win(tmp_path: Path) -> None:
    registry = served(tmp_path)
    aliases.move_aliases(registry, registry.aliases(), {"live": "3", "previous": "2"})
    roll_back_live(world.make_registry_settings(tmp_path), "")
    assert deploy(registry, tmp_path) == "1"
    assert registry.aliases() == {"live": "1", "previous": "2"}


def test_a_deployer_that_asked_the_registry_before_the_rollback_changes_nothing(tmp_path: Path) -> None:
    class Slow(FolderRegistry):
        def version(self, alias: str) -> str | None:
            version = super().version(alias)
            roll_back_live(world.make_registry_settings(tmp_path), "")
            return version

    served(tmp_path)
    local_service.make_bundle(tmp_path / "registry/3", 3)
    assert deploy_live(Slow(tmp_path / "registry", "3"), tmp_path / "state", local_service.PROBLEM) == "1"
    assert pointers_of(tmp_path) == ["1", "2"]


def test_a_second_rollback_doesnt_go_forward_again(tmp_path: Path) -> None:
    served(tmp_path)
    roll_back_live(world.make_registry_settings(tmp_path), "")
    with pytest.raises(
        RollbackRefused, match=r"live since the rollback of .* forward with `penumbra promote --force --version 2"
    ):
        roll_back_live(world.make_registry_settings(tmp_path), "")
    roll_back_live(world.make_registry_settings(tmp_path), "", to="2")
    assert pointers_of(tmp_path) == ["2", "1"]


def test_there_must_be_something_to_go_back_to(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    with pytest.raises(RollbackRefused, match="names no version to go back to"):
        roll_back_live(world.make_registry_settings(tmp_path), "")


def test_going_back_to_the_live_version_is_refused_as_such(tmp_path: Path) -> None:
    served(tmp_path)
    with pytest.raises(RollbackRefused, match=r"^version 2 is already live$"):
        roll_back_live(world.make_registry_settings(tmp_path), "", to="2")


def test_before_anything_was_served_the_refusal_says_so(tmp_path: Path) -> None:
    with pytest.raises(RollbackRefused, match="names no live version: `make serve` has not begun"):
        roll_back_live(world.make_registry_settings(tmp_path), "")


def test_a_version_that_the_service_never_had_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    served(tmp_path)
    with pytest.raises(RollbackRefused, match=r"^version 9 can't answer: the service has never had it; it has 1, 2$"):
        roll_back_live(world.make_registry_settings(tmp_path), "", to="9")


def test_a_damaged_bundle_is_not_gone_back_to(tmp_path: Path) -> None:
    served(tmp_path)
    (tmp_path / "state/bundles/1/model.onnx").write_bytes(b"damaged")
    with pytest.raises(RollbackRefused, match="version 1 can't answer"):
        roll_back_live(world.make_registry_settings(tmp_path), "")
    assert read_pointer(tmp_path / "state") == "2"


def test_a_version_that_the_code_of_the_service_cannot_serve_is_not_gone_back_to(tmp_path: Path) -> None:
    served(tmp_path)
    changed = SimpleNamespace(features=local_service.PROBLEM.features, schema=load_orders(tmp_path / "orders").schema)
    record_unfit_versions(tmp_path / "state", changed)
    with pytest.raises(RollbackRefused, match=r"^version 1 can't answer with this code: "):
        roll_back_live(world.make_registry_settings(tmp_path), "")
    assert pointers_of(tmp_path) == ["2", "1"]


def test_a_version_that_the_code_can_serve_again_is_gone_back_to(tmp_path: Path) -> None:
    served(tmp_path)
    changed = SimpleNamespace(features=local_service.PROBLEM.features, schema=load_orders(tmp_path / "orders").schema)
    for problem in (changed, local_service.PROBLEM):
        record_unfit_versions(tmp_path / "state", problem)
    roll_back_live(world.make_registry_settings(tmp_path), "")
    assert pointers_of(tmp_path) == ["1", "2"]


def test_a_broken_ledger_keeps_nobody_from_going_back(tmp_path: Path) -> None:
    served(tmp_path)
    append_earlier_event(tmp_path, "promotion", live="2", previous="1")
    (tmp_path / "ledger" / LEDGER_FILE).unlink()
    with pytest.raises(BrokenLedger):
        roll_back_live(world.make_registry_settings(tmp_path), "")
    assert pointers_of(tmp_path) == ["1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refuses", "hangs"])
def test_with_the_store_away_the_previous_version_answers_before_the_ledger_is_asked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    served(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name, value in list_store_variables(server.getsockname()[1]).items():
            monkeypatch.setenv(name, value)
        if kind == "refuses":
            server.close()
        monkeypatch.setattr("penumbra.registry.rollback.BRIEF_PATIENCE_SECONDS", 0.6)
        settings = world.make_registry_settings(tmp_path)
        shared = settings.cluster.model_copy(update={"state": "s3://bucket/state"})
        roll_back, moved, began = pointers.roll_back_pointers, list[float](), time.monotonic()

        def note(state: Path, pin: RollbackPin) -> None:
            roll_back(state, pin)
            moved.append(time.monotonic() - began)

        monkeypatch.setattr(pointers, "roll_back_pointers", note)
        with pytest.raises(StoreError, match="no answer for"):
            roll_back_live(settings.model_copy(update={"cluster": shared}), "")
    assert pointers_of(tmp_path) == ["1", "2"]
    assert len(moved) == 1
    assert moved[0] < 3
    assert time.monotonic() - began < 6


@pytest.mark.slow
def test_a_registry_of_mlflow_is_brought_in_line_at_once(tmp_path: Path, database: Path) -> None:
    served(tmp_path)
    models = make_aliased_registry(tmp_path, database, live="2", previous="1", candidate="3")
    roll_back_live(world.make_registry_settings(tmp_path), "complaints")
    assert sync_rollback(world.make_registry_settings(tmp_path)) == "the registry's aliases say so too"
    assert models.aliases() == {"live": "1", "previous": "2", "candidate": "3"}
    assert "complaints" in models.tags("1")["ledger.00001"]


def test_a_registry_that_is_away_is_told_later(tmp_path: Path) -> None:
    registry = served(tmp_path)
    roll_back_live(world.make_registry_settings(tmp_path), "")
    assert "the deployer tells it when it can" in sync_rollback(world.make_registry_settings(tmp_path))
    assert not (tmp_path / "mlflow.db").exists()
    assert deploy(registry, tmp_path) == "1"


def test_a_rollback_that_was_made_since_isnt_forgotten_with_an_older_one(tmp_path: Path) -> None:
    served(tmp_path)
    old, new = (RollbackPin("1", "2", dt.datetime(2013, 4, day, tzinfo=dt.UTC)) for day in (1, 2))
    pointers.roll_back_pointers(tmp_path / "state", new)
    pointers.clear_rollback_pin(tmp_path / "state", old)
    assert read_rollback_pin(tmp_path / "state") == new


@pytest.mark.slow
@pytest.mark.alone
def test_under_load_with_the_registry_gone_the_previous_version_answers_at_once(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1")
    with local_service.start_server(tmp_path) as (_, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, 60)
        aliases.move_aliases(models, {"live": "1"}, {"live": "2", "previous": "1"})
        local_service.wait_until(lambda: read_pointer(tmp_path / "state") == "2" and version(http) == "2", 60)
        shutil.move(tmp_path / "mlflow.db", tmp_path / "away.db")
        with Load(str(http.base_url)) as answers:
            start_time = time.monotonic()
            command = start("complaints", folder=tmp_path)
            local_service.wait_until(lambda: version(http) == "1", 30)
            print(f"version 1 answered after {time.monotonic() - start_time:.1f} s")
            output, _ = command.communicate()
            time.sleep(3)  # for the deployer to look several times
            assert version(http) == "1"
        assert "the deployer tells it when it can" in output
        shutil.move(tmp_path / "away.db", tmp_path / "mlflow.db")
        local_service.wait_until(lambda: models.version("live") == "1", 40)
        assert version(http) == "1"
    assert set(answers) == {200}
    assert len(answers) > 100


def start(reason: str, folder: Path) -> subprocess.Popen[str]:
    """`penumbra rollback`."""
    environ = {**os.environ, **world.make_registry_environment(folder)}
    words = [sys.executable, "-m", "penumbra.cli.app", "rollback", "--reason", reason]
    return subprocess.Popen(words, cwd=PROJECT_ROOT, env=environ, stdout=subprocess.PIPE, text=True)


def version(http: httpx.Client) -> str:
    return str(http.post("/predict", json=schema.EXAMPLE).json()["model_version"])


class Load:
    """Requests without a pause; `answers` are their status codes."""

    def __init__(self, url: str) -> None:
        self.url, self.answers, self.done = url, list[int](), threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(4)]

    def __enter__(self) -> list[int]:
        for thread in self.threads:
            thread.start()
        return self.answers

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self.url, trust_env=False) as http:
            while not self.done.is_set():
                self.answers.append(http.post("/predict", json=schema.EXAMPLE).status_code)


@pytest.mark.slow
def test_the_command_loads_nothing_that_takes_long_before_the_version_answers() -> None:
    heavy = "{'mlflow', 'sklearn', 'metaflow', 'dvc', 'pandas', 'polars', 'onnxruntime'}"
    code = f"import sys, penumbra.registry.rollback; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
