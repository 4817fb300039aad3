"""The attributions of a window beside those of the reference, from the prediction log of a real service."""

import datetime as dt
import functools
from pathlib import Path

import dataframely as dy
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from flows.steps.monitor.measures import attribution_drift
from flows.steps.monitor.measures.attribution_drift import (
    UsualAttributions,
    learn_attributions,
    measure_attribution_drift,
)
from penumbra.logs.append_log import encode_json
from penumbra.logs.indexing.index import LogIndex
from problem import schema
from problem.schema import Row
from tests.helpers.servers import local_service

JSON = {"content-type": "application/json"}
FIRST, NEXT = dt.date(2013, 4, 1), dt.date(2013, 4, 2)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@functools.cache
def draw_rows(count: int, seed: int) -> pl.DataFrame:
    moment = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)
    rows = Row.sample(count, generator=dy.random.Generator(seed))
    return rows.with_columns(pl.lit(moment).cast(rows.schema["time_hour"]).alias("time_hour"))


def answer(folder: Path, rows: pl.DataFrame) -> LogIndex:
    with local_service.open_test_client(folder) as http:
        response = http.post("/predict", content=encode_json(list(rows.iter_rows(named=True))), headers=JSON)
        assert response.status_code == 200, response.text
    index = LogIndex.from_settings(local_service.make_service_settings(folder), schema)
    index.catch_up()
    return index


def deploy(folder: Path) -> UsualAttributions:
    model = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5)
    usual = learn_attributions(local_service.deploy_version(folder, "1", estimator=model), draw_rows(200, 1))
    assert usual is not None
    return usual


@pytest.mark.slow
def test_rows_like_those_of_the_reference_have_its_reasons_and_others_have_others(tmp_path: Path) -> None:
    usual = deploy(tmp_path)
    alike = measure_attribution_drift(answer(tmp_path, draw_rows(200, 2)), "1", usual, FIRST, NEXT)
    without = draw_rows(200, 3).with_columns(pressure=pl.lit(None, pl.Float64))
    deploy(tmp_path / "without")
    changed = measure_attribution_drift(answer(tmp_path / "without", without), "1", usual, FIRST, NEXT)
    assert alike is not None
    assert changed is not None
    assert alike.rows == changed.rows == 200
    assert 2 * alike.distance < changed.distance
    assert changed.feature == "pressure"
    assert changed.now > changed.before  # it is the same in all rows now, far from what is usual
    assert changed.sizes.keys() == set(usual.bundle.inputs.names)


@pytest.mark.slow
def test_of_a_large_forest_fifty_rows_are_computed_of_window_and_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribution_drift, "MAX_LEAVES", 1)
    usual = deploy(tmp_path)
    measured = measure_attribution_drift(answer(tmp_path, draw_rows(200, 2)), "1", usual, FIRST, NEXT)
    assert measured is not None
    assert measured.rows == 50


@pytest.mark.slow
def test_a_window_of_few_answers_has_none(tmp_path: Path) -> None:
    usual = deploy(tmp_path)
    assert measure_attribution_drift(answer(tmp_path, draw_rows(20, 2)), "1", usual, FIRST, NEXT) is None
    assert measure_attribution_drift(answer(tmp_path, draw_rows(200, 3)), "1", None, FIRST, NEXT) is None
