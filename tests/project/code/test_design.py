"""The rules of the design, read off the source itself."""

import ast
import functools
import re
import subprocess
import sys

import pytest

from flows.experiment import IMPORTED_AHEAD as EXPERIMENT_MODULES
from flows.train import IMPORTED_AHEAD as TRAINING_MODULES
from penumbra.core.settings import PROJECT_ROOT
from tests.helpers.checkout import REPOSITORY
from tests.project.code.inventory import list_inner_statements

BUILDING_BLOCKS = {"penumbra.features", "penumbra.rules", "penumbra.patterns"}
LOGIC = {
    *("penumbra.core", "penumbra.training", "penumbra.promotion"),
    *("monitoring", "monitoring.explanations", "monitoring.windows"),
}
STATE = {
    *("penumbra.storage", "penumbra.data", "penumbra.logs", "penumbra.registry", "penumbra.reviews"),
    *("monitoring.windows.window_store", "penumbra.approvals"),
}
# Each room with the rooms that it may import. Packages of a room belong to it, but for those with a line of their own.
MAY_IMPORT = {
    "penumbra": set(),
    "penumbra.client": set(),
    "penumbra.features": set(),
    "penumbra.rules": {"penumbra.features"},
    "penumbra.patterns": {"penumbra.core"},
    "penumbra.sources": {"penumbra.core"},
    "problem": {*BUILDING_BLOCKS, "penumbra.sources"},
    "penumbra.core": BUILDING_BLOCKS,
    "penumbra.training": {"penumbra.core", "penumbra.features", "penumbra.patterns"},
    "penumbra.promotion": {"penumbra.core"},
    "monitoring": {"penumbra.core", "penumbra.features"},
    "monitoring.explanations": {"penumbra.core", "monitoring"},
    "penumbra.drafting": {"penumbra.core", "penumbra.data", "penumbra.sources", "penumbra.training"},
    "penumbra.storage": {"penumbra.core"},
    "penumbra.data": {"penumbra.core", "penumbra.features", "penumbra.storage"},
    "penumbra.logs": {"penumbra.core", "penumbra.features", "penumbra.rules", "penumbra.storage"},
    "penumbra.registry": {"penumbra.core", "penumbra.features", "penumbra.storage", "penumbra.logs"},
    "penumbra.reviews": {
        *("penumbra.core", "penumbra.features", "penumbra.rules"),
        *("penumbra.storage", "penumbra.logs", "penumbra.registry"),
    },
    "penumbra.approvals": {
        *("penumbra.core", "penumbra.storage", "penumbra.registry"),
        *("monitoring.windows", "monitoring.windows.window_store"),
    },
    "monitoring.windows": {"penumbra.core", "monitoring", "monitoring.explanations"},
    "monitoring.windows.window_store": {"penumbra.core", "penumbra.storage", "monitoring.windows"},
    "monitoring.reports": {
        "penumbra.core",
        "penumbra.logs",
        "penumbra.storage",
        "monitoring.explanations",
        "monitoring",
        "monitoring.windows",
        "monitoring.windows.window_store",
    },
    "penumbra.scheduling": {"penumbra.core"},
    "penumbra.cluster": {"penumbra.core"},
    "monitoring.dashboard": {
        *LOGIC,
        *STATE,
        "monitoring.reports",
        "penumbra.scheduling",
        "penumbra.sources",
        "service",
    },
    "flows": {
        "penumbra.sources",
        *BUILDING_BLOCKS,
        *LOGIC,
        *STATE,
        "monitoring.reports",
        "monitoring.dashboard",
        "penumbra.cluster",
        "service",
    },
    "service": {*BUILDING_BLOCKS, *STATE, "penumbra.core"},
    "penumbra.simulation": {*BUILDING_BLOCKS, *LOGIC, *STATE, "flows"},
    "penumbra.cli": {
        "penumbra.sources",
        *BUILDING_BLOCKS,
        *LOGIC,
        *STATE,
        "penumbra.scheduling",
        "penumbra.cluster",
        "penumbra.drafting",
        "penumbra.simulation",
        "monitoring.dashboard",
        "flows",
        "service",
    },
}
OURS = {"penumbra", "problem", "monitoring", "flows", "service"}
HEAVY = {"mlflow", "dvc", "metaflow", "sklearn", "onnx", "evidently", "pandas"}
MODULES = {
    path.relative_to(PROJECT_ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for folder in sorted(OURS)
    for path in (PROJECT_ROOT / folder).rglob("*.py")
}

PACKAGES = {module for module, path in MODULES.items() if path.name == "__init__.py"}


@functools.cache
def parse_module(module):
    return ast.parse(MODULES[module].read_text())


@functools.cache
def imports(module, lazy=True):
    """The modules that a module of ours imports; `lazy=False`: only when it is itself imported."""
    todo, found = [parse_module(module)], set()
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module}
        elif lazy or not (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_typing_only(node)):
            todo.extend(list_inner_statements(node))
    return found


