"""What a model costs: its size, and the time of one answer."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, by the import

import numpy as np
import onnxruntime

TIMING_ROUNDS, WARM_UP_ROUNDS = 300, 20
ScoreFunction = Callable[[np.ndarray], Any]


def measure_bundle_bytes(folder: Path) -> int:
    """All files of a bundle together."""
    return sum(path.stat().st_size for path in folder.iterdir())


def measure_single_row_us(
    model: onnxruntime.InferenceSession | ScoreFunction, rows: np.ndarray, rounds: int = TIMING_ROUNDS
) -> float:
    """Median microseconds of one answer, to rows of a matrix float64 [n, k] in turn.

    `model` is a compiled model's session, which is asked as the service does it, or any function of a matrix [1, k]:
    `bundle.session or bundle.compute_outputs` serves both kinds of bundle.
    """
    ask = model if callable(model) else _bind_session(model, rows.shape[1])
    return statistics.median(_time_call(ask, rows[i % len(rows)][None]) for i in range(WARM_UP_ROUNDS + rounds)) * 1e6


def _time_call(ask: ScoreFunction, row: np.ndarray) -> float:
    began = time.perf_counter()
    ask(row)
    return time.perf_counter() - began


def _bind_session(session: onnxruntime.InferenceSession, width: int) -> ScoreFunction:
    """Asks through arrays that are bound to the session once and for all."""
    inputs = np.full((1, width), np.nan)
    outputs = np.empty_like(session.run(None, {"inputs": inputs})[0])
    binding = session.io_binding()
    binding.bind_input("inputs", "cpu", 0, np.float64, inputs.shape, inputs.ctypes.data)
    binding.bind_output("output", "cpu", 0, outputs.dtype, outputs.shape, outputs.ctypes.data)

    def ask(row: np.ndarray) -> None:
        inputs[:] = row
        session.run_with_iobinding(binding)

    return ask
