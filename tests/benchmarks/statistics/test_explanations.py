"""The benchmark of explanations, on a sample of its worlds."""

import pytest

from benchmarks.statistics.explanations import __main__ as explanations


@pytest.mark.slow
def test_known_changes_are_put_into_made_worlds_and_judged(monkeypatch, capsys):
    monkeypatch.setattr(explanations, "CHANGES", {"both": explanations.CHANGES["both"]})
    covered = explanations.explain_made_worlds(worlds=2, truth_days=30)
    assert len(covered) == 2 * 3
    assert set(covered) <= {0.0, 0.5, 1.0}
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[3:]] == ["binary", "numbers"]


def test_the_day_of_a_change_is_looked_for_in_made_series(capsys):
    assert len(list(explanations.measure_change_days(worlds=2))) == 6
    assert "days correlated by 0.5" in capsys.readouterr().out
