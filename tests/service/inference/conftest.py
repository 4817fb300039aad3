"""Models that answer: the live and the previous one, and one of many trees."""

from pathlib import Path

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from service.inference.models.live_model import LiveModels, LoadedModel, load_model_version
from service.inference.pipeline import InferencePipeline
from service.inference.rules.rule_engine import make_rule_engine_factory
from tests.helpers.servers import local_service
from tests.service.inference.failing_models import BASELINE, CLOSE, CLOSED, CONTRACT, FAR


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 2 is live, version 1 is the previous one."""
    folder = tmp_path_factory.mktemp("fallback")
    local_service.deploy_version(folder, "1", baseline=BASELINE)
    local_service.deploy_version(folder, "2", seed=2, baseline=BASELINE)
    return folder / "state"


@pytest.fixture(scope="module")
def many_trees(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("many-trees")
    local_service.make_bundle(
        folder / "bundles/1", estimator=HistGradientBoostingClassifier(max_iter=300, random_state=1)
    )
    return load_model_version(folder, "1", local_service.PROBLEM)


@pytest.fixture
def pipeline(state: Path) -> InferencePipeline:
    live = LiveModels(state, local_service.PROBLEM, make_rule_engine_factory((FAR, CLOSED, CLOSE), "review"))
    live.refresh()
    return InferencePipeline(live, CONTRACT)
