"""A registered model version, and what it needs of the source."""

import pytest

from flows.steps.model_version import ModelVersion
from penumbra.data.source_reader import SourceFailed
from tests.helpers.problems.orders import load_orders

FACTS = {"train": ["2024-01"], "validation": ["2024-02"], "test": ["2024-03"]}


def test_what_it_has_learnt_ends_when_its_last_batch_was_complete(tmp_path):
    assert str(ModelVersion(tmp_path, FACTS, load_orders(tmp_path)).learnt) == "2024-04-01"


def test_a_source_that_is_away_is_told_in_a_sentence(tmp_path):
    problem = load_orders(tmp_path, source=[('    """All months."""', '    raise OSError("no route to host")')])
    with pytest.raises(SourceFailed, match=r"batches\(\) of .* fails at .*: OSError: no route to host"):
        _ = ModelVersion(tmp_path, FACTS, problem).learnt
