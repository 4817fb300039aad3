"""The flow and the command of batch scoring: tables in shares, nothing twice, and one sentence where it can't be."""

import json
from pathlib import Path

import polars as pl
import pytest

from flows.steps.score.live_versions import follow_live_versions
from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_tables
from penumbra.core.settings import load_settings
from penumbra.logs.append_log import read_entries
from penumbra.registry.bundles.bundle import read_bundle
from penumbra.registry.pointers import read_pointer
from service.inference.runs.frame_scoring import NoLiveModel
from tests.flows.score.scored_flights import make_flights, make_problem, write_flights
from tests.helpers.flow_workspace import Workspace
from tests.helpers.models import registered_versions
from tests.helpers.servers import local_service


def make_places(folder: Path) -> dict[str, str]:
    """Settings of a project without a registry, whose live model is deployed."""
    local_service.deploy_version(folder, "1", baseline=0.25)
    places = {"service__state": "state", "service__predictions": "predictions", "score__folder": "score"}
    return {name: str(folder / place) for name, place in places.items()} | {"registry__tracking": ""}


@pytest.mark.slow
def test_the_flow_scores_tables_in_shares_and_a_second_run_finds_nothing_new(tmp_path: Path) -> None:
    places, workspace = make_places(tmp_path), Workspace(tmp_path / "workspace")
    for name, rows in (("a", 30), ("b", 20), ("c", 10)):
        write_flights(tmp_path / f"in/{name}.csv", make_flights(rows))
    flow = (*workspace.flow("score"), f"--input={tmp_path}/in", f"--out={tmp_path}/out")
    said = workspace.run(*flow, **places)
    assert "a.csv: 30 of 30 rows answered by version 1" in said
    assert [pl.read_parquet(tmp_path / f"out/{name}.parquet").height for name in "abc"] == [30, 20, 10]
    assert "c.csv: nothing new, scored on" in workspace.run(*flow, **places)
    assert len(list(read_entries(tmp_path / "predictions"))) == 60
    write_flights(tmp_path / "in/a.csv", make_flights(30).drop("dest"))
    write_flights(tmp_path / "in/d.csv", make_flights(10))
    for command in (
        flow,
        (*workspace.command("score", "--again"), str(tmp_path / "in"), "--out", str(tmp_path / "out")),
    ):
        said, code = workspace.run_unchecked(*command, **places)
        assert code == 1
        assert "d.csv: 10 of 10 rows answered by version 1" in said
        assert "a.csv has no column dest" in said


@pytest.mark.slow
def test_a_table_that_was_mended_gets_answers_of_its_own_where_machines_share_their_state(tmp_path: Path) -> None:
    places, workspace = make_places(tmp_path), Workspace(tmp_path / "workspace")
    folders = {"cluster__state": "shared", "labels__folder": "labels", "review__folder": "reviews"}
    places |= {name: str(tmp_path / place) for name, place in folders.items()} | {"score__part_rows": "40"}
    for name in "ab":
        write_flights(tmp_path / f"in/{name}.csv", make_flights(400))
    with (tmp_path / "in/a.csv").open("a") as file:
        file.write('"open')
    flow = (*workspace.flow("score"), f"--input={tmp_path}/in", f"--out={tmp_path}/out")
    said, code = workspace.run_unchecked(*flow, **places)
    assert code == 1
    assert "b.csv: 400 of 400 rows answered" in said
    assert not list((tmp_path / "shared/score").rglob("facts.json"))
    write_flights(tmp_path / "in/a.csv", make_flights(400).with_columns(distance=pl.lit(4321, pl.Int16)))
    assert "a.csv: 400 of 400 rows answered" in workspace.run(*flow, **places)
    distances = {entry["id"]: entry["record"]["distance"] for entry in read_entries(tmp_path / "predictions")}
    answered = pl.read_parquet(tmp_path / "out/a.parquet")["prediction_id"].to_list()
    assert [distances[name] for name in answered] == [4321] * 400
    shared = [path.name for path in (tmp_path / "shared/score").rglob("*") if path.is_file()]
    assert sorted(shared) == ["begun.json"] * 2 + ["done.json"] * 2


