"""The newest batches of the source, ingested into a temporary folder, and what a candidate learns from them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from flows.steps.change.newest_batches import admit_newest_batches
from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.encoding import FeatureEncoder
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.data.batches import DataStore
from penumbra.patterns.candidate import Candidate
from penumbra.patterns.class_padding import pad_missing_classes
from penumbra.training.fit import build_matrix, extract_labels, select_labelled_rows

MIN_BATCHES, MAX_BATCHES = 2, 12
ENOUGH_ROWS = 2_000  # with an outcome; candidates learn from so many
ENOUGH_CLASS_ROWS = 50  # of a rarer class, which are kept where there are so many


@dataclass(frozen=True)
class Sample:
    """Ingested batches of a problem.

    Args:
        problem: The problem, with every part.
        store: The data store, in a folder of the sample's own.
    """

    problem: Problem
    store: DataStore

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows that keep the contract, oldest batch first, as the data store gives them."""
        return pl.concat([self.store.rows(batch) for batch in self.store.batches()])

    @cached_property
    def labelled(self) -> pl.DataFrame:
        """About ENOUGH_ROWS rows with an outcome, spread evenly, with the column `penumbra.label`.

        Rare classes are thinned less, so that candidates meet them.
        """
        rows = select_labelled_rows(self.rows, self.problem.schema.target())
        step = max(1, rows.height // ENOUGH_ROWS)
        if self.task.kind == "regression":
            return rows.gather_every(step)
        own_step = (pl.len().over(LABEL_COLUMN) // ENOUGH_CLASS_ROWS).clip(1, step)
        return rows.filter(pl.int_range(pl.len()).over(LABEL_COLUMN) % own_step == 0)

    @property
    def missing_classes(self) -> list[str]:
        """The classes that no row has, as text; none of a number."""
        known = set(self.labelled[LABEL_COLUMN].cast(pl.String))
        classes = {"binary": ("false", "true"), "multiclass": self.task.classes, "regression": ()}[self.task.kind]
        return [name for name in classes if name not in known]

    @property
    def is_whole(self) -> bool:
        """Whether the source has no older batches."""
        return self.store.batches()[0] == self.store.arrived()[0]

    @cached_property
    def task(self) -> Task:
        """The task."""
        return Task.from_schema(self.problem.schema)

    @cached_property
    def matrix(self) -> tuple[np.ndarray, FeatureEncoder]:
        """The input matrix of the labelled rows, float64 [n, k], and its encoder."""
        return build_matrix(self.labelled, self.problem.features.FEATURES)

    @cached_property
    def labels(self) -> np.ndarray:
        """The labels of the labelled rows, [n], as the task has them."""
        return extract_labels(self.labelled[LABEL_COLUMN], self.task)

    def fit(self, candidate: Candidate) -> Any:
        """Fit a candidate on the labelled rows, without a search.

        Args:
            candidate: The candidate.

        Returns:
            The fitted estimator, with a probability for each class. Whatever the user's code raises is raised.
        """
        inputs, encoder = self.matrix
        columns = SimpleNamespace(names=encoder.names, categorical=encoder.categorical, numeric=encoder.numeric)
        y = self.labels
        if candidate.learns is not None:
            y = self.labelled.select(candidate.learns.cast(pl.Float64)).to_series().to_numpy()
        return pad_missing_classes(candidate.make(columns).fit(inputs, y), len(self.task.classes))


def take_sample(settings: Settings, problem: Problem, folder: Path) -> Sample:
    """Ingest the newest batches: two, and more until there are enough rows with an outcome, and some of each class.

    Args:
        settings: Section [data] is read.
        problem: The problem, with every part.
        folder: An empty folder, which the data are kept in.

    Returns:
        The sample.

    Raises:
        SourceFailed: The source can't be read.
        BatchRefused: A batch is refused, or there is none.
    """
    data = settings.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    store = DataStore(data, problem)
    admit_newest_batches(store, MIN_BATCHES, ENOUGH_ROWS, most=MAX_BATCHES)
    if Sample(problem, store).missing_classes:
        admit_newest_batches(store, MAX_BATCHES, ENOUGH_ROWS, most=MAX_BATCHES)
    return Sample(problem, store)
