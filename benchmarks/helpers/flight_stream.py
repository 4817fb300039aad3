"""The flights of April to December 2013 as the shadow would have seen them: labels, and what models that learnt from
the months before said of each."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import problem.features
from penumbra.core.columns import BATCH_COLUMN, LABEL_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.metrics.loss_names import CLASS_LOSSES
from penumbra.core.metrics.losses import compute_clipped_losses, compute_loss_ceiling, name_compared_loss
from penumbra.core.problem import Problem
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.data.batches import DataStore
from penumbra.training.fit import build_matrix, extract_labels, select_labelled_rows
from problem.candidates import CANDIDATES, gradient_boosting

FIRST_MONTH, LAST_MONTH = "2013-04", "2013-12"  # months that are served; the ones before are learnt from
LIVE_MODEL, TWIN_MODEL, DEEPER_MODEL, LINEAR_MODEL = (
    "gradient boosting",
    "the same, other seed",
    "deeper boosting",
    "logistic regression",
)
BINARY_TASK = Task("binary")


@dataclass(frozen=True)
class FlightStream:
    """Rows in the order of time: `times` datetime64[us] [n], `days` int [n] from 0, `months` and `labels` [n];
    `scores`: what each model said of them, float64 [n]; `ceilings`: of each loss, by the live recipe on rows before;
    `places`: each row's airport and its carrier, str [n] by the column's name."""

    times: np.ndarray
    days: np.ndarray
    months: np.ndarray
    labels: np.ndarray
    scores: dict[str, np.ndarray]
    ceilings: dict[str, float]
    places: dict[str, np.ndarray]

    def losses(self, scores: np.ndarray, loss: str) -> np.ndarray:
        """Return the clipped losses of `scores` (float64 [n]) by the `loss` of that name: float64 [n]."""
        ceiling = self.ceilings[name_compared_loss(BINARY_TASK, loss)]
        return compute_clipped_losses(BINARY_TASK, self.labels, scores, loss, ceiling)

    def compute_differences(self, live: np.ndarray, candidate: np.ndarray, loss: str) -> np.ndarray:
        """How much better the candidate was on each row: float64 [n]."""
        return self.losses(live, loss) - self.losses(candidate, loss)


def read_flight_stream() -> FlightStream:
    """Check the year's batches in a folder of its own, fit every model, and let them score what came after."""
    rows = read_checked_rows(LAST_MONTH).sort("time_hour")
    inputs, columns = build_matrix(rows, problem.features.FEATURES)
    labels, months = extract_labels(rows[LABEL_COLUMN], BINARY_TASK), rows[BATCH_COLUMN].to_numpy()
    served = months >= FIRST_MONTH

    def scores(estimator: Any, before: str, of: np.ndarray = served) -> np.ndarray:
        learn = months < before
        return np.asarray(estimator.fit(inputs[learn], labels[learn]).predict_proba(inputs[of])[:, 1])

    reference = months == "2013-03"
    before = scores(gradient_boosting(columns), "2013-03", reference)
    multiple = load_settings().promotion.loss_ceiling

    def ceiling(loss: str) -> float:
        usual = compute_clipped_losses(BINARY_TASK, labels[reference], before, loss, np.inf)
        return compute_loss_ceiling(BINARY_TASK, labels[reference], usual, multiple)

    return FlightStream(
        rows["time_hour"].dt.replace_time_zone(None).to_numpy()[served],
        np.unique(rows["time_hour"].dt.date().to_numpy()[served], return_inverse=True)[1],
        months[served],
        labels[served],
        {name: scores(make(columns), month) for name, (make, month) in _list_models().items()},
        {loss: ceiling(loss) for loss in CLASS_LOSSES},
        {name: rows[name].cast(pl.String).to_numpy()[served] for name in ("origin", "carrier")},
    )


def name_refit(month: str) -> str:
    """The name of the live recipe, learnt from everything before a month."""
    return f"refit before {month}"


def list_refit_months() -> list[str]:
    """Those before which the live recipe is fitted anew."""
    return [f"2013-{month:02}" for month in range(5, 13)]


def _list_models() -> dict[str, tuple[Any, str]]:
    recipes = {
        LIVE_MODEL: gradient_boosting,
        TWIN_MODEL: lambda columns: gradient_boosting(columns).set_params(random_state=7),
        DEEPER_MODEL: CANDIDATES["deeper_boosting"].make,
        LINEAR_MODEL: CANDIDATES["logistic_regression"].make,
    }
    refits = {name_refit(month): (gradient_boosting, month) for month in list_refit_months()}
    return {name: (make, FIRST_MONTH) for name, make in recipes.items()} | refits


def read_checked_rows(last: str, of: Problem | None = None) -> pl.DataFrame:
    """The rows with an outcome of all batches up to one, checked in a folder of its own: the example, or `of`."""
    known = of or load_problem()
    with tempfile.TemporaryDirectory() as folder:
        where = {"folder": Path(folder) / "data", "derived": Path(folder) / "derived"}
        store = DataStore(load_settings().data.model_copy(update=where), known)
        batches = [batch.name for batch in known.source.batches() if batch.name <= last]
        for batch in batches:
            store.stage(batch, known.source.fetch(batch))
        store.admit(batches)
        rows = pl.concat([store.rows(batch) for batch in batches])
    return select_labelled_rows(rows, known.schema.target())
