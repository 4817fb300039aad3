"""The rules of the design, read off the source itself."""

import ast
import re
import subprocess
import sys

import pytest

from settings import ROOT

MAY_IMPORT = {
    "kinds": set(),
    "settings": set(),
    "task": set(),
    "counts": {"kinds"},
    "ruling": {"kinds"},
    "inputs": {"kinds"},
    "patterns": {"patterns"},
    "problem": {"kinds", "patterns", "ruling", "problem"},
    "training": {"kinds", "inputs", "task", "patterns", "training"},
    "monitoring": {"kinds", "inputs", "task", "counts", "monitoring"},
    "stores": {"kinds", "inputs", "task", "counts", "settings", "stores"},
    "service": {"kinds", "inputs", "task", "counts", "ruling", "settings", "stores", "problem", "service"},
    "flows": {
        "kinds",
        "inputs",
        "task",
        "counts",
        "ruling",
        "settings",
        "stores",
        "problem",
        "patterns",
        "training",
        "monitoring",
        "flows",
    },
}
OURS = set(MAY_IMPORT)
HEAVY = {"mlflow", "dvc", "metaflow", "sklearn", "onnx", "evidently", "pandas"}
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for room in sorted(OURS)
    for path in [*ROOT.glob(f"{room}.py"), *ROOT.glob(f"{room}/**/*.py")]
}


def imports(module, lazy=True):
    """The modules that a module of ours imports; `lazy=False`: only when it is itself imported."""
    todo, found = [ast.parse(MODULES[module].read_text())], set()
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module}
        elif lazy or not (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_typing_only(node)):
            todo.extend(ast.iter_child_nodes(node))
    return found


def is_typing_only(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def room(module):
    return module.split(".")[0]


def loaded_with(module):
    """Everything that is imported, directly or through our own modules, as soon as a module is."""
    todo, found = [module], set()
    while todo:
        new = imports(todo.pop(), lazy=False) - found
        found |= new
        todo.extend(new & MODULES.keys())
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_the_rooms_that_it_may(module):
    used = {room(name) for name in imports(module)} & OURS
    assert used - MAY_IMPORT[room(module)] == set()


def test_every_folder_with_code_has_a_place_in_the_design():
    code = {path.parent.name for path in ROOT.glob("*/*.py")} | {path.stem for path in ROOT.glob("*.py")}
    assert code - OURS - {"tests", "benchmarks", "docs", "deploy"} == set()


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) == "service"])
def test_what_the_service_loads_at_start_is_light(module):
    assert {room(name) for name in loaded_with(module)} & HEAVY == set()


def test_only_the_deployer_of_the_service_ever_touches_the_model_store():
    users = {module for module in MODULES if room(module) == "service" and "stores.models" in imports(module)}
    assert users == {"service.deploy"}


def test_that_reading_of_imports_sees_those_within_functions_and_through_other_modules():
    assert "dvc.repo" in imports("stores.versions") - imports("stores.versions", lazy=False)
    assert "onnxruntime" in loaded_with("service.live")


def test_importing_the_settings_or_a_flow_makes_no_files(tmp_path):
    subprocess.run(
        [sys.executable, "-c", "import settings, flows.experiments.plan"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []


def test_onnxruntime_is_told_not_to_call_home_before_it_is_imported(tmp_path):
    code = "import stores.bundle"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", [module for module in MODULES if "onnxruntime" in imports(module, lazy=False)])
def test_every_module_that_imports_onnxruntime_tells_it_first(module):
    told, _, rest = MODULES[module].read_text().partition('os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")')
    assert "import onnxruntime" in rest
    assert "import onnxruntime" not in told


def text_files():
    """Every file that git has or would add, but those that are no text."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield name, content.decode()


HOSTS = r"https?://[^\s/]*(pypi|pythonhosted|anaconda|artifactory|nexus|devpi|index)[^\s/]*|--(extra-)?index-url|https?://\S*/simple\b"
PLACES = r"/(root|home|Users|work|tmp/pytest)/\w+"


@pytest.mark.parametrize(("what", "pattern"), [("package index", HOSTS), ("machine's path", PLACES)])
def test_no_file_names_a_package_index_or_a_path_of_one_machine(what, pattern):
    found = [(name, match.group()) for name, text in text_files() for match in re.finditer(pattern, text)]
    assert [place for place in found if place[0] != "tests/test_design.py"] == []
