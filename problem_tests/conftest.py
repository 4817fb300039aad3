"""What the tests of the problem share: the loaded problem, the settings, and a sample of the newest batches."""

import os
import warnings
from pathlib import Path

import pytest

# Two threads that wait for each other actively cost more than they give. Libraries read it when they are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from penumbra.data.source_reader import BatchRefused, SourceFailed, is_out_of_reach
from problem_tests.sample import Sample, take_sample

SEE_FOLDER, SEE_BATCHES = "see the test of the folder", "see the test of the newest batches"


def pytest_configure() -> None:
    """Refuse to run in the process of the engine's tests, which take another problem for this one."""
    if Path(__file__).parents[1] != PROJECT_ROOT:
        raise pytest.UsageError("tests/ and problem_tests/ need a process each: run `pytest problem_tests` by itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let warnings of the problem's libraries be warnings: the engine's tests make them errors."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of a candidate for each of them."""
    if "candidate" in metafunc.fixturenames:
        try:
            names = list(load_problem(["candidates"]).candidates.CANDIDATES)
        except ProblemError:
            names = []
        metafunc.parametrize("candidate", names)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings."""
    try:
        return load_settings()
    except SettingsError:
        pytest.skip(SEE_FOLDER)


@pytest.fixture(scope="session")
def problem() -> Problem:
    """The problem, with every part."""
    try:
        return load_problem()
    except ProblemError:
        pytest.skip(SEE_FOLDER)


@pytest.fixture(scope="session")
def attempt(settings: Settings, problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> Sample | Exception:
    """The sample, or why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return take_sample(settings, problem, tmp_path_factory.mktemp("sample"))
        except (SourceFailed, BatchRefused) as error:
            if is_out_of_reach(error):
                pytest.skip(f"the source is out of reach: {error}")
            return error


@pytest.fixture(scope="session")
def sample(attempt: Sample | Exception) -> Sample:
    """The sample."""
    if isinstance(attempt, Exception):
        pytest.skip(SEE_BATCHES)
    return attempt


@pytest.fixture(scope="session")
def varied_sample(sample: Sample) -> Sample:
    """The sample, for tests that learn from it."""
    outcomes = sample.labelled[LABEL_COLUMN]
    if outcomes.n_unique() == 1:
        pytest.skip(f"the outcome of the newest batches is always {outcomes[0]}: nothing can be learnt from one")
    return sample
