"""The harnesses of `penumbra bench faults` in one run: their counts in one line."""

import json
import sys
from types import SimpleNamespace

import polars as pl
import pytest

from benchmarks.faults import __main__ as faults
from benchmarks.faults.report import FaultReport


@pytest.fixture
def run_harnesses(monkeypatch):
    """Run harnesses with these functions, which give their counts."""

    def run(**given):
        for name, counts in given.items():
            module = SimpleNamespace(
                inject_faults=lambda counts=counts: FaultReport(counts(), pl.DataFrame({"a": [1]}))
            )
            monkeypatch.setitem(sys.modules, f"harnesses.{name}", module)
        monkeypatch.setattr(faults, "HARNESSES", {name: f"harnesses.{name}" for name in given})
        faults.main()

    return run


def read_last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_last_line_has_the_counts_of_all_and_adds_those_of_one_name(run_harnesses, capsys):
    run_harnesses(kills=lambda: {"lost": 1, "twice": 0}, load=lambda: {"lost": 2, "index_lag_s": 7.5})
    assert read_last_line(capsys) == {"lost": 3, "twice": 0, "index_lag_s": 7.5}


def test_after_a_harness_that_fails_the_others_are_run_and_counted(run_harnesses, capsys):
    with pytest.raises(SystemExit, match="kills: ended in an error"):
        run_harnesses(kills=lambda: {}["nothing"], load=lambda: {"lost": 2})
    assert read_last_line(capsys) == {"lost": 2}
