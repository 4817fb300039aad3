"""What `copier copy` makes of this repository, by the answers."""

import datetime as dt
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.drafting.files.settings_file import choose_settings
from problem_tests import test_candidates, test_contract, test_features, test_slices, test_source
from problem_tests.sample import take_sample
from tests.helpers.checkout import REPOSITORY
from tests.helpers.files import read_files
from tests.helpers.problems.drafts import draft_orders
from tests.helpers.template_copies import (
    commit_all,
    copy_rendered_files,
    copy_repository,
    generate_project,
    list_tracked_files,
)

STARTS = {
    "flights": ("problem", {}),
    "temperature": ("examples/temperature", {"start": "temperature"}),
    "sky": ("examples/sky", {"start": "sky"}),
    **{task: (f"examples/empty_{task}", {"start": "empty", "task": task}) for task in ("binary", "classes", "number")},
}
MADE_UP = ("binary", "classes", "number")
OWN_OF_THE_PROJECT = {"README.md", ".copier-answers.yml", "PENUMBRA.md"}
ONLY_HERE = {
    *("copier.yml", ".github/workflows/ci.yml", ".github/workflows/penumbra.yml", ".gitlab-ci.yml"),
    *("azure-pipelines.yml", "tests/project/documents/test_docs.py", "tests/project/documents/test_reference.py"),
    "tests/simulation/test_demo.py",
    *(
        "tests/project/packaging/test_template.py",
        "tests/project/packaging/test_template_update.py",
        "tests/helpers/template_copies.py",
    ),
    "tests/benchmarks/projects/test_template_edits.py",
}
OF_THE_ENGINES_TESTS = ("tests/", "examples/", "benchmarks/", ".ci/")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return copy_rendered_files(tmp_path_factory.mktemp("rendered"))


@pytest.fixture(scope="module", params=STARTS)
def started(request, rendered, tmp_path_factory):
    """A project with a name of its own from one of the starts, with the folder that the start is and its answers."""
    folder, answers = STARTS[request.param]
    place = tmp_path_factory.mktemp("started") / "project"
    project = generate_project(rendered, place, **answers, name="late-parcels")
    return SimpleNamespace(project=project, folder=folder, answers=answers)


def is_of_the_template(name):
    """Whether no answers make a file come along."""
    return (
        name in ONLY_HERE or name.endswith(".jinja") or name.startswith(("findings/", "benchmarks/projects/template/"))
    )


