"""Features whose weighted sum is the target, or a column that the target is made of: delay = actual - scheduled."""

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from penumbra.core.columns import LABEL_COLUMN, VALUE_COLUMN
from penumbra.training.doctor.checks import OUT_OF_FEATURES, Finding

MIN_EXACT_R2 = 0.999  # R² of a sum that is the target
LTS_KEPT_SHARE, LTS_STARTS, LTS_STEPS, LTS_SEED = 0.9, 30, 3, 2013  # of least trimmed squares
MIN_ROWS_PER_TERM = 20
MAX_LINEAR_ROWS = 50_000  # of more rows an even choice is examined

LINEAR_LEAK_REMEDY = f"see which of them is known only after the prediction is made, and take it {OUT_OF_FEATURES}"


def find_linear_leaks(features: pl.DataFrame, outcomes: pl.DataFrame) -> list[Finding]:
    """Find features whose weighted sum is the target, or a column that the target is made of.

    A tenth of the rows may differ, as clock times do at midnight.

    Args:
        features: Numbers, [n, k], null for missing.
        outcomes: The target (`penumbra.label`) and the columns that it is made of, [n, m], null for missing.

    Returns:
        A finding for each such outcome.
    """
    step = max(1, features.height // MAX_LINEAR_ROWS)
    features, outcomes, found = features.gather_every(step), outcomes.gather_every(step), []
    for name in outcomes.columns:
        with threadpool_limits(1):  # two threads wait for each other longer than they compute
            weights = _find_weights(features, outcomes[name])
        if weights:
            called = "the target" if name == LABEL_COLUMN else name
            evidence = f"{called} = {_format_sum(weights)} + a constant (R² above {MIN_EXACT_R2})"
            found.append(Finding("leakage", ", ".join(weights), evidence, LINEAR_LEAK_REMEDY))
    return found


def _format_sum(weights: dict[str, float]) -> str:
    terms = (f"{'-' if weight < 0 else '+'} {abs(weight):.4g}·{name}" for name, weight in weights.items())
    return " ".join(terms).removeprefix("+ ")


def _find_weights(features: pl.DataFrame, outcome: pl.Series) -> dict[str, float]:
    """Find the fewest features that give the outcome, with their weights; {} if even all of them don't."""
    names, inputs, answer = _select_complete_rows(features, outcome)
    weights = _fit_exact(inputs, answer)
    if weights is None and names:
        rows = _trim_rows(inputs, answer)
        inputs, answer = inputs[rows], answer[rows]
        weights = _fit_exact(inputs, answer)
    if weights is None:
        return {}
    kept = list(range(len(names)))
    for position in np.argsort(np.abs(weights) * inputs.std(axis=0)):
        fewer = [other for other in kept if other != position]
        if (left := _fit_exact(inputs[:, fewer], answer)) is not None:
            kept, weights = fewer, left
    return {names[position]: float(weight) for position, weight in zip(kept, weights, strict=True)}


def _select_complete_rows(features: pl.DataFrame, outcome: pl.Series) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Select rows without a gap: names [k], inputs [m, k], outcome [m]. Drops the emptiest columns if they are few."""
    names = sorted(features.columns, key=lambda name: features[name].null_count())
    while names:
        rows = (
            features.select(names).with_columns(outcome.alias(VALUE_COLUMN)).cast(pl.Float64).drop_nulls().drop_nans()
        )
        if rows.height >= MIN_ROWS_PER_TERM * (len(names) + 1):
            varying = [name for name in names if rows[name].n_unique() > 1]
            return varying, rows.select(varying).to_numpy(), rows[VALUE_COLUMN].to_numpy()
        names = names[:-1]
    return [], np.empty((0, 0)), np.empty(0)


def _fit_exact(inputs: np.ndarray, answer: np.ndarray) -> np.ndarray | None:
    """Fit weights [k] by least squares with which inputs [n, k] give the answer [n]; None if R² is too low."""
    if not inputs.size:
        return None
    design, scale = _standardise_design(inputs)
    weights, residuals = _fit_least_squares(design, answer, np.arange(len(answer)))
    return weights[:-1] / scale if residuals.mean() < (1 - MIN_EXACT_R2) * answer.var() else None


def _trim_rows(inputs: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Select the 90 % of rows that a linear function fits best: least trimmed squares, from random starts by
    concentration steps (Rousseeuw & Van Driessen, "Computing LTS regression for large data sets", 2006).
    """
    design, random = _standardise_design(inputs)[0], np.random.default_rng(LTS_SEED)
    sizes = len(answer), 2 * design.shape[1]
    found = [_concentrate(design, answer, random.choice(*sizes, replace=False)) for _ in range(LTS_STARTS)]
    rows = min(found, key=lambda fit: fit[0])[1]
    for _ in range(LTS_STEPS):
        rows = _concentrate(design, answer, rows)[1]
    return rows


def _concentrate(design: np.ndarray, answer: np.ndarray, rows: np.ndarray) -> tuple[float, np.ndarray]:
    """Find the 90 % of all rows that agree most with these rows: their mean squared residual and their positions."""
    most, (_, residuals) = int(LTS_KEPT_SHARE * len(answer)), _fit_least_squares(design, answer, rows)
    kept = np.argpartition(residuals, most)[:most]
    return float(residuals[kept].mean()), kept


def _fit_least_squares(design: np.ndarray, answer: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit by least squares on some rows: the weights, and the squared residuals of all rows."""
    weights = np.linalg.lstsq(design[rows], answer[rows], rcond=None)[0]
    return weights, (answer - design @ weights) ** 2


def _standardise_design(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise inputs and add a column of ones; also the scale that they had."""
    scale = np.where(inputs.std(axis=0) > 0, inputs.std(axis=0), 1.0)
    return np.column_stack([(inputs - inputs.mean(axis=0)) / scale, np.ones(len(inputs))]), scale
