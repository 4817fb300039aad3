"""Explanations of windows: reads what they take from profiles, kept sums and the model's reference."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flows.steps.monitor.outcomes import OutcomeReader
from flows.steps.monitor.watched_model import WatchedModel
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from monitoring.explanations.loss_regression import LossRegression, learn_loss_regression
from monitoring.explanations.records import Explanation
from monitoring.explanations.window_explanation import WindowEvidence, explain_window
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, OutcomeSums, assign_row_bins
from penumbra.core.settings import Settings
from penumbra.logs.profiles import ProfileStore

EARLIER_WINDOWS = 7  # before the one that is explained, in which its change may have begun


@dataclass
class WindowExplainer:
    """Explains windows; learns what a model's reference loses once a pass.

    Attributes:
        settings: The settings' sections `monitor` and `promotion` are read.
        profiles: The daily profiles of answers.
        regressions: What is known so far of the references' losses, by version.
    """

    settings: Settings
    profiles: ProfileStore
    regressions: dict[str, LossRegression | None] = field(default_factory=dict)

    def explain(
        self, model: WatchedModel, reader: OutcomeReader, outcomes: Sequence[OutcomeSums], signals: Mapping[str, Any]
    ) -> Explanation:
        """Explain a window.

        Args:
            model: The model that answered.
            reader: The reader of the window's outcomes.
            outcomes: The outcome sums of each day of the window.
            signals: The fields `columns`, `prediction`, `loss` and `slices` of the window's record, as far as known.

        Returns:
            The explanation.
        """
        span, binning, version = reader.span, reader.binning, model.version
        length = dt.timedelta(days=EARLIER_WINDOWS * self.settings.monitor.window_days)
        before = replace(span, begin=span.begin - length, end=span.begin)
        counted = signals.get("loss") is not None
        evidence = WindowEvidence(
            binning=binning,
            window=self.profiles.window(span.begin, span.end, version),
            earlier=self.profiles.window(before.begin, before.end, version),
            reference=self.profiles.reference(version),
            outcomes={day: each for day, each in zip(span.days, outcomes, strict=True) if counted and each.labels},
            earlier_losses=_read_earlier_losses(replace(reader, span=before)),
            reference_losses=model.losses.sums / model.losses.labels,
            regression=self._learn_regression(model, binning),
            classes=model.task.classes if model.task.kind == "multiclass" else (),
        )
        return explain_window(evidence, _collect_ratios(signals), signals["slices"])

    def _learn_regression(self, model: WatchedModel, binning: Binning) -> LossRegression | None:
        if model.version not in self.regressions:
            reference, task = model.reference, model.task
            predictions = extract_predictions(task, reference[PREDICTION_COLUMN])
            losses = compute_known_losses(
                task, self.settings.promotion.loss, reference[LABEL_COLUMN], predictions, model.ceiling
            )
            days = reference[model.problem.schema.TIME].dt.date().to_numpy()
            bins = assign_row_bins(reference, binning)
            self.regressions[model.version] = learn_loss_regression(bins, losses, days, binning)
        return self.regressions[model.version]


def _read_earlier_losses(reader: OutcomeReader) -> dict[dt.date, float]:
    return {day: each.loss / each.labels for day, each in reader.find_kept().items() if each.labels}


def _collect_ratios(signals: Mapping[str, Any]) -> dict[str, float]:
    found = {name: each.ratio for name, each in signals.get("columns", {}).items()}
    return found | ({PREDICTION_COLUMN: signals["prediction"].ratio} if signals.get("prediction") else {})
