"""The cost of serving a model: the time of one answer."""

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from penumbra.registry.bundles.bundle import bind_session

if TYPE_CHECKING:
    import onnxruntime

TIMING_ROUNDS, WARM_UP_ROUNDS = 300, 20
ScoreFunction = Callable[[np.ndarray], Any]


def measure_single_row_us(
    model: "onnxruntime.InferenceSession | ScoreFunction", rows: np.ndarray, rounds: int = TIMING_ROUNDS
) -> float:
    """Measure the time of one answer.

    Args:
        model: A compiled model's session, which is run through bound arrays as the service does it, or any function of
            a matrix float64 [1, k]; `bundle.session or bundle.compute_outputs` is right for both kinds of bundle.
        rows: float64 [n, k]; the model scores them one at a time, in turn.
        rounds: How many answers are timed, after some that warm up.

    Returns:
        The median in microseconds.
    """
    score = model if callable(model) else _make_score_function(model, rows.shape[1])
    return statistics.median(_time_call(score, rows[i % len(rows)][None]) for i in range(WARM_UP_ROUNDS + rounds)) * 1e6


def _time_call(score: ScoreFunction, row: np.ndarray) -> float:
    start = time.perf_counter()
    score(row)
    return time.perf_counter() - start


def _make_score_function(session: "onnxruntime.InferenceSession", width: int) -> ScoreFunction:
    inputs, _, run = bind_session(session, width)

    def score(row: np.ndarray) -> None:
        inputs[:] = row
        run()

    return score