@pytest.mark.slow
def test_the_command_takes_what_it_is_not_told_from_the_settings(tmp_path: Path) -> None:
    places, workspace = make_places(tmp_path), Workspace(tmp_path / "workspace")
    source = write_flights(tmp_path / "in.csv", make_flights(30))
    said, code = workspace.run_unchecked(*workspace.command("score"), **places)
    assert (code, said.strip().splitlines()[-1]) == (
        1,
        "there is nothing to score: name a file, a folder, a URL or a query, or set score.input",
    )
    places |= {"score__input": str(source), "score__output": str(tmp_path / "out.csv")}
    said = workspace.run(*workspace.command("score", "--json", "--processes=1"), **places)
    (table,) = json.loads(said.strip().splitlines()[-1])
    assert (table["table"], table["is_new"], table["rows"], table["versions"]) == ("in.csv", True, 30, {"1": 30})
    assert pl.read_csv(tmp_path / "out.csv").height == 30


@pytest.mark.slow
def test_the_canary_comes_from_the_registry_and_ends_as_soon_as_that_names_none(
    tmp_path: Path, migrated_database: Path
) -> None:
    database = registered_versions.register_versions(tmp_path / "made", "ab")
    models = registered_versions.make_aliased_registry(tmp_path, database, live="2", canary="1")
    settings = registered_versions.make_registry_settings(tmp_path)
    for expected in ("1", None):
        with follow_live_versions(settings, local_service.PROBLEM):
            pass
        assert read_pointer(settings.service.state, "canary") == expected
        models.delete_alias("canary")


@pytest.mark.slow
def test_what_the_registry_makes_live_within_a_run_answers_where_no_service_runs_too(
    tmp_path: Path, migrated_database: Path
) -> None:
    database = registered_versions.register_versions(tmp_path / "made", "ab")
    models = registered_versions.make_aliased_registry(tmp_path, database, live="1")
    registry = registered_versions.make_registry_environment(tmp_path)
    score = {"PENUMBRA_SCORE__FOLDER": str(tmp_path / "score"), "PENUMBRA_SCORE__PART_ROWS": "40"}
    settings = load_settings(environ={**registry, **score, "PENUMBRA_SERVICE__POLL_SECONDS": "0.01"})
    source = write_flights(tmp_path / "in.parquet", make_flights(80))
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))

    def promote(done: int, _: int) -> None:
        if done == 1:
            models.set_alias("live", "2")
            local_service.wait_until(lambda: read_pointer(settings.service.state) == "2")

    with follow_live_versions(settings, make_problem()):
        list(score_tables(settings, make_problem(), order, begin_tables(settings, order), report=promote))
    assert pl.read_parquet(tmp_path / "scores.parquet")["model_version"].to_list() == ["1"] * 40 + ["2"] * 40


@pytest.mark.slow
def test_a_damaged_bundle_is_fetched_anew_and_one_that_is_not_the_live_versions_stops_nothing(
    tmp_path: Path, migrated_database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = registered_versions.register_versions(tmp_path / "made", "ab")
    registered_versions.make_aliased_registry(tmp_path, database, live="2", canary="1")
    settings = registered_versions.make_registry_settings(tmp_path)
    with follow_live_versions(settings, local_service.PROBLEM):
        pass
    for version in ("1", "2"):
        (settings.service.state / f"bundles/{version}/model.onnx").write_bytes(b"damaged")
    (settings.service.state / "canary").unlink()
    with follow_live_versions(settings, local_service.PROBLEM):
        assert read_bundle(settings.service.state / "bundles/2", local_service.PROBLEM, "2").version == "2"
        assert read_pointer(settings.service.state, "canary") is None
    assert "model.onnx" in caplog.text


@pytest.mark.slow
def test_the_live_version_comes_from_the_registry_and_without_one_that_is_said(
    tmp_path: Path, migrated_database: Path
) -> None:
    database = registered_versions.register_versions(tmp_path / "made", "ab")
    registered_versions.make_aliased_registry(tmp_path, database, live="2", previous="1")
    settings = registered_versions.make_registry_settings(tmp_path)
    with follow_live_versions(settings, local_service.PROBLEM):
        assert [read_pointer(settings.service.state, name) for name in ("live", "previous")] == ["2", "1"]
    (tmp_path / "other").mkdir()
    registered_versions.make_aliased_registry(tmp_path / "other", database)
    settings = registered_versions.make_registry_settings(tmp_path / "other")
    with (
        pytest.raises(NoLiveModel, match="no version is live: train one, or promote one"),
        follow_live_versions(settings, local_service.PROBLEM),
    ):
        pass
