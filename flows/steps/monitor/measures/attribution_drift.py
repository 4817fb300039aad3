"""How much the model's reasons in a window differ from those in its reference: mean attributions by feature.

Inputs may drift where the model doesn't look, and it may look elsewhere as soon as one of them does. That is shown, and
no alarm: drift and loss are judged by thresholds of their own.
"""

import datetime as dt
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl

from monitoring.windows.window_records import AttributionDrift
from penumbra.core.attributions.additive_model import NotExplainable
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.samples import read_sampled_lines
from penumbra.registry.bundles.bundle import Bundle
from penumbra.registry.bundles.explanations import attribute_scores

MAX_ROWS, MIN_ROWS = 300, 50  # whose attributions are computed, of the reference and of each window
MAX_LEAVES = 6_000_000  # of the trees, times the rows: some two seconds; of a larger forest only MIN_ROWS are computed


@dataclass(frozen=True)
class UsualAttributions:
    """The mean size of each feature's attributions in a reference.

    Attributes:
        bundle: The bundle of the version, which is loaded.
        sizes: float64 [features].
        max_rows: How many rows of a window are computed, as many as of the reference.
    """

    bundle: Bundle
    sizes: np.ndarray
    max_rows: int


class ScoredInputs(msgspec.Struct):
    """What of a line of the prediction log is read: the model's inputs, and who answered for it."""

    inputs: list[float | None]
    fallback: str = ""


def learn_attributions(loaded: Bundle, reference: pl.DataFrame) -> UsualAttributions | None:
    """Learn the usual attributions of a version.

    Args:
        loaded: Its bundle.
        reference: Rows with the contract's columns.

    Returns:
        The usual attributions; None where the model can't be explained, or on scales that differ from row to row.
    """
    try:
        leaves = sum(model.n_leaves for model in loaded.explainer.models)
    except NotExplainable:
        return None
    max_rows = min(max(MAX_LEAVES // max(leaves, 1), MIN_ROWS), MAX_ROWS)
    positions = np.linspace(0, reference.height - 1, min(reference.height, max_rows)).astype(int)
    sizes = _compute_sizes(loaded, loaded.inputs.encode_rows(reference[positions]))
    return None if sizes is None else UsualAttributions(loaded, sizes, max_rows)


def measure_attribution_drift(
    index: LogIndex, version: str, usual: UsualAttributions | None, begin: dt.date, end: dt.date
) -> AttributionDrift | None:
    """Measure how much the attributions of a window differ from the usual ones.

    Args:
        index: The index of predictions.
        version: The version that answered.
        usual: Its usual attributions.
        begin: The window's first day.
        end: The first day after it.

    Returns:
        The difference; None where the model can't be explained, or answered too few rows itself.
    """
    if usual is None:
        return None
    matrix = _read_inputs(index, version, begin, end, usual.max_rows)
    sizes = _compute_sizes(usual.bundle, matrix) if len(matrix) >= MIN_ROWS else None
    if sizes is None or not (sizes.any() and usual.sizes.any()):
        return None
    before, now = usual.sizes / usual.sizes.sum(), sizes / sizes.sum()
    most, names = int(np.abs(now - before).argmax()), usual.bundle.inputs.names
    return AttributionDrift(
        rows=len(matrix),
        distance=float(np.abs(now - before).sum() / 2),
        feature=names[most],
        before=float(before[most]),
        now=float(now[most]),
        sizes=dict(zip(names, zip(usual.sizes.tolist(), sizes.tolist(), strict=True), strict=True)),
    )


def _compute_sizes(loaded: Bundle, matrix: np.ndarray) -> np.ndarray | None:
    try:
        found = attribute_scores(loaded, matrix)
    except NotExplainable:
        return None
    return np.abs(found.values).mean(axis=0) if len(set(found.scales)) == 1 else None


def _read_inputs(index: LogIndex, version: str, begin: dt.date, end: dt.date, max_rows: int) -> np.ndarray:
    """Read the inputs of a sample of what the model answered itself: float64 [n, inputs], NaN for missing."""
    lines = sorted(read_sampled_lines(index, version, begin, end, max_rows))
    entries = [msgspec.json.decode(line, type=ScoredInputs) for _, line in lines]
    return np.array([entry.inputs for entry in entries if entry.inputs and not entry.fallback], float)
