"""Benchmarks on any problem: those that measure the shipped example do so whatever `problem/` is."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as benchmark
from benchmarks.measured.measured_file import read_measured
from penumbra.cli.commands.project import BENCHMARKS
from tests.helpers.checkout import FLIGHTS


@pytest.fixture
def runs(monkeypatch):
    """The commands that were run, each with the folder that it finds as `problem/`, and PYTHONPATH."""
    seen, run = [], subprocess.run

    def record(command, cwd=".", env=None, **options):
        if command[0] == "git":
            return run(command, cwd=cwd, env=env, **options)
        seen.append((command[-1], find_problem(cwd), env and find_problem(env["PYTHONPATH"])))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", record)
    return seen


def find_problem(checkout):
    return (Path(checkout) / "problem/schema.py").resolve().parent


def test_each_benchmark_that_the_command_line_names_is_one_module_or_package():
    found = {name: benchmark.find_benchmark(name.replace("-", "_")) for name in BENCHMARKS}
    assert found["train"] == "benchmarks.pipeline.train"
    assert found["own-data"] == "benchmarks.projects.own_data"
    assert found["faults"] == "benchmarks.faults"


def test_a_benchmark_that_is_none_is_named_in_the_error():
    with pytest.raises(ValueError, match="benchmark trains is to be one module or package below"):
        benchmark.find_benchmark("trains")


def test_beside_another_problem_the_example_is_measured_and_that_is_said(runs, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "is_example", lambda: False)
    assert benchmark.main("train") == 0
    assert runs == [("benchmarks.pipeline.train", FLIGHTS.resolve(), FLIGHTS.resolve())]
    assert capsys.readouterr().out == (
        "problem/ is not the shipped example: bench train measures examples/flights instead\n"
    )


def test_without_the_example_it_says_so_and_fails(runs, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(benchmark, "is_example", lambda: False)
    monkeypatch.setattr(benchmark, "FLIGHTS", tmp_path / "gone")
    assert benchmark.main("train") == 1
    assert "there is no examples/flights" in capsys.readouterr().err
    assert runs == []


def test_what_needs_no_rows_runs_beside_any_problem(runs, monkeypatch):
    monkeypatch.setattr(benchmark, "is_example", lambda: False)
    assert benchmark.main("slices") == 0
    assert [name for name, *_ in runs] == ["benchmarks.pipeline.slices"]


def test_a_run_with_a_file_shows_what_it_prints_and_enters_its_figures(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(benchmark, "is_example", lambda: True)
    (python := tmp_path / "python").write_text("#!/bin/sh\necho table\necho '{\"seconds\": 2}'\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert benchmark.main("train", tmp_path / "measured.json") == 0
    assert capfd.readouterr().out == 'table\n{"seconds": 2}\n'
    assert read_measured(tmp_path / "measured.json")["figures"]["train/seconds"]["value"] == 2
