import datetime as dt
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from flows.rollback import Refused, align, rollback
from problem import features, schema
from service.deploy import deploy_once
from service.live import pointed
from settings import ROOT
from stores import moves, pointers
from stores.ledger import LINES, BrokenLedger, Ledger
from stores.pointers import Pin, pinned
from tests import promoted as world
from tests import serving
from tests.promoted import aliased, entered
from tests.serving import FolderRegistry

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


def served(folder: Path) -> FolderRegistry:
    """Version 2 is live after version 1."""
    serving.deploy(folder, "1")
    serving.deploy(folder, "2", seed=2)
    return FolderRegistry(folder / "registry", "2", previous="1")


def deploy(registry: FolderRegistry, folder: Path) -> str | None:
    """A pass of the deployer."""
    moves.settle(registry, folder / "state", folder / "ledger")
    return deploy_once(registry, folder / "state", features.FEATURES)


def pointers_of(folder: Path) -> list[str | None]:
    return [pointed(folder / "state", name) for name in ("live", "previous")]


def test_the_previous_version_answers_and_the_ledger_says_who_and_why(tmp_path: Path) -> None:
    served(tmp_path)
    said = rollback(world.settings(tmp_path), "complaints")
    assert (said, pointers_of(tmp_path)) == ("version 1 answers in place of version 2", ["1", "2"])
    (entry,) = Ledger(tmp_path / "ledger").entries()
    assert (entry.kind, entry.reason, entry.versions) == ("rollback", "complaints", {"live": "1", "previous": "2"})


def test_the_deployer_tells_the_registry_and_doesnt_swing_the_pointer_forward(tmp_path: Path) -> None:
    registry = served(tmp_path)
    rollback(world.settings(tmp_path), "")
    assert deploy_once(registry, tmp_path / "state", features.FEATURES) == "1"
    assert deploy(registry, tmp_path) == "1"
    assert (registry.aliases(), pointers_of(tmp_path)) == ({"live": "1", "previous": "2"}, ["1", "2"])
    assert pinned(tmp_path / "state") is None


def test_what_was_promoted_after_the_rollback_wins_over_it(tmp_path: Path) -> None:
    registry = served(tmp_path)
    serving.make_bundle(tmp_path / "registry/3", 3)
    rollback(world.settings(tmp_path), "")
    moves.move(registry, registry.aliases(), {"live": "3", "previous": "2"})
    assert deploy(registry, tmp_path) == "3"
    assert pinned(tmp_path / "state") is None


def test_a_promotion_from_before_the_rollback_that_arrives_late_doesnt_win(tmp_path: Path) -> None:
    registry = served(tmp_path)
    moves.move(registry, registry.aliases(), {"live": "3", "previous": "2"})
    rollback(world.settings(tmp_path), "")
    assert deploy(registry, tmp_path) == "1"
    assert registry.aliases() == {"live": "1", "previous": "2"}


def test_a_deployer_that_asked_the_registry_before_the_rollback_changes_nothing(tmp_path: Path) -> None:
    class Slow(FolderRegistry):
        def version(self, alias: str) -> str | None:
            version = super().version(alias)
            rollback(world.settings(tmp_path), "")
            return version

    served(tmp_path)
    serving.make_bundle(tmp_path / "registry/3", 3)
    assert deploy_once(Slow(tmp_path / "registry", "3"), tmp_path / "state", features.FEATURES) == "1"
    assert pointers_of(tmp_path) == ["1", "2"]


def test_a_second_rollback_doesnt_go_forward_again(tmp_path: Path) -> None:
    served(tmp_path)
    rollback(world.settings(tmp_path), "")
    with pytest.raises(Refused, match=r"live since the rollback of .* forward with make promote FORCE=1 VERSION=2"):
        rollback(world.settings(tmp_path), "")
    rollback(world.settings(tmp_path), "", to="2")
    assert pointers_of(tmp_path) == ["2", "1"]


def test_there_must_be_something_to_go_back_to(tmp_path: Path) -> None:
    serving.deploy(tmp_path, "1")
    with pytest.raises(Refused, match="names no version to go back to"):
        rollback(world.settings(tmp_path), "")


