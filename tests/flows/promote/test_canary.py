"""A candidate that passed the shadow answers a share of the keys before it becomes live."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.steps.promote import verdicts
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import Settings, load_settings
from penumbra.logs import append_log
from penumbra.registry.aliases import sync_registry
from penumbra.registry.bundles.bundle import read_bundle
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_sync import rebuild_aliases
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANARY_ALIAS, read_pointer
from penumbra.registry.rollback import roll_back_live
from problem import schema
from service.inference.models.canary_share import CanaryShare
from service.inference.models.live_model import LiveModels
from service.inference.pipeline import InferencePipeline
from service.processes.deployment.version_deployment import deploy_canary
from tests.helpers.logs import local_shadow
from tests.helpers.models import registered_versions
from tests.helpers.models.registered_versions import (
    append_earlier_event,
    log_compared_days,
    make_aliased_registry,
    score_calibrated,
    score_noisy,
    shift_after_ledger,
)
from tests.helpers.servers import local_service
from tests.helpers.servers.local_service import FolderRegistry

PROBLEM = load_checked_problem()

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic

SHARE = 0.2
RECORDS = [{**schema.EXAMPLE, "flight": number} for number in range(1, 201)]


def make_settings(folder: Path, share: float = SHARE) -> Settings:
    return load_settings(
        environ={
            **registered_versions.make_registry_environment(folder),
            "PENUMBRA_PROMOTION__CANARY_SHARE": str(share),
        }
    )


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """Version 1 is live and version 2 the canary, here and in the service's state."""
    local_service.deploy_version(tmp_path, "1", baseline=0.25)
    local_service.make_bundle(tmp_path / "registry/2", 2, baseline=0.25)
    registry = FolderRegistry(tmp_path / "registry", "1", candidate="2", canary="2")
    deploy_canary(registry, tmp_path / "state")
    return registry


@contextlib.contextmanager
def open_client(folder: Path, share: float = SHARE) -> Iterator[Any]:
    with local_service.TestClient(
        local_service.build_service(make_settings(folder, share), local_service.PROBLEM).to_asgi(),
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 50000),
    ) as http:
        yield http


def read_answering_versions(http: Any, records: list[dict[str, Any]]) -> list[str]:
    """Who answers each: the same whether they come one by one or as a list."""
    single = [http.post("/predict", json=record).json()["model_version"] for record in records]
    assert [answer["model_version"] for answer in http.post("/predict", json=records).json()] == single
    return single


def post_records(http: Any) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = http.post("/predict", json=RECORDS).json()
    return answers


def parse_record(record: dict[str, Any]) -> dict[str, Any]:
    return local_shadow.RECORD_CONTRACT.parse_one(json.dumps(record).encode())


@pytest.mark.slow
def test_the_canary_answers_its_share_of_the_keys_and_always_the_same(registry: Any, tmp_path: Path) -> None:
    with open_client(tmp_path) as http:
        first, again = (
            read_answering_versions(http, RECORDS),
            read_answering_versions(http, [{**record, "temp": 70.0} for record in RECORDS]),
        )
    assert 0.1 < first.count("2") / len(first) < 0.3
    assert again == first


def test_another_candidate_gets_other_keys() -> None:
    share, keys = CanaryShare(("flight",), 0.5), [{"flight": number} for number in range(100)]
    assert [share.includes(key, "2") for key in keys] != [share.includes(key, "3") for key in keys]


@pytest.mark.slow
def test_each_answer_is_that_of_the_version_that_it_and_the_log_name(registry: Any, tmp_path: Path) -> None:
    with open_client(tmp_path) as http:
        answers = post_records(http)
    frame = local_shadow.RECORD_CONTRACT.to_frame([parse_record(record) for record in RECORDS])
    read = {name: read_bundle(tmp_path / "registry" / name, PROBLEM) for name in ("1", "2")}
    scores = {name: bundle.score(frame).tolist() for name, bundle in read.items()}
    assert [each["probability"] for each in answers] == [scores[a["model_version"]][n] for n, a in enumerate(answers)]
    assert [line["model"] for line in append_log.read_entries(tmp_path / "predictions")] == [
        a["model_version"] for a in answers
    ]


@pytest.mark.slow
def test_with_a_share_of_nought_the_live_model_answers_everything(registry: Any, tmp_path: Path) -> None:
    with open_client(tmp_path, 0) as http:
        assert set(read_answering_versions(http, RECORDS)) == {"1"}


@pytest.mark.slow
def test_where_the_canary_fails_the_live_model_answers(registry: Any, tmp_path: Path) -> None:
    live = LiveModels(tmp_path / "state", PROBLEM, canaries=True)
    live.refresh()
    assert live.canary is not None
    live.canary = dataclasses.replace(live.canary, score_one=lambda record: 1 / 0)
    pipeline = InferencePipeline(live, local_shadow.RECORD_CONTRACT, CanaryShare(("flight",), SHARE))
    said = [pipeline.predict_one(parse_record(record)) for record in RECORDS]
    assert {each.model for each in said} == {"1"}
    assert {each.marks.get("fallback", "") for each in said} == {"", "live"}


