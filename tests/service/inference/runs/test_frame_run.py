"""What is decided in columns is what is decided of a single output."""

import numpy as np
import pytest

from penumbra.core.task import Task
from service.http.requests.responses import make_decision_function
from service.inference.runs.frame_run import decide_all

BINARY, CLASSES = Task("binary"), Task("multiclass", ("a", "b", "c"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_an_output_near_the_threshold_is_decided_in_columns_as_alone(dtype: type, threshold: float) -> None:
    near = np.array([threshold, np.nextafter(dtype(threshold), dtype(0)), np.nextafter(dtype(threshold), dtype(1))])
    outputs, decide = near.astype(dtype), make_decision_function(BINARY, threshold)
    assert decide_all(BINARY, outputs, threshold).to_list() == [decide(each) for each in outputs.tolist()]


def test_of_equally_probable_classes_the_first_is_decided_for_in_columns_as_alone() -> None:
    outputs, decide = np.array([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0]]), make_decision_function(CLASSES, 0.5)
    assert decide_all(CLASSES, outputs, None).to_list() == [decide(each) for each in outputs.tolist()] == ["b", "a"]