def test_a_damaged_bundle_is_not_gone_back_to(tmp_path: Path) -> None:
    served(tmp_path)
    (tmp_path / "state/bundles/1/model.onnx").write_bytes(b"damaged")
    with pytest.raises(Refused, match="version 1 can't answer"):
        rollback(world.settings(tmp_path), "")
    assert pointed(tmp_path / "state") == "2"


def test_a_broken_ledger_keeps_nobody_from_going_back(tmp_path: Path) -> None:
    served(tmp_path)
    entered(tmp_path, "promotion", live="2", previous="1")
    (tmp_path / "ledger" / LINES).unlink()
    with pytest.raises(BrokenLedger):
        rollback(world.settings(tmp_path), "")
    assert pointers_of(tmp_path) == ["1", "2"]


def test_a_registry_of_mlflow_is_brought_in_line_at_once(tmp_path: Path, database: Path) -> None:
    served(tmp_path)
    models = aliased(tmp_path, database, live="2", previous="1", candidate="3")
    rollback(world.settings(tmp_path), "complaints")
    assert align(world.settings(tmp_path)) == "the registry's aliases say so too"
    assert models.aliases() == {"live": "1", "previous": "2", "candidate": "3"}
    assert "complaints" in models.tags("1")["ledger.00001"]


def test_a_registry_that_is_away_is_told_later(tmp_path: Path) -> None:
    registry = served(tmp_path)
    rollback(world.settings(tmp_path), "")
    assert "the deployer tells it when it can" in align(world.settings(tmp_path))
    assert not (tmp_path / "mlflow.db").exists()
    assert deploy(registry, tmp_path) == "1"


def test_a_rollback_that_was_made_since_isnt_forgotten_with_an_older_one(tmp_path: Path) -> None:
    served(tmp_path)
    old, new = (Pin("1", "2", dt.datetime(2013, 4, day, tzinfo=dt.UTC)) for day in (1, 2))
    pointers.roll_back(tmp_path / "state", new)
    pointers.unpin(tmp_path / "state", old)
    assert pinned(tmp_path / "state") == new


@pytest.mark.slow
@pytest.mark.alone
def test_under_load_with_the_registry_gone_the_previous_version_answers_at_once(tmp_path: Path, database: Path) -> None:
    models = aliased(tmp_path, database, live="1")
    with serving.server(tmp_path) as (_, http):
        serving.wait_for(lambda: http.get("/readyz").status_code == 200, 60)
        moves.move(models, {"live": "1"}, {"live": "2", "previous": "1"})
        serving.wait_for(lambda: pointed(tmp_path / "state") == "2" and version(http) == "2", 60)
        shutil.move(tmp_path / "mlflow.db", tmp_path / "away.db")
        with Load(str(http.base_url)) as answers:
            began = time.monotonic()
            command = start("complaints", folder=tmp_path)
            serving.wait_for(lambda: version(http) == "1", 30)
            print(f"version 1 answered after {time.monotonic() - began:.1f} s")
            said, _ = command.communicate()
            time.sleep(3)  # for the deployer to look several times
            assert version(http) == "1"
        assert "the deployer tells it when it can" in said
        shutil.move(tmp_path / "away.db", tmp_path / "mlflow.db")
        serving.wait_for(lambda: models.version("live") == "1", 40)
        assert version(http) == "1"
    assert set(answers) == {200}
    assert len(answers) > 100


def start(reason: str, folder: Path) -> subprocess.Popen[str]:
    """`make rollback`."""
    environ = {**os.environ, **world.environment(folder)}
    words = [sys.executable, "-m", "flows.rollback", reason, ""]
    return subprocess.Popen(words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)


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


def test_the_command_loads_nothing_that_takes_long_before_the_version_answers() -> None:
    heavy = "{'mlflow', 'sklearn', 'metaflow', 'dvc', 'pandas', 'polars', 'onnxruntime'}"
    code = f"import sys, flows.rollback; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
