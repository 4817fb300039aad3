"""Tables of problems of each task: their answers, why they are so, and how sure they are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.steps.score.outputs import answer_details
from flows.steps.score.outputs.answer_details import DetailsMissing
from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_tables
from penumbra.core.metrics.conformal import compute_uncertainty
from penumbra.logs.append_log import encode_lines
from penumbra.registry.bundles.bundle import read_bundle
from penumbra.registry.bundles.explanations import compute_attributions
from penumbra.rules import Answer, OneOf, Rule
from service.inference.blocked_records import SuspectRecord, append_event, compute_digest
from service.processes.deployment.version_deployment import deploy_canary
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    score_files,
    write_flights,
)
from tests.helpers.servers import local_service
from tests.service.inference.test_prediction_sets import LIMITS
from tests.service.test_multiclass_and_regression import PROBLEMS, SPECIES, TASKS, Bird, deploy

FIELD = Rule("field", "all the same there", OneOf("place", ["field"]), Answer())


def score_birds(folder: Path, kind: str, rows: pl.DataFrame, *options: str, ruled: bool = False) -> pl.DataFrame:
    rows.write_parquet(folder / "birds.parquet")
    asked = ScoreOrder(str(folder / "birds.parquet"), str(folder / "scores.parquet"), options=options)
    rules = SimpleNamespace(RULES=[FIELD] if ruled else [], OBSERVED_DECISIONS=())
    problem: Any = SimpleNamespace(**{**vars(PROBLEMS[kind]), "rules": rules})
    settings = make_score_settings(folder)
    list(score_tables(settings, problem, asked, begin_tables(settings, asked)))
    return pl.read_parquet(folder / "scores.parquet")


def name_reasons(reasons: pl.DataFrame) -> pl.DataFrame:
    sums = {f"penumbra.{name}": f"penumbra.why_{name}" for name in ("expected", "score")}
    return reasons.rename(lambda name: sums.get(name, f"penumbra.why.{name}"))


@pytest.mark.parametrize("kind", PROBLEMS)
def test_answers_of_classes_and_of_numbers_are_the_models(tmp_path: Path, kind: str) -> None:
    live, rows = deploy(tmp_path, TASKS[kind]), Bird.sample(90)
    scores, expected = score_birds(tmp_path, kind, rows), live.score(rows)
    if kind == "multiclass":
        names = [f"probability_{name}" for name in SPECIES]
        assert scores.select(names).to_numpy().tolist() == expected.tolist()
        assert scores["decision"].to_list() == [SPECIES[code] for code in expected.argmax(axis=1)]
    else:
        assert scores["value"].to_list() == expected.tolist()
        assert "decision" not in scores.columns


@pytest.mark.parametrize("kind", PROBLEMS)
def test_details_are_those_of_frames_and_null_where_a_rule_answered_before_the_model(tmp_path: Path, kind: str) -> None:
    baseline = [0.5, 0.25, 0.25] if kind == "multiclass" else 40.0
    live = deploy(tmp_path, TASKS[kind], baseline=baseline, uncertainty=msgspec.to_builtins(LIMITS[kind]))
    rows = Bird.sample(60).with_columns(place=pl.Series(["wood", "field", "wood"] * 20))
    scores = score_birds(tmp_path, kind, rows, "uncertainty", ruled=True)
    assert scores["rules"].to_list() == [None, "field", None] * 20
    columns = [name for name in scores.columns if name.startswith(("penumbra.set.", "penumbra.low", "penumbra.high"))]
    asked = rows["place"] == "wood"
    expected = compute_uncertainty(LIMITS[kind], live.score(rows.filter(asked)))
    assert_frame_equal(scores.filter(asked).select(columns), expected)
    assert scores.filter(~asked).select(columns).null_count().row(0) == (20,) * len(columns)


@pytest.mark.slow
def test_why_an_answer_is_so_stands_beside_it(tmp_path: Path) -> None:
    live = local_service.deploy_version(tmp_path, "1", uncertainty=msgspec.to_builtins(LIMITS["binary"]))
    flights = make_flights()
    score_files(tmp_path, write_flights(tmp_path / "in.parquet", flights), options=["explain"])
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    found = scores.select(pl.col("^penumbra[.]why[._].*$"))
    assert_frame_equal(found, name_reasons(compute_attributions(live, flights)))


def test_features_may_be_called_as_the_sums_of_an_explanation_are(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["score", "expected", "class", "penumbra.score", "penumbra.expected", "penumbra.class"]
    reasons = pl.DataFrame({name: [float(n)] for n, name in enumerate(names)})
    monkeypatch.setattr(answer_details, "compute_attributions", lambda *_: reasons)
    model: Any = SimpleNamespace(bundle=None, version="1")
    found = answer_details.compute_details(
        {"1": model}, pl.DataFrame({"x": [1]}), np.array([0.5]), pl.Series(["1"]), ["explain"]
    )
    assert found.columns == [*(f"penumbra.why.{name}" for name in names[:3]), *(f"penumbra.why_{n}" for n in names[:3])]


@pytest.mark.slow
def test_each_answer_is_explained_by_the_version_that_gave_it(tmp_path: Path) -> None:
    limits = msgspec.to_builtins(LIMITS["binary"])
    bundles = {"1": local_service.deploy_version(tmp_path, "1", uncertainty=limits)}
    local_service.make_bundle(tmp_path / "registry/2", 2, uncertainty=limits)
    deploy_canary(local_service.FolderRegistry(tmp_path / "registry", "1", canary="2"), tmp_path / "state")
    bundles["2"] = read_bundle(tmp_path / "state/bundles/2", local_service.PROBLEM, "2")
    flights = make_flights()
    source = write_flights(tmp_path / "in.parquet", flights)
    asked = ScoreOrder(str(source), str(tmp_path / "scores.parquet"), options=["explain", "uncertainty"])
    settings = make_score_settings(tmp_path)
    settings = settings.model_copy(update={"promotion": settings.promotion.model_copy(update={"canary_share": 0.4})})
    list(score_tables(settings, make_problem(), asked, begin_tables(settings, asked)))
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    assert set(scores["model_version"]) == {"1", "2"}
    for version, loaded in bundles.items():
        numbers = (scores["model_version"] == version).arg_true()
        reasons = scores[numbers].select(pl.col("^penumbra[.]why[._].*$"))
        expected = name_reasons(compute_attributions(loaded, flights[numbers]))
        assert_frame_equal(reasons, expected)
        sets = compute_uncertainty(LIMITS["binary"], scores["probability"][numbers].to_numpy())
        assert_frame_equal(scores[numbers].select(sets.columns), sets)


@pytest.mark.slow
def test_details_of_several_classes_are_there_where_all_rows_are_scored_one_by_one(tmp_path: Path) -> None:
    """As they are while their records are suspect."""
    limits = LIMITS["multiclass"]
    live, rows = deploy(tmp_path, TASKS["multiclass"], uncertainty=msgspec.to_builtins(limits)), Bird.sample(30)
    lines = encode_lines(rows.to_dicts())
    records = [SuspectRecord("1", compute_digest(line), msgspec.Raw(line)) for line in lines]
    append_event(tmp_path / "state", "crash", "SIGKILL", records)
    scores = score_birds(tmp_path, "multiclass", rows, "uncertainty")
    expected = compute_uncertainty(limits, live.score(rows))
    assert_frame_equal(scores.select(expected.columns), expected)


def test_a_version_that_says_nothing_of_it_is_refused_and_nothing_is_logged(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    source = write_flights(tmp_path / "in.parquet", make_flights())
    with pytest.raises(DetailsMissing, match="version 1 doesn't say how sure it is, as it was trained before"):
        score_files(tmp_path, source, options=["uncertainty"])
    assert not (tmp_path / "predictions").exists()
