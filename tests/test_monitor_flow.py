"""The whole of `make monitor`: a model that has become wrong is noticed, and a new one made of a few flights."""

from pathlib import Path

import pytest

from flows.watch import retraining, windows
from stores.models import Models, Run
from stores.reports import Reports
from tests import monitored as world
from tests.monitored import FIRST, ONE, entries
from tests.workspace import Workspace

FEW = """
_all = fetch
def fetch(batch):
    header, *lines = (files := _all(batch))["flights.csv"].splitlines(keepends=True)
    return {**files, "flights.csv": header + b"".join(lines[::20])}
"""
TODAY = FIRST + 8 * ONE


def registered(models: Models, bundles: Path) -> str:
    """The model as a version of its own, which is live."""
    run = models.record(Run("train", 0, 1), artifacts={"bundle": bundles / "1"})
    version = models.register(run, "bundle", {})
    models.point("live", version)
    (bundles / "1").rename(bundles / version)
    return version


@pytest.mark.slow
def test_a_model_that_has_become_wrong_is_replaced_by_no_one_but_gets_a_rival(tmp_path: Path, database: Path) -> None:
    space = Workspace(tmp_path)
    models = world.live(tmp_path, database)
    live = registered(models, tmp_path / "state/bundles")
    world.answered(tmp_path, 7, wrong=True, model=live)
    space.change_source(FEW)
    overrides = {**world.environment(tmp_path, TODAY), "PENUMBRA_TRAINING__CANDIDATES": "logistic_regression"}
    said = space.run(*space.flow("monitor"), **{k.removeprefix("PENUMBRA_").lower(): v for k, v in overrides.items()})
    assert "version 5 was made" in said, said
    chosen = world.settings(tmp_path, TODAY)
    verdict, gate, done = entries(tmp_path)
    assert [verdict.verdict, done.kind, done.verdict] == ["retrain", "retrain", "trained"]
    assert gate.versions["candidate"] == done.versions["new"] == "5"
    assert models.version("live") == live
    assert "entry 1: loss: " in models.client.get_run(models.run_of("5")).data.tags["reason"]
    assert retraining.pending(entries(tmp_path)) is None
    assert world.watch(tmp_path, TODAY) == []
    (window,) = world.windows(tmp_path)
    assert Reports(chosen.monitor.folder, chosen.registry.model).is_published(window)
    assert "retrain" in windows.words(chosen, [], "")
