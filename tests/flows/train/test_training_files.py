"""The files that a model's fingerprint is made of, read from the imports of what fits it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.steps.train import plan
from flows.steps.train.exclusions import excluded_days
from penumbra.core.settings import PROJECT_ROOT
from penumbra.simulation.backtest import prepared_data
from penumbra.storage import fingerprints

ROOMS = ("penumbra", "problem", "flows", "monitoring", "service", "locks")
FITTING_STEPS = ("matrices", "plan", "final_fit", "live_model", "exclusions/excluded_days", "gate_evaluation")
FITTING_STEPS += ("trials/attempts", "trials/screening", "trials/selection", "trials/shipping")
TRAINING_MODULES = (
    "problem/candidates.py",
    "problem/augment.py",
    "problem/schema.py",
    "penumbra/features/kinds.py",
    "penumbra/patterns/cascade.py",
    "penumbra/core/encoding.py",
    "penumbra/core/metrics/losses.py",
    "penumbra/core/task.py",
    "penumbra/data/batches.py",
    "penumbra/training/split.py",
    "penumbra/training/fit.py",
    "penumbra/training/onnx/trees.py",
    "flows/train.py",
    *(f"flows/steps/train/{name}.py" for name in FITTING_STEPS),
    "locks/runtime.lock",
)
OTHER_MODULES = (
    "monitoring/dashboard/overview/overview_page.py",
    "monitoring/dashboard/overview/cards.py",
    "penumbra/cli/explain.py",
    "penumbra/simulation/replay/run.py",
    "flows/promote.py",
    "flows/steps/promote/verdicts.py",
    "flows/steps/train/experiment_run.py",
    "service/app.py",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's code."""
    folder = tmp_path_factory.mktemp("project")
    for room in ROOMS:
        shutil.copytree(PROJECT_ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def compute_training_fingerprint(root: Path) -> str:
    return fingerprints.compute_fingerprint(root, plan.list_training_files(root))


@pytest.fixture(scope="module")
def changes_fingerprint(project: Path) -> Callable[[str], bool]:
    """Appends a line to a file; whether the fingerprint of a training is another one then."""
    computed = [compute_training_fingerprint(project)]

    def change(file: str) -> bool:
        with (project / file).open("a") as opened:
            opened.write("# changed\n")
        computed.append(compute_training_fingerprint(project))
        return computed[-1] != computed[-2]

    return change


@pytest.mark.parametrize("file", TRAINING_MODULES)
def test_changing_a_module_that_a_fit_imports_changes_the_fingerprint(
    changes_fingerprint: Callable[[str], bool], file: str
) -> None:
    assert changes_fingerprint(file)


@pytest.mark.parametrize("file", OTHER_MODULES)
def test_changing_the_dashboard_or_another_flow_does_not(changes_fingerprint: Callable[[str], bool], file: str) -> None:
    assert not changes_fingerprint(file)


def test_a_new_module_counts_as_soon_as_a_module_of_the_fit_imports_it(project: Path) -> None:
    (project / "penumbra/training/new.py").write_text("")
    before = compute_training_fingerprint(project)
    with (project / "penumbra/training/split.py").open("a") as opened:
        opened.write("from penumbra.training import new\n")
    assert "penumbra/training/new.py" in plan.list_training_files(project)
    assert compute_training_fingerprint(project) != before


def test_every_module_of_the_training_rooms_that_the_flow_imports_is_listed() -> None:
    modules = fingerprints.list_imported_modules(PROJECT_ROOT, ["flows.train"])
    rooms = ("penumbra.training.", "penumbra.core.", "penumbra.patterns.", "penumbra.data.", "problem.")
    expected = {module.replace(".", "/") for module in modules if module.startswith(rooms)}
    assert expected <= {file.removesuffix(".py").removesuffix("/__init__") for file in plan.list_training_files()}


def test_a_recipe_is_the_problem_its_building_blocks_and_the_encoding() -> None:
    files = plan.list_recipe_files()
    rooms = {file.rpartition("/")[0] for file in files}
    assert rooms == {"locks", "problem", "penumbra", "penumbra/features", "penumbra/patterns", "penumbra/core"}
    assert [file for file in files if file.startswith("penumbra/core/")] == ["penumbra/core/encoding.py"]
    assert set(files) < set(plan.list_training_files())


def test_the_models_of_a_backtest_depend_on_how_it_fits_and_not_on_how_a_training_is_registered() -> None:
    files = prepared_data.list_fit_files()
    assert {"penumbra/simulation/backtest/fitted_models.py", "flows/steps/train/matrices.py"} <= set(files)
    assert "flows/steps/train/release/registration.py" not in files


def test_which_days_have_faults_depends_on_the_contract_and_not_on_the_candidates() -> None:
    files = fingerprints.list_result_files(PROJECT_ROOT, excluded_days.FAULT_MODULES, excluded_days.FAULT_ROOMS)
    assert {"problem/schema.py", "monitoring/faults/data_faults.py"} <= set(files)
    assert "problem/candidates.py" not in files