def make_files(folder, names):
    """Make empty files, unless they are there."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.slow
def test_default_answers_give_the_plain_files(tmp_path):
    template = copy_repository(tmp_path / "penumbra")
    commit_all(template, "0.2.0")
    project = read_files(generate_project(template, tmp_path / "flight-delay"))
    tracked = {name for name in list_tracked_files() if not name.startswith(OF_THE_ENGINES_TESTS)} - OWN_OF_THE_PROJECT
    shared = {name for name in tracked if not is_of_the_template(name)}
    assert project.keys() == shared | OWN_OF_THE_PROJECT
    assert [name for name in shared if project[name] != (REPOSITORY / name).read_bytes()] == []
    assert project["PENUMBRA.md"].endswith((REPOSITORY / "README.md").read_bytes())


@pytest.mark.slow
def test_the_engines_tests_come_along_where_they_are_wanted(tmp_path):
    template = copy_rendered_files(tmp_path / "template")
    wanted = {".ci/run", "benchmarks/pipeline/train.py", "tests/conftest.py", "tests/project/code/test_design.py"}
    make_files(template, wanted | ONLY_HERE)
    project = read_files(generate_project(template, tmp_path / "project", engine_tests=True))
    assert wanted | {"examples/flights/source.py"} <= project.keys()
    assert project.keys() & ONLY_HERE == set()


@pytest.mark.slow
def test_nothing_that_comes_along_imports_what_is_left_out():
    left_out = [name.removesuffix(".py").replace("/", ".") for name in ONLY_HERE if name.endswith(".py")]
    names = [name for name in list_tracked_files() if name.endswith(".py") and not is_of_the_template(name)]
    assert [name for name in names if any(f"{module} " in (REPOSITORY / name).read_text() for module in left_out)] == []


@pytest.mark.slow
def test_problem_is_the_folder_of_its_start(started):
    expected = {path.name: path.read_bytes() for path in (REPOSITORY / started.folder).glob("*.py")}
    assert read_files(started.project / "problem") == expected
    assert (started.project / "data.dvc").exists() == (not started.answers)


@pytest.mark.slow
def test_settings_fit_the_start_and_have_the_name(started):
    project = started.project
    settings = load_settings(project / "settings.toml", {})
    candidates = load_problem(["candidates"], started.folder.replace("/", ".")).candidates.CANDIDATES
    assert set(settings.training.candidates) <= set(candidates)
    assert settings.replay.candidate in candidates
    assert settings.registry.model == "late-parcels"
    plain, own = ((path / "settings.toml").read_text().splitlines() for path in (REPOSITORY, project))
    assert len(own) == len(plain)
    assert {line.split()[0] for line in set(own) - set(plain)} <= {"today", '"boosting",', "model", "candidate"}
    assert re.match("# late-parcels\n", (project / "README.md").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("task", MADE_UP)
def test_the_tests_of_the_problem_pass_on_made_up_data(rendered, tmp_path, tmp_path_factory, task):
    folder, answers = STARTS[task]
    generated = generate_project(rendered, tmp_path / "project", **answers)
    settings = load_settings(generated / "settings.toml", {})
    problem = load_problem(package=folder.replace("/", "."))
    sample = take_sample(settings, problem, tmp_path / "sample")
    ship = test_candidates.ship.__wrapped__(sample, tmp_path_factory)
    for candidate in settings.training.candidates:
        test_candidates.test_a_candidate_can_be_fitted_and_shipped(ship, candidate)
        test_candidates.test_a_candidate_is_served_as_it_was_trained(sample, ship, candidate)
    test_candidates.test_the_baseline_looks_at_no_input(sample)
    test_contract.test_the_example_is_a_request_that_keeps_the_contract(problem, settings)
    test_contract.test_the_outcome_of_the_example_can_be_reported_and_tells_the_target(problem, settings)
    test_features.test_the_doctor_finds_nothing(sample, settings)
    test_features.test_every_feature_has_values(sample)
    test_slices.test_every_slice_and_the_day_can_be_computed(sample)
    test_source.test_fetching_a_batch_twice_gives_the_same_bytes(sample)
    test_source.test_the_outcome_varies(sample)


def test_what_made_up_starts_share_is_the_same():
    folders = [REPOSITORY / STARTS[task][0] for task in MADE_UP]
    assert len({(folder / "features.py").read_bytes() for folder in folders}) == 1
    assert len({(folder / "candidates.py").read_bytes() for folder in folders[:2]}) == 1


@pytest.mark.slow
def test_every_start_passes_the_linters():
    folders = [folder for folder, _ in STARTS.values()]
    for command in (["ruff", "format", "--check"], ["ruff", "check"], ["mypy"]):
        done = subprocess.run(
            [sys.executable, "-m", *command, *folders], cwd=REPOSITORY, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["none", "github", "gitlab", "azure"])
def test_a_project_has_the_pipeline_of_its_own_ci_alone(tmp_path, ci):
    pipelines = {"github": ".github/workflows/penumbra.yml", "gitlab": ".gitlab-ci.yml", "azure": "azure-pipelines.yml"}
    template = copy_rendered_files(tmp_path / "template")
    make_files(template, [*pipelines.values(), ".github/workflows/ci.yml"])
    files = read_files(generate_project(template, tmp_path / "project", ci=ci))
    found = {name for name in files if name.endswith(".yml") and name != ".copier-answers.yml"}
    assert found == {path for name, path in pipelines.items() if name == ci}


@pytest.mark.parametrize("name", ["Flights", "a--b", "a b", "größe", "a" * 51, ""])
def test_a_name_that_is_none_of_a_model_and_a_service_is_refused(rendered, tmp_path, name):
    with pytest.raises(ValueError, match="expected at most 50 lower-case letters"):
        generate_project(rendered, tmp_path / "project", name=name)


LONG_FOLDERS = [("a" * 60, "a" * 50), ("a" * 49 + "-b", "a" * 49)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "name"),
    [("Late_Parcels 2", "late-parcels-2"), ("churn", "churn"), ("-2025-", "2025"), ("_", "project"), *LONG_FOLDERS],
)
def test_the_name_is_that_of_the_folder_unless_another_one_is_given(rendered, tmp_path, folder, name):
    project = generate_project(rendered, tmp_path / folder)
    assert load_settings(project / "settings.toml", {}).registry.model == name


@pytest.mark.slow
def test_the_settings_that_fit_the_problem_are_recorded_as_they_were_made(started):
    settings = tomllib.loads((started.project / "settings.toml").read_text())
    made = yaml.safe_load((started.project / ".copier-answers.yml").read_text())["settings_as_made"]
    for name, text in made.items():
        section, key = name.split(".")
        assert tomllib.loads(f"value = {text}")["value"] == settings[section][key], name
    assert list(made) == sorted(read_settings_of_problem())


def read_settings_of_problem():
    return yaml.safe_load((REPOSITORY / "copier.yml").read_text())["settings_of_problem"]["default"]


def test_what_init_sets_is_no_business_of_an_update():
    batches = [SimpleNamespace(name=str(n), complete=dt.date(2024, n, 1)) for n in (2, 3, 4)]
    chosen = choose_settings(draft_orders("orders.csv"), batches, 20, "orders", dt.date(2030, 1, 1))
    assert set(read_settings_of_problem()) == {*chosen, "labels.delay_hours"}


@pytest.mark.slow
def test_a_local_template_is_recorded_by_its_absolute_path(rendered, tmp_path, monkeypatch):
    import copier

    monkeypatch.chdir(rendered)
    copier.run_copy(".", tmp_path / "project", defaults=True, quiet=True)
    assert f"_src_path: {Path.cwd()}\n" in (tmp_path / "project/.copier-answers.yml").read_text()


def test_the_version_that_is_tagged_has_a_section_in_the_change_log():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version}\n" in (REPOSITORY / "CHANGELOG.md").read_text()


def test_only_twins_are_rendered_and_what_they_include_has_no_braces():
    names = list_tracked_files()
    assert [name for name in names if {"{", "}"} & set(name)] == []
    twins = [name for name in names if name.endswith(".jinja")]
    assert [name for name in twins if name != "README.md.jinja" and not is_twin(name, names)] == []
    included = [
        "README.md",
        "settings.toml",
        *(name for name in names if re.match(r"(examples/\w+|problem)/\w+\.py$", name)),
    ]
    assert [name for name in included if re.search(r"\{[{%#]", (REPOSITORY / name).read_text())] == []


def is_twin(name, names):
    """Whether a rendered file has a plain one beside it, or is one of those that only projects have."""
    return name.removesuffix(".jinja") in {*names, *OWN_OF_THE_PROJECT}