@pytest.mark.slow
def test_a_worker_takes_the_canary_up_and_drops_it_without_a_restart(registry: FolderRegistry, tmp_path: Path) -> None:
    with open_client(tmp_path) as http:
        for registry.versions_by_alias[CANARY_ALIAS], expected in ((None, {"1"}), ("2", {"1", "2"})):
            deploy_canary(registry, tmp_path / "state")
            local_service.wait_until(lambda: {answer["model_version"] for answer in post_records(http)} == expected)  # noqa: B023


@pytest.mark.slow
def test_beside_a_canary_the_live_model_answers_in_the_shadow_what_the_canary_answers(tmp_path: Path) -> None:
    local_shadow.point_role(tmp_path, "live", "1")
    entries = [local_shadow.make_entry(distance) for distance in (100, 200)]
    for entry in entries:
        entry.model = "2"
    local_shadow.log_entries(tmp_path, *entries)
    with local_shadow.start_role_worker(tmp_path, "live") as worker:
        assert not worker.step()
        local_shadow.point_role(tmp_path, CANARY_ALIAS, "2")
        local_shadow.step_until(worker, local_shadow.make_completion_check(worker, tmp_path, "1"))


@pytest.mark.slow
def test_what_passed_the_shadow_becomes_the_canary_first(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    settings = make_settings(tmp_path)
    said = verdicts.act_on_cases(
        settings,
        verdicts.judge_cases(settings, PROBLEM, verdicts.prepare_aliases(settings), now=registered_versions.NOW),
    )
    assert models.aliases() == {"live": "1", "candidate": "2", "canary": "2"}, said
    assert "it answers 20% of the keys from now on" in said
    *_, begun = Ledger(tmp_path / "ledger").entries()
    assert (begun.kind, begun.versions) == ("canary", {"canary": "2", "live": "1"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "aliases"),
    [(score_calibrated, {"live": "2", "previous": "1"}), (score_noisy, {"live": "1"})],
    ids=["no worse is promoted", "worse is stopped"],
)
def test_the_canarys_own_answers_decide_too(tmp_path: Path, database: Path, says: Any, aliases: dict[str, str]) -> None:
    """What the live model says of the same rows in the shadow stands beside them."""
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2", canary="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    append_earlier_event(tmp_path, "canary", "canary", canary="2", live="1")
    log_compared_days(
        tmp_path,
        "1",
        {"2": says, "1": score_calibrated},
        score_calibrated,
        shift_after_ledger(registered_versions.FIRST_TIME),
        canary={"2": says},
    )
    settings = make_settings(tmp_path)
    (case,) = verdicts.judge_cases(
        settings, PROBLEM, verdicts.prepare_aliases(settings), now=shift_after_ledger(registered_versions.NOW)
    )
    verdicts.act_on_cases(settings, [case])
    assert models.aliases() == aliases, str(case)
    assert case.comparison is not None
    assert case.comparison.evidence.labels == registered_versions.NUMBER_OF_DAYS * registered_versions.ROWS_PER_DAY


def test_rollback_ends_the_canary_at_once_and_nothing_else(registry: FolderRegistry, tmp_path: Path) -> None:
    said = roll_back_live(make_settings(tmp_path), "complaints")
    assert said == "version 2 was the canary and answers no more: version 1 does"
    assert (read_pointer(tmp_path / "state", CANARY_ALIAS), read_pointer(tmp_path / "state")) == (None, "1")
    assert deploy_canary(registry, tmp_path / "state") is None
    (entry,) = Ledger(tmp_path / "ledger").entries()
    assert (entry.kind, entry.verdict, entry.reason) == ("canary", "ended", "complaints")


def test_the_registry_is_told_that_a_canary_was_ended(registry: FolderRegistry, tmp_path: Path) -> None:
    roll_back_live(make_settings(tmp_path), "complaints")
    sync_registry(registry, tmp_path / "state", Ledger(tmp_path / "ledger"))
    assert registry.aliases() == {"live": "1"}
    assert not (tmp_path / "state/canary-ended").exists()


@pytest.mark.slow
def test_the_ledger_knows_of_canaries_when_aliases_are_rebuilt(tmp_path: Path, database: Path) -> None:
    models: ModelRegistry = make_aliased_registry(tmp_path, database, live="1")
    append_earlier_event(tmp_path, "promotion", "promote", live="1")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    append_earlier_event(tmp_path, "canary", "canary", canary="2", live="1")
    rebuild_aliases(make_settings(tmp_path), Ledger(tmp_path / "ledger").entries())
    assert models.aliases() == {"live": "1", "candidate": "2", "canary": "2"}
    append_earlier_event(tmp_path, "canary", "ended", canary="2", live="1")
    rebuild_aliases(make_settings(tmp_path), Ledger(tmp_path / "ledger").entries())
    assert models.aliases() == {"live": "1"}
