import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from penumbra.registry.bundles.bundle import BrokenBundle
from penumbra.registry.pointers import read_pointer
from penumbra.storage.sealed import replace_sealed_file
from problem.schema import EXAMPLE
from service.inference.models import live_model
from service.processes.deployment.deployer import run_deployer
from service.processes.deployment.version_deployment import (
    deploy_canary,
    deploy_candidate,
    deploy_live,
    deploy_previous,
    discard_damaged_bundle,
)
from service.processes.workers.process_control import make_running_check
from tests.helpers.servers import local_service
from tests.helpers.servers.local_service import FolderRegistry

PROBLEM = local_service.PROBLEM

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    for version in ("1", "2"):
        local_service.make_bundle(folder / version, int(version))
    shutil.copytree(folder / "1", folder / "broken")
    (folder / "broken/model.onnx").write_bytes(b"damaged")
    return folder


def test_an_empty_registry_deploys_nothing(versions: Path, tmp_path: Path) -> None:
    assert deploy_live(FolderRegistry(versions), tmp_path, PROBLEM) is None
    assert read_pointer(tmp_path) is None


def test_that_a_live_version_is_on_its_way_is_said_and_training_only_where_there_is_none(
    versions: Path, tmp_path: Path
) -> None:
    worker = live_model.LiveModels(tmp_path, PROBLEM)
    told = []

    class Watched(FolderRegistry):
        def download(self, version: str, folder: Path) -> None:
            told.append(worker.explain_absence())
            super().download(version, folder)

    assert worker.explain_absence().endswith("the registry is being asked which version is live")
    deploy_live(Watched(versions), tmp_path, PROBLEM)
    assert worker.explain_absence().startswith("the registry has no live model yet: `make train` makes the first")
    deploy_live(Watched(versions, "1"), tmp_path, PROBLEM)
    assert told == ["version 1 is live in the registry and is being fetched"]
    assert worker.explain_absence() == "version 1 is live and is being loaded"


def test_the_live_version_is_fetched_and_pointed_to(versions: Path, tmp_path: Path) -> None:
    assert deploy_live(FolderRegistry(versions, "1"), tmp_path, PROBLEM) == "1"
    assert read_pointer(tmp_path) == "1"
    assert live_model.load_model_version(tmp_path, "1", PROBLEM).version == "1"


def test_a_version_that_is_there_is_not_fetched_again(versions: Path, tmp_path: Path) -> None:
    registry = FolderRegistry(versions, "1")
    for version in ("1", "2", "1", "1"):
        registry.versions_by_alias["live"] = version
        deploy_live(registry, tmp_path, PROBLEM)
    assert registry.downloads == 2
    assert (read_pointer(tmp_path), read_pointer(tmp_path, "previous")) == ("1", "2")


def test_a_broken_version_is_never_pointed_to(versions: Path, tmp_path: Path) -> None:
    deploy_live(FolderRegistry(versions, "1"), tmp_path, PROBLEM)
    with pytest.raises(BrokenBundle):
        deploy_live(FolderRegistry(versions, "broken"), tmp_path, PROBLEM)
    assert read_pointer(tmp_path) == "1"
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["1"]


@pytest.mark.parametrize("role", ["live", "previous", "canary"])
def test_of_two_that_fetch_a_version_at_once_the_first_ones_bundle_stays(
    versions: Path, tmp_path: Path, role: str
) -> None:
    def deploy(registry: FolderRegistry) -> str | None:
        deploy_live(registry, tmp_path, PROBLEM)
        return {"live": lambda *_: registry.version("live"), "previous": deploy_previous, "canary": deploy_canary}[
            role
        ](registry, tmp_path)

    class Overtaken(FolderRegistry):
        """Another process deploys the same while this one's download is under way."""

        def download(self, version: str, folder: Path) -> None:
            super().download(version, folder)
            if version == aliases[role]:
                deploy(FolderRegistry(versions, **aliases))

    aliases = {"live": "1"} if role == "live" else {"live": "1", role: "2"}
    assert deploy(Overtaken(versions, **aliases)) == aliases[role]
    assert {name: read_pointer(tmp_path, name) for name in aliases} == aliases
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == sorted(aliases.values())


def test_a_damaged_live_bundle_is_fetched_anew(versions: Path, tmp_path: Path) -> None:
    deploy_live(FolderRegistry(versions, "1"), tmp_path, PROBLEM)
    (tmp_path / "bundles/1/model.onnx").write_bytes(b"damaged")
    discard_damaged_bundle(tmp_path, PROBLEM)
    deploy_live(FolderRegistry(versions, "1"), tmp_path, PROBLEM)
    assert live_model.load_model_version(tmp_path, "1", PROBLEM).version == "1"


