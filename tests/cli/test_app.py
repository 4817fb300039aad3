"""Every command has help, an example and exit codes; its options do what they say."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from flows.steps import REASON_VARIABLE, RESULT_VARIABLE
from flows.steps.results import say_result
from penumbra.cli import processes
from penumbra.cli.app import SECTIONS, main
from penumbra.cli.commands import project
from penumbra.cli.commands.project import BENCHMARKS
from penumbra.cli.group import Refusal
from penumbra.core.settings import PROJECT_ROOT
from tests.helpers.command_line import run_command_line


def list_commands(command: click.Command) -> Iterator[tuple[str, Any]]:
    """A command by its words, or those of a group."""
    if isinstance(command, click.Group):
        yield from ((f"{command.name} {name}", each) for name, each in command.commands.items())
    else:
        yield str(command.name), command


COMMANDS = dict(pair for commands in SECTIONS.values() for command in commands for pair in list_commands(command))
HEAVY = {"mlflow", "sklearn", "metaflow", "dvc", "pandas", "polars", "onnxruntime", "numpy", "pydantic", "bentoml"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that would have been started; none is."""
    started: list[tuple[str, ...]] = []

    def start(*command: str, **_: Any) -> int:
        started.append(command)
        return 0

    monkeypatch.setattr(processes, "run_command", start)
    return started


def examples() -> Iterator[tuple[str, list[str]]]:
    for name, command in COMMANDS.items():
        words = command.example.split("penumbra ", 1)[1].rstrip(')"').split()
        yield name, words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_says_what_it_does_and_shows_an_example(name: str) -> None:
    result = run_command_line(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"Usage: penumbra {name}" in result.stdout
    assert "Example:" in result.stdout
    assert all(option.help for option in COMMANDS[name].params if isinstance(option, click.Option))


@pytest.mark.parametrize(("name", "words"), list(examples()))
def test_every_example_is_a_command_line_of_that_command(name: str, words: list[str]) -> None:
    found, rest = main, words
    for part in name.split():
        assert isinstance(found, click.Group)
        command, found, rest = found.resolve_command(click.Context(found), rest)
        assert command == part
    assert found is not None
    if '"' not in " ".join(rest):
        found.make_context(name, rest)


def test_an_unknown_command_is_wrong_usage_and_gets_a_suggestion() -> None:
    result = run_command_line("explian", "7")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Did you mean explain" in result.stderr
    assert "penumbra --help" in run_command_line("zzz").stderr


@pytest.mark.parametrize("words", [["explain"], ["compare", "--last", "0"], ["bench", "nothing"], ["history", "x"]])
def test_wrong_arguments_are_exit_2(words: list[str]) -> None:
    result = run_command_line(*words)
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_commands_work_below_the_projects_folder(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (working_folder / "notebooks").mkdir()
    monkeypatch.chdir(working_folder / "notebooks")
    assert "service.port" in run_command_line("settings").stdout


def test_outside_of_a_project_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_command_line("settings")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{tmp_path} is in no Penumbra project: run penumbra in the folder with settings.toml and problem/, "
        "or below it\n"
    )
    assert run_command_line("settings", "--help").exit_code == 0


def test_another_checkout_has_its_own_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "penumbra/core").mkdir(parents=True)
    (tmp_path / "settings.toml").touch()
    monkeypatch.chdir(tmp_path)
    result = run_command_line("settings")
    assert (result.exit_code, f"run {tmp_path}/bin/penumbra" in result.stderr) == (1, True)


def test_settings_show_values_and_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_SERVICE__PORT", "8080")
    monkeypatch.setenv("PENUMBRA_REGISTRY__TRACKING", "postgresql://me:Planted5ecret@host/db")
    listed = json.loads(run_command_line("settings", "--json").stdout)
    assert listed["service.port"] == {"value": 8080, "source": "PENUMBRA_SERVICE__PORT"}
    assert listed["service.host"] == {"value": "127.0.0.1", "source": "settings.toml"}
    assert listed["schedule.ingest"]["value"] == "02:05"
    text = run_command_line("settings").stdout
    assert "8080  (PENUMBRA_SERVICE__PORT)" in text
    assert "Planted5ecret" not in text


def test_a_wrong_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_SCHEDULE__INGEST", "25:00")
    result = run_command_line("settings")
    assert result.exit_code == 1
    assert "schedule.ingest = '25:00'" in result.stderr
    assert 'a time of day as "HH:MM"' in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_text_is_passed_on_as_it_was_given(calls: list[tuple[str, ...]]) -> None:
    reason = "it's $(late) `--force`"
    assert run_command_line("promote", "--force", "--reason", reason, "--version", "2").exit_code == 0
    assert calls[0][3:] == ("run", "--force=True", f"--reason={reason}", "--version=2")


def test_a_promotion_by_force_needs_a_reason(calls: list[tuple[str, ...]]) -> None:
    result = run_command_line("promote", "--force")
    assert (result.exit_code, calls) == (2, [])
    assert "--reason" in result.stderr


