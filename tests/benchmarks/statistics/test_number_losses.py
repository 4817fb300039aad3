"""The benchmark of heavy tails, on a few worlds."""

import numpy as np
import pytest

from benchmarks.statistics import number_losses
from penumbra.core.settings import load_settings

SETTINGS = load_settings(environ={})


def measure(tails, rule, worlds=6):
    return number_losses.measure_rates(
        SETTINGS, list(number_losses.draw_worlds("squared_error", tails, rule, 10, worlds))
    )


def test_of_heavy_tails_the_plain_mean_makes_another_ceiling_in_each_world():
    ours, plain = (measure("Pareto, index 1.5", rule) for rule in ("ours", "times the plain mean"))
    assert ours["spread"] < 2 < plain["spread"]
    assert ours["found"] == 1.0
    assert 0 < ours["clipped"] < 0.1


def test_worlds_have_the_same_errors_whatever_bounds_them():
    ours, none = (
        next(iter(number_losses.draw_worlds("squared_error", "normal", rule, 10))) for rule in ("ours", "none")
    )
    np.testing.assert_array_equal(np.minimum(none.live, ours.ceiling), ours.live)
    assert (none.live > ours.ceiling).mean() == pytest.approx(ours.clipped)