def test_a_registry_that_is_away_is_logged_once_and_tried_again(
    versions: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(FolderRegistry):
        asked = 0

        def version(self, alias: str) -> str | None:
            self.asked += 1
            if self.asked < 4:
                raise ConnectionError("no registry")
            return super().version(alias)

    registry, end = Away(versions, "1"), time.monotonic() + 10
    settings = local_service.make_service_settings(tmp_path, poll_seconds=0.01)
    with caplog.at_level("INFO", "service.processes.deployment.deployer"):
        run_deployer(
            registry,
            settings,
            local_service.PROBLEM,
            lambda: read_pointer(tmp_path / "state") is None and time.monotonic() < end,
        )
    assert [message for message in caplog.messages if "no registry" in message] == [
        "deploying live failed, trying again: ConnectionError: no registry"
    ]
    assert read_pointer(tmp_path / "state") == "1"


def test_loading_swaps_one_reference_and_keeps_it_when_the_next_is_broken(
    versions: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed = live_model.LiveModels(tmp_path, PROBLEM)
    deploy_live(FolderRegistry(versions, "1"), tmp_path, PROBLEM)
    assert followed.has_changed()
    followed.refresh()
    assert not followed.has_changed()
    shutil.copytree(versions / "broken", tmp_path / "bundles/broken")
    replace_sealed_file(tmp_path / "live", "broken")
    followed.refresh()
    assert followed.model is not None
    assert followed.model.version == "1"
    assert [message for message in caplog.messages if "is refused, version 1 goes on" in message]


@pytest.mark.parametrize("content", ["", "../elsewhere", "a/b", "\xff"])
def test_a_pointer_to_nowhere_is_no_pointer(tmp_path: Path, content: str) -> None:
    (tmp_path / "live").write_bytes(content.encode("latin-1"))
    assert read_pointer(tmp_path) is None


@pytest.mark.slow
def test_answers_of_one_request_are_of_one_version_while_models_are_swapped(versions: Path, tmp_path: Path) -> None:
    state, done = tmp_path / "state", threading.Event()

    def swap() -> None:
        while not done.is_set():
            for version in ("1", "2"):
                deploy_live(FolderRegistry(versions, version), state, PROBLEM)
                time.sleep(0.15)

    deploy_live(FolderRegistry(versions, "1"), state, PROBLEM)
    with local_service.open_test_client(tmp_path) as http:
        thread = threading.Thread(target=swap)
        thread.start()
        answers: list[Any] = [_post(http) for _ in range(60)]
        done.set()
        thread.join()
    assert all(len({answer["model_version"] for answer in answer_list}) == 1 for answer_list in answers)
    assert {answer["model_version"] for answer_list in answers for answer in answer_list} == {"1", "2"}


def _post(http: Any) -> Any:
    time.sleep(0.01)
    return http.post("/predict", json=[EXAMPLE] * 50).json()


def test_the_candidate_is_let_into_the_shadow_and_out_again(versions: Path, tmp_path: Path) -> None:
    registry = FolderRegistry(versions, "1", candidate="2")
    deploy_live(registry, tmp_path, PROBLEM)
    assert deploy_candidate(registry, tmp_path) == read_pointer(tmp_path, "candidate") == "2"
    registry.versions_by_alias["candidate"] = None
    assert deploy_candidate(registry, tmp_path) is read_pointer(tmp_path, "candidate") is None


def test_a_candidate_that_was_promoted_leaves_the_shadow_and_the_old_model_enters(
    versions: Path, tmp_path: Path
) -> None:
    registry = FolderRegistry(versions, "1", candidate="2")
    for registry.versions_by_alias["live"] in ("1", "2"):
        deploy_live(registry, tmp_path, PROBLEM)
        deploy_candidate(registry, tmp_path)
        deploy_previous(registry, tmp_path)
    assert [read_pointer(tmp_path, role) for role in ("live", "candidate", "previous")] == ["2", None, "1"]


def test_the_previous_version_is_the_registrys_where_it_names_one(versions: Path, tmp_path: Path) -> None:
    registry = FolderRegistry(versions, "1", previous="2")
    deploy_live(registry, tmp_path, PROBLEM)
    assert deploy_previous(registry, tmp_path) == read_pointer(tmp_path, "previous") == "2"


def test_a_broken_candidate_is_refused_and_the_live_version_goes_on(
    versions: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry, state = FolderRegistry(versions, "1", candidate="broken"), tmp_path / "state"
    settings, end = local_service.make_service_settings(tmp_path, poll_seconds=0.01), time.monotonic() + 10
    with caplog.at_level("INFO", "service.processes.deployment.deployer"):
        run_deployer(
            registry,
            settings,
            local_service.PROBLEM,
            lambda: not (state / "refused").exists() and time.monotonic() < end,
        )
        registry.versions_by_alias["live"] = "2"
        run_deployer(
            registry, settings, local_service.PROBLEM, lambda: read_pointer(state) != "2" and time.monotonic() < end
        )
    assert (read_pointer(state), read_pointer(state, "candidate")) == ("2", None)
    assert (state / "refused").read_text().startswith("broken\n")
    assert any("deploying candidate failed" in message for message in caplog.messages)
    registry.versions_by_alias["candidate"] = None
    deploy_candidate(registry, state)
    assert not (state / "refused").exists()


def test_a_candidate_damaged_on_disk_is_fetched_anew(versions: Path, tmp_path: Path) -> None:
    registry = FolderRegistry(versions, "1", candidate="2")
    deploy_candidate(registry, tmp_path)
    (tmp_path / "bundles/2/model.onnx").write_bytes(b"damaged")
    (tmp_path / "candidate").unlink()
    with pytest.raises(BrokenBundle, match="damaged or replaced"):
        deploy_candidate(registry, tmp_path)
    assert deploy_candidate(registry, tmp_path) == "2"
    assert registry.downloads == 2


def test_a_signal_ends_the_process_in_the_middle_of_a_call_to_the_registry(tmp_path: Path) -> None:
    class Waiting(FolderRegistry):
        def version(self, alias: str) -> str | None:
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("the call went on")

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit):
            run_deployer(
                Waiting(tmp_path),
                local_service.make_service_settings(tmp_path),
                PROBLEM,
                make_running_check(hard=True),
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
