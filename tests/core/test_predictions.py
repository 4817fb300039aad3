import numpy as np

from penumbra.core.predictions import compute_distances
from service.shadow.role_worker import compute_output_difference


def test_two_numbers_are_their_difference_apart():
    assert compute_distances(np.array([0.25, 3.0, np.nan]), np.array([0.5, 1.0, 1.0])).tolist()[:2] == [0.25, 2.0]


def test_two_distributions_are_as_far_apart_for_promotion_and_monitor_as_for_the_shadow():
    first, second = [[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], [[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]
    distances = compute_distances(np.array(first), np.array(second)).tolist()
    assert distances == [compute_output_difference(*pair) for pair in zip(first, second, strict=True)] == [0.25, 1.0]
