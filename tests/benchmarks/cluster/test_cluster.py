"""The measurements of `penumbra bench cluster` in one run: their figures in one line."""

import importlib
import json
from typing import Any

import pytest

from benchmarks.cluster import __main__ as cluster

FIGURES = {
    "ledger": {"ledger_round_trips": 3},
    "log_union": {"union_over_one": 1.1},
    "embedded": {"embedded_over_before": 1.0},
    "pods": {"pods_over_embedded": 1.9, "lost": 0, "twice": 0},
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each measurement is made at once."""
    for name, figures in FIGURES.items():
        module = importlib.import_module(f"benchmarks.cluster.{name}")
        monkeypatch.setattr(module, "measure", lambda figures=figures: figures)


def read_last_line(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.usefixtures("measured")
def test_the_last_line_has_the_figures_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    cluster.main([])
    keys = {"embedded_over_before", "pods_over_embedded", "union_over_one", "ledger_round_trips", "lost", "twice"}
    assert set(read_last_line(capsys)) == keys


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("name", FIGURES)
def test_each_measurement_can_be_made_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.main([name])
    assert read_last_line(capsys) == FIGURES[name]


@pytest.mark.usefixtures("measured")
def test_after_a_measurement_that_fails_the_others_are_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.cluster.ledger.measure", lambda: 1 / 0)
    with pytest.raises(SystemExit, match="ledger: ended in an error"):
        cluster.main([])
    assert set(read_last_line(capsys)) == {name for each in FIGURES.values() for name in each} - {"ledger_round_trips"}


def test_an_unknown_measurement_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SystemExit, match="no measurement nodes: there are ledger, log_union, embedded, pods"):
        cluster.main(["nodes"])
