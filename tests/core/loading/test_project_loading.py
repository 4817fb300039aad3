"""Settings and problem that don't fit each other, in all that begins with both."""

from collections.abc import Callable
from functools import partial

import pytest

from flows.steps.doctor import examination
from flows.steps.processes.flow_forks import FlowRunner
from penumbra.core.loading.project_loading import load_project
from penumbra.core.settings import PROJECT_ROOT, SettingsError
from penumbra.simulation.backtest import run as backtest
from penumbra.simulation.replay import run as replay

UNFIT = (
    "environment variable PENUMBRA_PROMOTION__LOSS: promotion.loss = 'absolute_error': the target of "
    "problem/schema.py is classes: expected auto, log_loss or brier"
)


@pytest.fixture
def unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_PROMOTION__LOSS", "absolute_error")


@pytest.mark.usefixtures("unfit")
@pytest.mark.parametrize("start", [load_project, backtest.main, partial(replay.main, FlowRunner(None))])
def test_a_loss_that_does_not_fit_the_target_is_refused_at_the_start(start: Callable[[], object]) -> None:
    with pytest.raises(SettingsError) as refused:
        start()
    assert str(refused.value) == UNFIT


@pytest.mark.usefixtures("unfit")
def test_the_doctor_says_so_in_a_sentence() -> None:
    with pytest.raises(SystemExit) as ended:
        examination._examine_data_folder()
    assert ended.value.code == f"The data can't be examined: {UNFIT}"


@pytest.mark.parametrize("module", ["train", "steps/train/experiment_run", "monitor", "promote"])
def test_every_flow_that_judges_begins_with_settings_and_problem_that_fit(module: str) -> None:
    text = (PROJECT_ROOT / f"flows/{module}.py").read_text()
    assert "load_project()" in text
    assert "load_settings" not in text


def test_exploration_without_decisions_to_explore_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_RULES__EXPLORE_SHARE", "0.05")
    words = "EXPLORE_SHARE: rules.explore_share is 0.05, and problem/rules.py has no OBSERVED_DECISIONS: expected those"
    with pytest.raises(SettingsError, match=words):
        load_project()
