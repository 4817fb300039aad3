"""The pipelines that a project ships with keep their hosts' schemas, and run commands that exist."""

import re
from pathlib import Path
from typing import Any

import click
import pytest
from check_jsonschema.cli.main_command import main as check_schema
from click.testing import CliRunner
from ruamel.yaml import YAML

from penumbra.cli.app import main
from tests.helpers.checkout import REPOSITORY

GITHUB, GITLAB, AZURE = ".github/workflows/penumbra.yml", ".gitlab-ci.yml", "azure-pipelines.yml"
SCHEMAS = {  # the options by which check-jsonschema's own hooks check these files
    GITHUB: ["--builtin-schema", "vendor.github-workflows"],
    GITLAB: ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", "--regex-variant", "nonunicode"],
    AZURE: ["--builtin-schema", "vendor.azure-pipelines", "--data-transform", "azure-pipelines"]
    + ["--regex-variant", "nonunicode"],
}
HERE = [name for name in SCHEMAS if (REPOSITORY / name).exists()]  # a project has that of its host alone
SCRIPT = ["make lint", "make test", "bin/penumbra report-change --out var/change-report.md --post"]


def read_pipeline(name: str) -> Any:
    return YAML(typ="safe").load(REPOSITORY / name)


def list_scripts(node: Any) -> list[str]:
    """The command lines of a pipeline, in their order."""
    if isinstance(node, list):
        return [line for each in node for line in list_scripts(each)]
    if not isinstance(node, dict):
        return []
    own = [node[name] for name in ("run", "script") if name in node]
    lines = [line for each in own for line in (each if isinstance(each, list) else [each])]
    return lines + [line for each in node.values() if isinstance(each, dict | list) for line in list_scripts(each)]


@pytest.mark.parametrize("name", HERE)
def test_a_pipeline_keeps_the_public_schema_of_its_host(name: str) -> None:
    checked = CliRunner().invoke(check_schema, [*SCHEMAS[name], str(REPOSITORY / name)])
    assert (checked.exit_code, checked.output) == (0, "ok -- validation done\n")


@pytest.mark.skipif(not (REPOSITORY / "copier.yml").exists(), reason="this is a project")
def test_the_template_has_a_pipeline_for_each_host() -> None:
    assert list(SCHEMAS) == HERE


@pytest.mark.skipif(AZURE not in HERE, reason="this project's pipeline is of another host")
def test_a_pipeline_with_a_fault_breaks_the_schema(tmp_path: Path) -> None:
    (broken := tmp_path / "azure-pipelines.yml").write_text(
        (REPOSITORY / AZURE).read_text().replace("script:", "scrpt:")
    )
    assert CliRunner().invoke(check_schema, [*SCHEMAS[AZURE], str(broken)]).exit_code == 1


@pytest.mark.parametrize("name", HERE)
def test_every_host_runs_the_same_commands(name: str) -> None:
    assert list_scripts(read_pipeline(name)) == SCRIPT


@pytest.mark.parametrize("line", SCRIPT)
def test_the_commands_of_the_pipelines_exist(line: str) -> None:
    program, *words = line.split()
    if program == "make":
        assert re.search(rf"^{words[0]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        return
    context = click.Context(main, info_name="penumbra")
    name, command, rest = main.resolve_command(context, words)
    assert command is not None
    assert command.make_context(name, rest, parent=context).params["post"]


@pytest.mark.skipif(GITHUB not in HERE, reason="this project's pipeline is of another host")
def test_actions_are_pinned_to_a_commit_with_the_version_beside_it() -> None:
    used = re.findall(r"uses: (.*)", (REPOSITORY / GITHUB).read_text())
    assert used
    assert [each for each in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@pytest.mark.skipif(GITHUB not in HERE, reason="this project's pipeline is of another host")
def test_only_the_report_has_secrets_and_may_comment() -> None:
    pipeline = read_pipeline(GITHUB)
    assert pipeline["permissions"] == {"contents": "read"}
    assert "permissions" not in pipeline["jobs"]["check"]
    assert "secrets." not in str(pipeline["jobs"]["check"])
    assert pipeline["jobs"]["report"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "pull_request_target" not in str(pipeline)
