"""Explanations of windows: gathers what they take from profiles, kept sums and the model's reference."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.monitor.measures.window_signals import ONE_DAY, WindowSpan
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from monitoring.drift.column_drift import ColumnDrift
from monitoring.drift.window_drift import ModelProfiles, select_score_reference
from monitoring.explanations.loss_regression import LossRegression, learn_loss_regression
from monitoring.explanations.records import Explanation
from monitoring.explanations.window_explanation import ColumnMove, WindowEvidence, explain_window
from monitoring.permutation import count_memory_days
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, OutcomeSums, Profile, assign_row_bins
from penumbra.core.settings import Settings


@dataclass
class WindowExplainer:
    """Explains windows; learns what a model's reference loses once a pass.

    Attributes:
        settings: The settings' sections `monitor` and `promotion` are read.
        regressions: What is known so far of the references' losses, by version.
    """

    settings: Settings
    regressions: dict[str, LossRegression | None] = field(default_factory=dict)

    def explain(
        self,
        model: WatchedModel,
        known: ModelProfiles,
        span: WindowSpan,
        outcomes: Mapping[dt.date, OutcomeSums],
        signals: Mapping[str, Any],
    ) -> Explanation:
        """Explain a window.

        Args:
            model: The model that answered.
            known: Its profiles, by which the window was judged.
            span: The window's days.
            outcomes: The outcome sums of the window's days, and of those before it that are judged together with it.
            signals: The fields `columns`, `prediction`, `loss` and `slices` of the window's record, as far as known.

        Returns:
            The explanation.
        """
        first = span.end - count_memory_days(self.settings.monitor.window_days) * ONE_DAY
        binning, loss = known.binning, signals["loss"]
        evidence = WindowEvidence(
            begin=span.begin,
            end=span.end,
            binning=binning,
            profiles={day: each for day, each in known.answered.items() if day >= first},
            reference=known.reference,
            outcomes={day: each for day, each in outcomes.items() if loss is not None and each.labels},
            reference_losses=model.losses.sums / model.losses.labels,
            regression=self._learn_regression(model, binning),
            scores=self._select_scores(known, span) if _has_other_scores(signals) else {},
            classes=model.task.classes if model.task.kind == "multiclass" else (),
        )
        longer = loss.longer if loss and loss.longer and loss.longer.is_high else None
        return explain_window(evidence, _collect_moves(signals, evidence), signals["slices"], longer and longer.days)

    def _select_scores(self, known: ModelProfiles, span: WindowSpan) -> dict[dt.date, Profile]:
        days = select_score_reference(known, span.begin, self.settings.monitor.window_days)
        return {day: known.scored[day] for day in days}

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


def _has_other_scores(signals: Mapping[str, Any]) -> bool:
    """Whether the predictions are beyond their threshold."""
    return bool(signals.get("prediction") and signals["prediction"].ratio > 1)


def _collect_moves(signals: Mapping[str, Any], evidence: WindowEvidence) -> dict[str, ColumnMove]:
    distances: dict[str, ColumnDrift] = dict(signals.get("columns", {}))
    distances |= {PREDICTION_COLUMN: signals["prediction"]} if signals.get("prediction") else {}
    return {
        name: ColumnMove(each.ratio, each.days if each.days and each.days > evidence.length else None)
        for name, each in distances.items()
    }