def is_typing_only(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def room(module):
    """The innermost room that a module is in: the longest name in the table that it begins with."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next(name for name in names if name in MAY_IMPORT)


def loaded_with(module):
    """Everything that is imported, directly or through our own modules, as soon as a module is."""
    todo, found = [module], set()
    while todo:
        new = imports(todo.pop(), lazy=False) - found
        found |= new
        todo.extend(new & MODULES.keys())
    return found


def imported_modules(module):
    """Those of our modules that a module imports, at any time."""
    return imports(module) & MODULES.keys() - {module, *PACKAGES}


@pytest.mark.slow
def test_a_room_imports_only_the_rooms_that_it_may():
    used = {module: {room(name) for name in imported_modules(module)} - {room(module)} for module in MODULES}
    forbidden = {module: rooms - MAY_IMPORT[room(module)] for module, rooms in used.items()}
    assert {module: rooms for module, rooms in forbidden.items() if rooms} == {}


@pytest.mark.slow
def test_no_modules_import_each_other_in_a_circle():
    assert list(circles()) == []


def circles():
    """Each module from which a way along imports leads back to itself."""
    for module in MODULES:
        todo, seen = [module], set()
        while todo:
            new = imported_modules(todo.pop()) - seen
            seen |= new
            todo.extend(new)
        if module in seen:
            yield module


def test_every_folder_with_code_has_a_place_in_the_design():
    code = {path.parent.name for path in PROJECT_ROOT.glob("*/*.py")} | {
        path.stem for path in PROJECT_ROOT.glob("*.py")
    }
    assert code - OURS - {"tests", "benchmarks", "docs", "deploy", "examples", "problem_tests"} == set()


def test_what_the_service_loads_at_start_is_light():
    loaded = {module: loaded_with(module) for module in MODULES if room(module) == "service"}
    heavy = {module: {name.split(".")[0] for name in names} & HEAVY for module, names in loaded.items()}
    assert {module: libraries for module, libraries in heavy.items() if libraries} == {}


def test_an_experiment_is_prepared_without_a_heavy_library():
    assert {name.split(".")[0] for name in loaded_with("flows.steps.train.experiment_run")} & HEAVY == set()


@pytest.mark.parametrize("module", ["penumbra.cli.app", "flows.steps.ingest.ingestion", "flows.steps.train.settlement"])
def test_telling_that_nothing_is_new_takes_no_heavy_library(module):
    assert {name.split(".")[0] for name in loaded_with(module)} & {*HEAVY, "fsspec"} == set()


@pytest.mark.parametrize("module", sorted({*EXPERIMENT_MODULES, *TRAINING_MODULES} & MODULES.keys()))
def test_the_first_task_of_an_experiment_or_a_training_takes_no_mlflow(module):
    assert "mlflow" not in {name.split(".")[0] for name in loaded_with(module)}


def test_mlflows_errors_are_imported_where_that_does_not_load_all_of_mlflow():
    assert {name for name in MODULES if "mlflow.exceptions" in imports(name)} == {"penumbra.registry.errors"}


MODEL_STORES = {"penumbra.registry.models", "penumbra.registry.stored_registry"}


def test_only_the_deployer_of_the_service_ever_touches_the_model_store():
    users = {module for module in MODULES if room(module) == "service" and MODEL_STORES & imports(module)}
    assert users == {"service.processes.deployment.deployer"}


def test_that_reading_of_imports_sees_those_within_functions_and_through_other_modules():
    module = "penumbra.data.versioning.repository"
    assert "dvc.repo" in imports(module) - imports(module, lazy=False)
    assert "onnxruntime" in loaded_with("service.inference.models.live_model")


@pytest.mark.slow
def test_importing_the_settings_or_a_flow_makes_no_files(tmp_path):
    subprocess.run(
        [sys.executable, "-c", "import penumbra.core.settings, flows.steps.train.plan"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT_ROOT)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_onnxruntime_is_told_not_to_call_home_before_it_is_imported(tmp_path):
    code = "import penumbra.registry.bundles.bundle"
    subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PROJECT_ROOT), "HOME": str(tmp_path)}, check=True
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_module_that_imports_onnxruntime_tells_it_first():
    importing = [module for module in MODULES if "onnxruntime" in imports(module, lazy=False)]
    assert "penumbra.registry.bundles.bundle" in importing
    for module in importing:
        told, _, rest = MODULES[module].read_text().partition('os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")')
        assert "import onnxruntime" in rest, module
        assert "import onnxruntime" not in told, module


def text_files():
    """Every file that git has or would add, but those that are no text."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        path = REPOSITORY / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield name, content.decode()


HOSTS = r"https?://[^\s/]*(pypi|pythonhosted|anaconda|artifactory|nexus|devpi|index)[^\s/]*|--(extra-)?index-url|https?://\S*/simple\b"
PLACES = r"/(root|home|Users|work|tmp/pytest)/\w+"


@pytest.mark.slow
@pytest.mark.parametrize(("what", "pattern"), [("package index", HOSTS), ("machine's path", PLACES)])
def test_no_file_names_a_package_index_or_a_path_of_one_machine(what, pattern):
    found = [(name, match.group()) for name, text in text_files() for match in re.finditer(pattern, text)]
    assert [place for place in found if place[0] != "tests/project/code/test_design.py"] == []