def test_a_flow_that_failed_is_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "run_command", lambda *_, **__: 1)
    result = run_command_line("monitor")
    assert (result.exit_code, result.stderr) == (1, "flows/monitor.py failed: its output above says why\n")


def test_of_a_flow_that_a_signal_ended_the_signal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "run_command", lambda *_, **__: -15)
    result = run_command_line("monitor")
    assert (result.exit_code, result.stderr) == (1, "flows/monitor.py was ended by SIGTERM\n")


def test_the_reason_that_a_flow_stopped_for_is_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: str, environment: Mapping[str, str], **__: object) -> int:
        Path(environment[REASON_VARIABLE]).write_text("there is no batch")
        return 1

    monkeypatch.setattr(processes, "run_command", stop)
    result = run_command_line("monitor")
    assert (result.exit_code, result.stderr) == (1, "flows/monitor.py failed: there is no batch\n")


def test_what_a_flow_ends_with_is_printed_once_below_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: str, environment: Mapping[str, str], **__: object) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(RESULT_VARIABLE, environment[RESULT_VARIABLE])
            say_result("Nothing to decide")
        return 0

    monkeypatch.setattr(processes, "run_command", end)
    assert run_command_line("promote").stdout == "\nNothing to decide\n"


WRITE_A_LOG = "import sys; print('some of the log', flush=True); sys.exit({code})"


@pytest.mark.parametrize(("code", "shown"), [(0, ""), (1, "some of the log\n")])
def test_a_quiet_flow_shows_its_log_only_where_it_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: int, shown: str
) -> None:
    def run(*_: str, **options: Any) -> int:
        return run_command(sys.executable, "-c", WRITE_A_LOG.format(code=code), **options)

    run_command = processes.run_command
    monkeypatch.setattr(processes, "run_command", run)
    with pytest.raises(Refusal) if code else contextlib.nullcontext():
        processes.run_flow_process("ingest", is_quiet=True)
    assert capfd.readouterr().out == shown


INTERRUPTED = """
import polars, sys
from penumbra.cli.processes import run_command
WAIT = '''
import sys, time
try: print("begun", flush=True); time.sleep(60)
except KeyboardInterrupt: time.sleep(0.5), sys.exit(1)  # as a flow, which ends its tasks first
'''
try: print("goes on after", run_command(sys.executable, "-c", WAIT))
except KeyboardInterrupt: print("aborted")
"""


@pytest.mark.slow
def test_after_ctrl_c_nothing_goes_on_whatever_code_the_interrupted_command_ends_with() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT, start_new_session=True) as run:
        assert run.stdout
        assert run.stdout.readline() == "begun\n"
        os.killpg(run.pid, signal.SIGINT)
        assert run.stdout.read() == "aborted\n"


def test_what_a_flow_ends_with_is_in_its_log_where_no_command_waits_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    say_result("Nothing to decide")
    assert capsys.readouterr().out == "Nothing to decide\n"


def test_every_benchmark_has_a_name() -> None:
    folder = PROJECT_ROOT / "benchmarks"
    packages = [*folder.glob("*/__main__.py"), *folder.glob("*/*/__main__.py")]
    modules = [path for path in folder.glob("*/*.py") if not (path.parent / "__main__.py").exists()]
    named = {path.stem: path for path in modules} | {path.parent.name: path for path in packages}
    runnable = {name.replace("_", "-") for name, path in named.items() if "penumbra bench" in path.read_text()}
    assert runnable == set(BENCHMARKS)


def test_benchmarks_go_on_where_one_fails_and_all_enter_their_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(project, "_require_environment", lambda ready: None)

    def run(*words: str, environment: Mapping[str, str]) -> int:
        ran.append(words[3:])
        return int("train" in words)

    monkeypatch.setattr(project, "run_command", run)
    done = run_command_line("bench", "train", "few-rows", "--json")
    assert ran == [("train", "docs/measured.json"), ("few_rows", "docs/measured.json")]
    assert (done.exit_code, done.stderr) == (1, "the benchmark train failed: its output above says why\n")


def test_help_loads_nothing_but_click() -> None:
    code = f"import sys, penumbra.cli.app; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_library_calls_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"MLFLOW_DISABLE_TELEMETRY": "false"})
    processes.set_environment_defaults()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "1"


@pytest.mark.parametrize("command", ["sbom", "audit", "bento", "image"])
def test_a_command_that_takes_a_checkout_says_so_in_an_image(monkeypatch, command):
    for name in [name for name in sys.modules if name.startswith("deploy.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deploy", None)
    result = run_command_line(command)
    assert result.exit_code == 1
    expected = f"`penumbra {command}` is for a checkout of the project: deploy/ is not in an image or a package\n"
    assert result.stderr == expected


def test_a_card_is_written_as_a_page_or_as_markdown_alone(tmp_path: Path) -> None:
    result = run_command_line("card", "--out", str(tmp_path / "card.pdf"))
    assert (result.exit_code, "ends in .html or .md" in result.stderr) == (2, True)
    assert not list(tmp_path.iterdir())
