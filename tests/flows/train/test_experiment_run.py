"""What an experiment starts from: prepared by its command beside the imports of its flow, or by its first step."""

import sys

import numpy as np
import pytest

from flows.steps import PREPARED_VARIABLE
from flows.steps.train import experiment_run
from flows.steps.train.matrix_writing import write_live_predictions
from penumbra.core.settings import SettingsError
from penumbra.data.versioning import versions
from tests.helpers.models.training_runs import FEW_ROWS, admit_batches
from tests.helpers.problems.orders import load_orders

RUN, NAME = "experiment-1", "boosting"
COUNTING = [('"""A few small trees."""', "MADE.append(1)"), ("CANDIDATES = {", "MADE = []\nCANDIDATES = {")]


@pytest.fixture
def orders(tmp_path, monkeypatch):
    """Orders whose data is at the recorded version, with a candidate that counts in `MADE` how often it is made."""
    problem = load_orders(tmp_path, source=FEW_ROWS, candidates=COUNTING)
    settings = admit_batches(tmp_path / "run", problem)
    monkeypatch.setattr(versions, "read_recorded_version", versions.compute_data_version)
    return settings, problem


def read_arrays(folder):
    return {path.relative_to(folder).as_posix(): np.load(path).tobytes() for path in folder.rglob("*.npy")}


@pytest.mark.slow
def test_a_run_takes_what_was_prepared_ahead_as_if_it_had_prepared_it_itself(orders, tmp_path, monkeypatch):
    settings, _ = orders
    ahead = settings.training.folder / "ahead"
    experiment_run.prepare_ahead(*orders, NAME, ahead)
    monkeypatch.setenv(PREPARED_VARIABLE, str(ahead))
    taken = experiment_run.begin_experiment(NAME, RUN)
    own = experiment_run.prepare_experiment(*orders, NAME, tmp_path / "own")
    assert taken.matrices.arrays.folder == settings.training.folder / RUN
    assert read_arrays(settings.training.folder / RUN) == read_arrays(tmp_path / "own")
    assert {"inputs.npy", "labels.npy"} < read_arrays(settings.training.folder / RUN).keys()
    assert (taken.plan, taken.settings) == (own.plan, own.settings)
    assert taken.settings.training.candidates == [NAME]


def test_a_candidate_that_there_is_not_is_refused_before_any_matrix_is_written(orders, tmp_path):
    with pytest.raises(SettingsError, match=r"names oracle: problem/candidates.py has boosting"):
        experiment_run.prepare_experiment(*orders, "oracle", tmp_path / "own")
    assert not (tmp_path / "own").exists()


@pytest.mark.slow
def test_no_candidate_is_made_for_which_scikit_learn_would_be_loaded_until_the_run_begins(orders, tmp_path):
    made = sys.modules[f"{orders[1].package}.candidates"].MADE
    prepared = experiment_run.prepare_experiment(*orders, NAME, tmp_path / "own")
    assert made == []
    write_live_predictions(prepared.settings, prepared.matrices)
    assert made == [1]
