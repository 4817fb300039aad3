"""A model that is watched: its reference, what is normal to it, and what its losses there were. Loaded once a pass."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from flows.steps.model_version import ModelVersion, open_model_version
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from monitoring.expectations import Expectations, learn_expectations
from monitoring.loss_threshold import DailyLosses
from penumbra.core.problem import Problem, ProblemSchema
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.registry import bundle
from penumbra.registry.manifest import BrokenBundle
from penumbra.registry.models import ModelRegistry

NOISE_FLOOR_ROWS = 2000


@dataclass(frozen=True)
class WatchedModel:
    """`norms` are None where the reference has too few days; `ceiling` is that of a row's loss; `floor` how far its
    predictions of the reference are from those of its recipe, fitted on the batches before: None where unknown;
    `learnt` the day on which all was complete that it learnt from."""

    version: str
    facts: Mapping[str, Any] = field(repr=False)
    reference: pl.DataFrame = field(repr=False)
    norms: Expectations | None
    ceiling: float
    losses: DailyLosses
    floor: float | None
    learnt: dt.date | None
    problem: Problem = field(repr=False)

    @property
    def task(self) -> Task:
        """What the model predicts."""
        return Task.from_schema(self.problem.schema)

    def age(self, day: dt.date) -> int | None:
        """How many days before `day` its latest batch was complete."""
        return (day - self.learnt).days if self.learnt else None


def load_watched_model(settings: Settings, problem: Problem, models: ModelRegistry, name: str) -> WatchedModel:
    """Raises BrokenBundle, and what the registry raises."""
    with open_model_version(settings, problem, models, name) as found:
        reference = found.reference
        said = extract_predictions(found.task, reference["prediction"])
        usual = compute_known_losses(found.task, settings.promotion.loss, reference["label"], said, np.inf)
        ceiling = settings.promotion.loss_ceiling * float(usual.mean())
        days = reference[problem.schema.TIME].dt.date().to_numpy()
        daily = DailyLosses.from_rows(days, np.minimum(usual, ceiling))
        floor = _measure_noise_floor(found, said)
        norms = _learn_expectations(reference, problem.schema)
        return WatchedModel(name, found.facts, reference, norms, ceiling, daily, floor, found.learnt, problem)


def _learn_expectations(reference: pl.DataFrame, schema: ProblemSchema) -> Expectations | None:
    try:
        return learn_expectations(reference, schema)
    except ValueError as reason:
        print(f"data faults can't be told from usual days: {reason}")
        return None


def _measure_noise_floor(version: ModelVersion, said: np.ndarray) -> float | None:
    try:
        rows, kinds = version.reference.head(NOISE_FLOOR_ROWS), version.problem.features.FEATURES
        return float(np.abs(bundle.read_bundle(version.folder, kinds).score(rows) - said[: rows.height]).mean())
    except BrokenBundle:  # made for other features than this code's: it can still be judged by what it answered
        return None
