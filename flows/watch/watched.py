"""A model that is watched: its reference, what is normal to it, and what its losses there were. Loaded once a pass."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from flows.promotion.bundled import version
from flows.promotion.scored import losses_of, predictions_of
from monitoring.data_faults import Norms, known
from monitoring.decay import DailyLoss
from problem.features import FEATURES
from settings import Settings
from stores import bundle
from stores.models import Models
from stores.sealed import BrokenBundle

FLOOR_ROWS = 2000


@dataclass(frozen=True)
class Watched:
    """`norms` are None where the reference has too few days; `ceiling` is that of a row's loss; `floor` how far its
    predictions of the reference are from those of its recipe, fitted on the batches before: None where unknown;
    `learnt` the day on which all was complete that it learnt from."""

    version: str
    facts: Mapping[str, Any] = field(repr=False)
    reference: pl.DataFrame = field(repr=False)
    norms: Norms | None
    ceiling: float
    losses: DailyLoss
    floor: float | None
    learnt: dt.date | None

    def age(self, day: dt.date) -> int | None:
        """How many days before `day` its latest batch was complete."""
        return (day - self.learnt).days if self.learnt else None


def load(chosen: Settings, models: Models, name: str) -> Watched:
    """Raises BrokenBundle, and what the registry raises."""
    with version(chosen, models, name) as found:
        reference = found.reference
        said = predictions_of(reference["prediction"])
        usual = losses_of(chosen, reference["label"], said, np.inf)
        ceiling = chosen.promotion.loss_ceiling * float(usual.mean())
        days = reference[problem.schema.TIME].dt.date().to_numpy()
        daily = DailyLoss.of(days, np.minimum(usual, ceiling))
        floor = _floor(found.folder, reference, said)
        return Watched(name, found.facts, reference, _norms(reference), ceiling, daily, floor, found.learnt)


def _norms(reference: pl.DataFrame) -> Norms | None:
    try:
        return known(reference, problem.schema)
    except ValueError as reason:
        print(f"data faults can't be told from usual days: {reason}")
        return None


def _floor(folder: Any, reference: pl.DataFrame, said: np.ndarray) -> float | None:
    try:
        rows = reference.head(FLOOR_ROWS)
        return float(np.abs(bundle.read(folder, FEATURES).score(rows) - said[: rows.height]).mean())
    except BrokenBundle:  # made for other features than this code's: it can still be judged by what it answered
        return None
