"""A registered model version with its bundle: from the service's copy, or from the registry."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.contract.contract_changes import list_changed_columns
from penumbra.core.contract.feature_specs import UnreadableFeature, read_features
from penumbra.core.histograms import list_profiled_columns
from penumbra.core.metrics.loss_names import AUTO_LOSS
from penumbra.core.metrics.losses import build_judged_task, name_compared_loss
from penumbra.core.problem import Problem, build_utc_time
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.data.flywheel import find_completion_day
from penumbra.registry.bundles import bundle, serving_cost
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle, verify_bundle
from penumbra.registry.bundles.version_facts import read_bundle_task
from penumbra.registry.errors import MlflowException
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import BUNDLES_FOLDER, LIVE_ALIAS
from penumbra.training.fit import compute_baseline, extract_labels
from penumbra.training.split import SPLIT_PARTS

TIMED_PROBE_ROWS, ROUNDS_PER_ROW = 10, 5


@dataclass(frozen=True)
class ModelVersion:
    """A model version's bundle, in `folder`; its files are read when they are asked for."""

    folder: Path
    facts: dict[str, Any] = field(repr=False)
    problem: Problem = field(repr=False)

    @cached_property
    def task(self) -> Task:
        """The kind of prediction that the model makes."""
        return Task.from_schema(self.problem.schema)

    def require_comparable(self) -> None:
        """Check that what the model answered can be compared with its reference.

        Raises:
            UnfitBundle: The problem's task, or the column of the row's time, is another one by now.
        """
        made_for, time = read_bundle_task(self.facts), self.problem.schema.TIME
        if made_for != self.task or time not in self.reference.columns:
            raise UnfitBundle(
                f"the answers of version {self.folder.name} aren't watched: it was made for another task or "
                f"time column ({made_for}) than problem/schema.py has by now ({self.task}, {time})"
            )

    def require_fit(self) -> None:
        """Check that the model can answer with this code.

        Raises:
            UnfitBundle: The problem has changed so that it can't.
        """
        bundle.read_bundle_features(self.facts, self.problem, self.folder.name)

    @property
    def data_version(self) -> str:
        """The data version (md5) that it was made from, "" if the bundle doesn't say."""
        return str(self.facts.get("data_version", ""))

    @property
    def learnt(self) -> dt.date | None:
        """The first day on which all batches that it learnt from were complete; None if the bundle doesn't say.

        Raises:
            SourceFailed: The source, which knows when a batch was complete, can't be read.
        """
        names = {name for part in SPLIT_PARTS for name in self.facts.get(part, [])}
        return find_completion_day(self.problem, names)

    @cached_property
    def reference(self) -> pl.DataFrame:
        """Held-out rows with the labels, and the predictions of its recipe before it learnt from them.

        Columns that the contract has with another type of values by now are left out, but for the row's time. That is
        in UTC, as the logs' days are, whatever its zone in the contract.
        """
        return self._select_comparable(bundle.read_reference_rows(self.folder))

    @property
    def whole_reference(self) -> pl.DataFrame:
        """The reference and, after it, the rows of its days that have no outcome: what the service would be asked.

        The label of these is null.
        """
        unlabelled = bundle.read_unlabelled_rows(self.folder)
        return (
            self.reference if unlabelled is None else pl.concat([self.reference, self._select_comparable(unlabelled)])
        )

    def _select_comparable(self, rows: pl.DataFrame) -> pl.DataFrame:
        schema = self.problem.schema
        kept = rows.drop(name for name in list_changed_columns(rows, schema.Row) if name != schema.TIME)
        return kept.with_columns(build_utc_time(schema)) if schema.TIME in kept.columns else kept

    @property
    def read_columns(self) -> list[str]:
        """The contract's columns that its features read, as far as its reference has them; without the row's time."""
        schema, code_features = self.problem.schema, self.problem.features.FEATURES
        try:
            features = read_features(self.facts["inputs"], schema.Row, code_features)
        except UnreadableFeature:
            features = tuple(code_features)
        known = schema.Row.columns().keys() & set(self.reference.columns)
        return [name for name in list_profiled_columns(features, schema.TIME) if name in known]

    def find_baseline(self, loss: str) -> float | list[float]:
        """Find the prediction without looking at the record.

        Args:
            loss: The setting `promotion.loss`.

        Returns:
            The bundle's; or that of its reference where the bundle has none, or one of another loss.

        Raises:
            SettingsError: It is no loss of the task.
        """
        task, known = build_judged_task(self.problem.schema, loss), self.facts.get("baseline")
        made_by = name_compared_loss(task, self.facts.get("task", {}).get("loss", AUTO_LOSS))
        if known is not None and (task.kind != "regression" or made_by == task.loss):
            return known
        return compute_baseline(task, extract_labels(self.reference[LABEL_COLUMN], task))

    def measure_latency_ms(self) -> np.ndarray:
        """Measure how long the model takes for some of the bundle's own rows, one by one, on this machine.

        Returns:
            Milliseconds a row, float64 [n].
        """
        session, fitted = bundle.load_bundle_model(self.folder, self.facts["sha256"])
        score = session or (fitted.predict if self.task.kind == "regression" else fitted.predict_proba)
        rows = np.load(self.folder / "probe.npz", allow_pickle=False)["inputs"][:TIMED_PROBE_ROWS]
        return np.array([serving_cost.measure_single_row_us(score, row[None], ROUNDS_PER_ROW) / 1e3 for row in rows])


@contextmanager
def open_model_version(
    settings: Settings, problem: Problem, models: ModelRegistry, version: str
) -> Iterator[ModelVersion]:
    """Open a model version as a context manager: the service's whole copy of its bundle, or else a download.

    Args:
        settings: Sections [service] (`state`, the folder of the copies) and [registry] (`signed_by`) are read.
        problem: The problem, with schema, source and features.
        models: The registry to download from.
        version: The version's number.

    Yields:
        The version. A download is deleted at the end.

    Raises:
        BrokenBundle: The registry's bundle is damaged, or not signed as the settings ask.
        UnfitBundle: The version was deleted after another one had become live.
        MlflowException: The registry can't be reached, or doesn't have the version.
    """
    folder = settings.service.state / BUNDLES_FOLDER / version
    with TemporaryDirectory() as temporary:
        try:
            facts = verify_bundle(folder, settings.registry.signed_by)
        except BrokenBundle:
            folder = Path(temporary) / version
            _download_bundle(models, version, folder)
            facts = verify_bundle(folder, settings.registry.signed_by)
        yield ModelVersion(folder, facts, problem)


def _download_bundle(models: ModelRegistry, version: str, folder: Path) -> None:
    try:
        models.download(version, folder)
    except MlflowException as error:
        if (
            error.error_code != "RESOURCE_DOES_NOT_EXIST"
            or (models.aliases() or {}).get(LIVE_ALIAS, version) == version
        ):
            raise
        raise UnfitBundle(f"version {version} is no longer in the registry: it can't be compared") from None
