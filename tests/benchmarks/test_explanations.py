"""The benchmark of explanations, on a sample of its worlds."""

import json

from benchmarks import explanations


def test_known_changes_are_put_into_made_worlds_and_judged(monkeypatch, capsys):
    changes = {name: explanations.CHANGES[name] for name in ("nothing", "both")}
    monkeypatch.setattr(explanations, "CHANGES", changes)
    explanations.main(worlds=2, truth_days=30)
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith(("binary", "numbers"))] != []
    found = json.loads(printed[-1])
    assert found["worlds"] == 2
    assert 0 <= found["coverage_min"] <= 1
