"""A version of staging becomes production's candidate, with staging's evidence, once and only where it may."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.steps.promote.version_history import find_gate_days
from flows.steps.train.release.registration import RUN_KEY
from flows.steps.train.release.version_release import RELEASED_KEY, ReleaseRefused, release_version
from penumbra.core.settings import Settings, load_settings
from penumbra.promotion.unseen_losses import EarlierDays
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle, read_manifest
from penumbra.registry.history.ledger_entries import COMPARED_DAYS_KEY, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from tests.helpers.command_line import run_command_line
from tests.helpers.models.registered_versions import make_registry_environment
from tests.helpers.servers import local_service

LONG_TEXT = "a list of batches " * 1000
PUBLIC_KEY = "MCowBQYDK2VwAyEA" + "A" * 43 + "="


def make_environment(folder: Path, **environ: str) -> dict[str, str]:
    own = {"PENUMBRA_CLUSTER__STATE": str(folder / "shared"), "PENUMBRA_TRAINING__FOLDER": str(folder / "train")}
    return {**make_registry_environment(folder), **own, **environ}


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Settings:
    """Version 1 passed the gate and was promoted, version 2 failed, version 3 passed."""
    folder = tmp_path_factory.mktemp("staging")
    shutil.copy(migrated_database, folder / "mlflow.db")
    settings = load_settings(environ=make_environment(folder))
    models, ledger = ModelRegistry(settings.registry), open_ledger(settings)
    for number in (1, 2, 3):
        bundle = local_service.make_bundle(folder / f"made/{number}", number)
        made = FinishedRun("train", 5, 6, {"train": LONG_TEXT}, {"loss": 0.5}, {"kind": "train", "mlflow.user": "ann"})
        run = models.record(made, artifacts={"bundle": bundle})
        models.register(run, "bundle", {"fingerprint": f"plan-{number}"})
    models.set_alias("live", "1")
    days = {COMPARED_DAYS_KEY: [["2013-04-01", 50, 0.1]], "checks": ["loss"], RUN_KEY: "run-there"}
    for event in (
        make_event("verdict", "pass", days, candidate="1"),
        make_event("promotion", "promote", {}, live="1"),
        make_event("verdict", "fail", {}, candidate="2", live="1"),
        make_event("verdict", "pass", days, candidate="3", live="1"),
    ):
        ledger.append(event)
    return settings


def make_event(kind: Any, verdict: str, evidence: dict[str, Any], **versions: str) -> LedgerEvent:
    return LedgerEvent(
        kind=kind,
        verdict=verdict,
        actor="ann",
        reason="gate on 2013-04",
        versions=versions,
        data_version="d1",
        evidence=evidence,
    )


@pytest.fixture
def production(tmp_path: Path, migrated_database: Path) -> Settings:
    shutil.copy(migrated_database, tmp_path / "mlflow.db")
    return load_settings(environ=make_environment(tmp_path))


def release(production: Settings, staging: Settings, name: str = "live") -> str:
    return release_version(production, local_service.PROBLEM, staging.registry.tracking, staging.cluster.state, name)


@pytest.mark.slow
def test_the_first_version_becomes_live_with_its_run_and_the_gates_verdict(
    staging: Settings, production: Settings
) -> None:
    assert "Version 1 is live" in release(production, staging)
    models, there = ModelRegistry(production.registry), ModelRegistry(staging.registry)
    assert models.aliases() == {"live": "1"}
    assert models.params("1") == {"train": LONG_TEXT}
    assert dict(models.read_run("1").metrics) == {"loss": 0.5}
    assert models.tags("1")["fingerprint"] == "plan-1"
    verdict, promotion = open_ledger(production).entries()
    assert (verdict.verdict, verdict.versions, verdict.data_version) == ("pass", {"candidate": "1"}, "d1")
    assert verdict.evidence["checks"] == ["loss"]
    assert verdict.evidence[RELEASED_KEY] == {
        "registry": staging.registry.tracking,
        "version": "1",
        "run": there.find_run_id("1"),
        "gate": 1,
        "promotion": 2,
    }
    assert promotion.versions == {"live": "1"}


@pytest.mark.slow
def test_the_bundle_that_arrives_is_the_one_that_was_trained(
    staging: Settings, production: Settings, tmp_path: Path
) -> None:
    release(production, staging)
    for settings, place in ((production, "here"), (staging, "there")):
        ModelRegistry(settings.registry).download("1", tmp_path / place)
    assert read_manifest(tmp_path / "here") == read_manifest(tmp_path / "there")


@pytest.mark.slow
def test_a_later_one_is_a_candidate_whose_days_against_stagings_live_model_do_not_count(
    staging: Settings, production: Settings
) -> None:
    release(production, staging)
    assert "Version 2 is the candidate" in release(production, staging, "3")
    assert ModelRegistry(production.registry).aliases() == {"live": "1", "candidate": "2"}
    entries = open_ledger(production).entries()
    assert find_gate_days(entries, "2", "1") == EarlierDays()


@pytest.mark.slow
def test_a_version_that_is_released_once_more_is_the_same_version(staging: Settings, production: Settings) -> None:
    said = [release(production, staging) for _ in range(2)]
    assert said[0] == said[1]
    assert ModelRegistry(production.registry).list_versions() == ["1"]
    assert len(open_ledger(production).entries()) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("candidate", "has no version 'candidate'"),
        ("2", "did not pass the gate: entry 3"),
        ("4", "no verdict of the gate on version 4"),
    ],
)
def test_what_the_gate_did_not_let_through_is_not_released(
    staging: Settings, production: Settings, name: str, reason: str
) -> None:
    with pytest.raises(ReleaseRefused, match=reason):
        release(production, staging, name)
    assert ModelRegistry(production.registry).aliases() is None  # there is no model
    assert open_ledger(production).entries() == []


def test_a_damaged_bundle_is_not_released(staging: Settings, production: Settings) -> None:
    models = ModelRegistry(staging.registry)
    place = models.client.get_run(models.find_run_id("1")).info.artifact_uri
    model = Path(place.removeprefix("file://"), "bundle/model.onnx")
    whole = model.read_bytes()
    model.write_bytes(b"damaged")
    with pytest.raises(BrokenBundle):
        release(production, staging)
    model.write_bytes(whole)


def test_where_signatures_count_an_unsigned_version_is_not_released(staging: Settings, tmp_path: Path) -> None:
    environ = make_environment(tmp_path, PENUMBRA_REGISTRY__SIGNED_BY=PUBLIC_KEY)
    with pytest.raises(UnfitBundle, match="sign"):
        release(load_settings(environ=environ), staging)


@pytest.mark.slow
def test_the_command_says_what_became_of_it_or_why_not(
    staging: Settings, production: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in make_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    options = [f"--tracking={staging.registry.tracking}", f"--state={staging.cluster.state}"]
    assert "Version 1 is live" in run_command_line("release", *options).output
    refused = run_command_line("release", *options, "2")
    assert (refused.exit_code, refused.output.strip().count("\n")) == (1, 0)
