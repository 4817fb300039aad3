"""The watched model: its reference, what is expected of its rows, and its losses. Loaded once a pass."""

import datetime as dt
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from flows.steps.model_version import ModelVersion, open_model_version
from flows.steps.monitor.measures.attribution_drift import UsualAttributions, learn_attributions
from flows.steps.prediction_losses import compute_known_losses, extract_predictions, measure_loss_ceiling
from monitoring.faults.data_faults import DataFault
from monitoring.faults.expectations import Expectations, learn_expectations
from monitoring.faults.usual_arrivals import UsualArrivals, learn_arrivals
from monitoring.losses.loss_threshold import DailyLosses, measure_refit_excess
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.predictions import compute_distances
from penumbra.core.problem import Problem, ProblemSchema
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.bundles.version_facts import find_bundle_limits
from penumbra.registry.models import ModelRegistry

JudgedDays = tuple[Sequence[dt.date], Set[tuple[dt.date, int]]]  # and the numbers of rows until their end


@dataclass(frozen=True)
class WatchedModel:
    """A model version with what a window is compared with.

    Attributes:
        version: The version's number.
        facts: The content of the bundle's `bundle.json`.
        reference: The bundle's reference: rows as `read_reference_rows` returns them.
        whole_reference: The reference and the rows of its days without an outcome, which is what windows are made of.
        columns: The contract's columns that the model's features read, without the row's time.
        norms: What is expected of a day's rows; None where the whole reference has too few days.
        arrivals: How rows arrive on the whole reference's days.
        ceiling: The largest loss of a row.
        excess: What the model loses more a row than its recipe fitted on the batches before, on the reference's rows.
        losses: The reference's losses by day, raised by the excess.
        floor: The mean difference between the model's predictions of the reference and those of its recipe fitted on
            the batches before; None where that is unknown.
        attributions: How large the features' attributions are in the whole reference; None where there are none.
        limits: Its conformal limits; of a version whose bundle has none, by its reference.
        learnt: The first day on which all batches were complete that it learned from; None where that is unknown.
        problem: The user's problem.
        row_faults: The faults of days' rows that were found so far, by the days and the numbers of rows until then: a
            window is judged again once all of its labels are due.
    """

    version: str
    facts: Mapping[str, Any] = field(repr=False)
    reference: pl.DataFrame = field(repr=False)
    whole_reference: pl.DataFrame = field(repr=False)
    columns: Sequence[str]
    norms: Expectations | None
    arrivals: UsualArrivals
    ceiling: float
    excess: float
    losses: DailyLosses
    floor: float | None
    attributions: UsualAttributions | None = field(repr=False)
    limits: ConformalLimits
    learnt: dt.date | None
    problem: Problem = field(repr=False)
    row_faults: dict[JudgedDays, list[tuple[list[dt.date], list[DataFault]]]] = field(default_factory=dict, repr=False)

    @property
    def profiled_reference(self) -> pl.DataFrame:
        """The whole reference with the columns that are profiled, the predictions and the row's time."""
        return self.whole_reference.select(*self.columns, PREDICTION_COLUMN, self.problem.schema.TIME)

    @cached_property
    def task(self) -> Task:
        """The kind of prediction."""
        return Task.from_schema(self.problem.schema)

    def age(self, day: dt.date) -> int | None:
        """Compute the age of the newest data that the model learned from.

        Args:
            day: The day to count to.

        Returns:
            Days since its latest batch was complete; None where that is unknown.
        """
        return (day - self.learnt).days if self.learnt else None


def load_watched_model(settings: Settings, problem: Problem, models: ModelRegistry, name: str) -> WatchedModel:
    """Load a model version's bundle and learn from its reference.

    Args:
        settings: The settings' sections `promotion`, `service` and `uncertainty` are read.
        problem: The user's problem.
        models: The model registry.
        name: The version's number.

    Returns:
        The model.

    Raises:
        BrokenBundle: The bundle is damaged.
        UnfitBundle: The problem's task or time column is another one by now, or the version was deleted after another
            one had become live.
        MlflowException: The registry can't be read.
    """
    with open_model_version(settings, problem, models, name) as opened:
        opened.require_comparable()
        reference, whole = opened.reference, opened.whole_reference
        days = reference[problem.schema.TIME].dt.date()
        predictions = extract_predictions(opened.task, reference[PREDICTION_COLUMN])
        ceiling, loaded = measure_loss_ceiling(opened.task, settings.promotion, reference), _load_bundle(opened)
        live = loaded.score(reference) if loaded else None
        usual, of_live = (
            compute_known_losses(opened.task, settings.promotion.loss, reference[LABEL_COLUMN], each, ceiling)
            for each in (predictions, predictions if live is None else live)
        )
        excess = measure_refit_excess(usual, of_live)
        return WatchedModel(
            version=name,
            facts=opened.facts,
            reference=reference,
            whole_reference=whole,
            columns=opened.read_columns,
            norms=_learn_expectations(whole, problem.schema),
            arrivals=learn_arrivals(
                whole[problem.schema.TIME].dt.date(), set(map(dt.date.fromisoformat, opened.facts.get("left_out", ())))
            ),
            ceiling=ceiling,
            excess=excess,
            losses=DailyLosses.from_rows(days.to_numpy(), usual + excess),
            floor=None if live is None else float(compute_distances(live, predictions).mean()),
            attributions=learn_attributions(loaded, whole) if loaded else None,
            limits=find_bundle_limits(opened.facts, reference, settings.uncertainty),
            learnt=opened.learnt,
            problem=problem,
        )


def _learn_expectations(reference: pl.DataFrame, schema: ProblemSchema) -> Expectations | None:
    try:
        return learn_expectations(reference, schema)
    except ValueError as reason:
        print(f"data faults can't be told from usual days: {reason}")
        return None


def _load_bundle(version: ModelVersion) -> bundle.Bundle | None:
    """The model itself; None where its code is gone: it can still be judged by what it answered."""
    try:
        return bundle.read_bundle(version.folder, version.problem)
    except UnfitBundle:
        return None
