"""A sample of what `penumbra bench estimate` measures."""

import pytest

from benchmarks.statistics.estimate.__main__ import measure_made_problems


@pytest.mark.slow
def test_shifted_inputs_are_followed_more_closely_than_by_scores_alone_and_changed_relations_arent(capsys):
    found = measure_made_problems([0], rows=20, models=("linear",))
    shifted, changed = found["inputs_shift"], found["relation_changes"]
    assert shifted["error_classes"] < shifted["cbpe_classes"]
    assert shifted["error"] < shifted["no_change"]
    assert shifted["in_band"] > 0.8 > changed["in_band"]
    assert "numbers, linear" in capsys.readouterr().out
